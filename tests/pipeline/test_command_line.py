"""The command line: what each command prints, leaves and returns. 0 done, 1 something left undone, 2 wrong usage."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bronze.producer import this_producer
from tests.e2e.conftest import (  # noqa: F401
    REPOSITORY,
    Copier,
    LakeFiles,
    call,
    copier,
    era,
    finish,
    own_environment,
    sample,
    sample_lakes,
    start,
    tree,
)


@pytest.fixture
def copy(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """24 ledgers in three partitions."""
    return copier(sample(first=8, ledgers=24).root, ledger_start=8, ledger_end=31, partition_size=8)


def wrote(copy: Copier) -> list[str]:
    """What lies beside the configuration."""
    return sorted(path.name for path in copy.root.iterdir() if path.name != "config.yaml")


# -------------------------------------------------------------------------------------- help and version


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("run", "Copies the partitions that are missing"),
        ("plan", "Shows what a run would do"),
        ("verify", "Checks what was published against its chain"),
        ("deliver", "Sends the audit events that are not yet delivered"),
        ("repair", "Rebuilds what is derived from the event files"),
        ("clean", "Removes the leftovers of killed runs"),
        ("sample", "Makes a Galexie lake of generated ledgers"),
    ],
)
def test_help_of_a_command_says_what_it_does(command: str, says: str) -> None:
    ran = call(command, "--help")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(f"usage: bronze-copier {command} [")
    assert f"\n\n{says}" in ran.out
    assert re.findall(r"^  ([012])  ", ran.out, re.MULTILINE) == ["0", "1", "2"]
    assert f"  {command:8} " in call("--help").out


def test_the_help_text_names_commands_options_and_exit_status() -> None:
    text = call("--help").out
    words = [
        "run",
        "plan",
        "verify",
        "sample",
        "-config",
        "--config",
        "-validate",
        "--validate",
        "-version",
        "--version",
    ]
    words += ["--eras", "--dry-run", "--publish-partial", "BEAM_OPTIONS", "exit status"]
    assert [word for word in words if word not in text] == []
    assert re.findall(r"^  ([012])  ", text, re.MULTILINE) == ["0", "1", "2"]


@pytest.mark.parametrize("flag", ["-version", "--version"])
def test_version(flag: str) -> None:
    ran = call(flag)
    assert (ran.status, ran.out) == (0, f"bronze-copier {this_producer().version} ({this_producer().git_sha})\n")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-version"], id="-version"),
        pytest.param(["-validate", "-config", "config.yaml"], id="-validate"),
        pytest.param(["--help"], id="--help"),
        pytest.param(["plan", "-config", "config.yaml"], id="plan"),
    ],
)
def test_what_does_not_copy_answers_without_beam(arguments: list[str], copy: Copier) -> None:
    program = (
        "import sys\nfrom pipeline.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print('IMPORTED', sorted({'apache_beam', 'pandas', 'stellar_sdk'} & set(sys.modules)))\n"
    )
    copy.config.touch()
    ran = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=copy.root,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stderr == ""
    assert ran.stdout.endswith("IMPORTED []\n")


# -------------------------------------------------------------------------------------------- exit status


def test_a_run_that_does_everything_ends_with_0_and_a_summary(copy: Copier) -> None:
    ran = copy.process()

    assert (ran.status, ran.err) == (0, "")
    head = copy.events()[-1]["chain"]["event_hash"]
    raw, parquet = sum(row["xdr_byte_length"] for row in copy.rows()), sum(map(len, copy.published().values()))
    assert ran.lines("partitions") == ["3 written, 0 skipped, 0 failed"]
    assert ran.lines("ledgers") == [f"24 from 24 files, {raw / 1000:.1f} KB raw, {parquet / 1000:.1f} KB parquet"]
    assert re.fullmatch(r"\d+\.\d s, [\d,]+ ledgers/s, [\d.]+ [KMG]?B/s raw", ran.lines("time")[0])
    assert ran.lines("chain") == [f"standalone/e1/v1: committed up to ledger 31, head {head}"]


def test_a_run_that_leaves_something_undone_ends_with_1(copy: Copier) -> None:
    for path in copy.lake.rglob("*--20.xdr.zst"):
        path.unlink()

    ran = copy.process()

    assert (ran.status, ran.err) == (1, "")
    assert ran.lines("partitions") == ["2 written, 0 skipped, 1 failed"]
    assert "standalone/e1/v1 16-23: LakeError: object" in ran.lines("failed")[0]
    assert ran.lines("pending") == ["standalone/e1/v1 24-31 is published, but its chain waits for ledger 16"]
    assert ran.lines("chain")[0].startswith("standalone/e1/v1: committed up to ledger 15, head sha256:")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["--config", "nowhere.yaml"], "nowhere.yaml", id="no configuration"),
        pytest.param(["--eras", "e2"], "there is no era 'e2': configured are e1", id="unknown era"),
        pytest.param(["--no-such-option"], "unrecognized arguments: --no-such-option", id="unknown option"),
        pytest.param(["--dry"], "unrecognized arguments: --dry", id="options are not abbreviated"),
        pytest.param(["copy"], "unrecognized arguments: copy", id="unknown command"),
        pytest.param(["plan", "--dry-run"], "unrecognized arguments: --dry-run", id="an option of another command"),
        pytest.param(["plan", "--", "--runner=X"], "plan takes no Beam options", id="Beam options for plan"),
        pytest.param(
            ["--", "--runner=DataflowRunner"],
            "--runner=DataflowRunner: this version runs on this machine",
            id="a runner on other machines",
        ),
        pytest.param(["--", "--runner", "FlinkRunner"], "allowed are DirectRunner and FnApiRunner", id="in two words"),
    ],
)
def test_wrong_usage_ends_with_2_and_writes_nothing(arguments: list[str], says: str, copy: Copier) -> None:
    command, options = (arguments[:1], arguments[1:]) if arguments[0] == "plan" else ([], arguments)
    configured = [] if "--config" in arguments else ["--config", str(copy.config)]

    ran = call(*command, *configured, *options)

    assert (ran.status, ran.out) == (2, "")
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert wrote(copy) == []


def test_a_process_returns_the_status(copy: Copier) -> None:
    assert finish(start("--config", "nowhere.yaml", cwd=copy.root)).status == 2
    assert finish(start("plan", cwd=copy.root, CONFIG_FILE=str(copy.config))).status == 0


# ---------------------------------------------------------------------------------------------- -validate


@pytest.mark.parametrize("flag", ["-validate", "--validate"])
def test_a_valid_configuration_is_said_to_be(flag: str, copy: Copier) -> None:
    ran = copy.run(flag)
    assert (ran.status, ran.out) == (0, "the configuration is valid: standalone/e1/v1\n")
    assert wrote(copy) == []


def test_all_errors_of_a_configuration_are_listed_at_once(copy: Copier) -> None:
    copy.settings["era"].update(ledger_end=3, partition_size=0, era_id="../x")
    copy.settings["storag"] = {}
    copy.settings["source"]["verify"] = "some"

    ran = copy.run("-validate")

    assert (ran.status, ran.out) == (2, "")
    for says in ("5 errors", "partition_size", "era_id", "ledger_end", "did you mean storage", "source.verify"):
        assert says in ran.err


def test_all_places_that_cannot_be_used_are_listed_at_once(copy: Copier, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    copy.settings["source"]["local_path"] = str(tmp_path / "nowhere")
    copy.settings["storage"]["local_dir"] = str(tmp_path / "file")

    ran = copy.run("-validate")

    assert ran.status == 2
    assert "source.local_path" in ran.err
    assert "does not exist" in ran.err
    assert "storage.local_dir" in ran.err
    assert "is not a directory" in ran.err


def test_enabled_metrics_warn_that_none_are_served(copy: Copier) -> None:
    copy.settings["logging"] = {"level": "info"}
    copy.settings["metrics"] = {"enabled": True, "port": 9100}
    ran = copy.run("plan")
    assert (ran.status, ran.err.count("WARNING")) == (0, 1)
    assert "metrics.enabled has no effect in this version: no metrics are served" in ran.err


# --------------------------------------------------------------------------------------- plan and dry run


def test_plan_says_what_a_run_would_do_and_writes_nothing(copy: Copier) -> None:
    copy.settings["era"]["partition_size"] = 10

    ran = copy.run("plan")

    assert (ran.status, ran.err) == (0, "")
    for says in (f"lake         {copy.lake} (1 ledgers per file", "era e1 (standalone/e1/v1)", "ledgers     8-31: 24"):
        assert says in ran.out
    assert "partitions  3 of up to 10 ledgers" in ran.out
    assert "files       24" in ran.out
    assert wrote(copy) == []


def test_plan_goes_on_where_the_chain_ends(copy: Copier) -> None:
    copy.settings["era"]["ledger_end"] = 15
    copy.run()
    copy.settings["era"]["ledger_end"] = 31
    assert "ledgers     16-31: 16" in copy.run("plan").out
    copy.run()
    assert "nothing to do: the next ledger is 32, the last wanted is 31" in copy.run("plan").out


def test_plan_counts_a_file_of_two_partitions_for_both(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    lake = sample(first=8, ledgers=24, ledgers_per_file=4)
    ran = copier(lake.root, ledger_start=8, ledger_end=31, partition_size=6).run("plan")
    assert "partitions  4 of up to 6 ledgers" in ran.out
    assert "files       8" in ran.out  # 6 files, two of them on a boundary


def test_a_dry_run_writes_nothing_and_says_what_a_run_then_writes(copy: Copier) -> None:
    ran = copy.run("--dry-run")

    assert (ran.status, ran.lines("partitions")) == (0, ["3 measured, 0 failed"])
    assert wrote(copy) == []
    promised = dict(re.findall(r"^would write +(\S+): 8 ledgers, ([\d,]+ bytes, sha256:\w+)$", ran.out, re.MULTILINE))

    copy.run()
    kept = {
        f"standalone/e1/v1/ledgers_lcm_raw/range={low}-{high}": (
            f"{manifest['tables']['ledgers_lcm_raw']['byte_size']:,} bytes,"
            f" {manifest['tables']['ledgers_lcm_raw']['checksum']}"
        )
        for (low, high), manifest in copy.manifests().items()
    }
    assert promised == kept


def test_a_dry_run_finds_what_a_run_would_fail_on(copy: Copier) -> None:
    for path in copy.lake.rglob("*--20.xdr.zst"):
        path.write_bytes(b"")

    ran = copy.run("--dry-run")

    assert (ran.status, ran.lines("partitions")) == (1, ["2 measured, 1 failed"])
    assert "object is empty (0 bytes)" in ran.lines("failed")[0]
    assert wrote(copy) == []


# ------------------------------------------------------------------------------------------ where it ends


def test_up_to_the_end_of_the_data_only_whole_partitions_are_published(copy: Copier) -> None:
    copy.settings["era"].update(ledger_end=0, partition_size=10)

    ran = copy.run()

    assert ran.status == 0
    assert copy.partitions() == [(8, 17), (18, 27)]
    assert ran.lines("unpublished") == ["standalone/e1/v1: 4 ledgers of an incomplete partition"]
    assert (
        "unpublished 4 ledgers of an incomplete partition, up to ledger 31 (--publish-partial" in copy.run("plan").out
    )


@pytest.mark.parametrize("way", ["--publish-partial", "bronze.publish_partial"])
def test_the_rest_is_published_when_it_is_asked_for(way: str, copy: Copier) -> None:
    copy.settings["era"].update(ledger_end=0, partition_size=10)
    copy.settings["bronze"] = {"publish_partial": way == "bronze.publish_partial"}

    ran = copy.run(*([way] if way.startswith("--") else []))

    assert (ran.status, ran.lines("unpublished")) == (0, [])
    assert copy.partitions() == copy.committed() == [(8, 17), (18, 27), (28, 31)]


def test_the_grid_is_met_again_behind_a_partial_partition(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    """The lake has grown since the partial one was published."""
    grown = sample(first=8, ledgers=40)
    copy = copier(grown.root, ledger_start=8, partition_size=10)
    behind = [path for path in grown.root.rglob("*.zst") if int(path.name.split("--")[1].split(".")[0]) > 31]
    kept = {path: path.read_bytes() for path in behind}
    for path in behind:
        path.unlink()
    copy.run("--publish-partial")
    for path, data in kept.items():
        path.write_bytes(data)

    assert copy.run().status == 0

    assert copy.partitions() == copy.committed() == [(8, 17), (18, 27), (28, 31), (32, 37), (38, 47)]
    assert copy.verified()


def test_a_lake_without_a_whole_partition_leaves_nothing_to_do(copy: Copier) -> None:
    copy.settings["era"].update(ledger_end=0, partition_size=1000)
    ran = copy.run()
    assert (ran.status, ran.lines("partitions")) == (0, ["0 written, 0 skipped, 0 failed"])
    assert ran.lines("chain") == ["standalone/e1/v1: nothing committed"]
    assert ran.lines("unpublished") == ["standalone/e1/v1: 24 ledgers of an incomplete partition"]


def test_an_empty_lake_has_no_end_to_go_to(tmp_path: Path, copier: Callable[..., Copier]) -> None:
    (tmp_path / "empty").mkdir()
    layout = {"ledgers_per_file": 1, "files_per_directory": 1}
    ran = copier(tmp_path / "empty", ledger_start=8, settings={"source": layout}).run()
    assert ran.status == 2
    assert "the lake is empty" in ran.err


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("begin", [0, 1, 2])
def test_a_range_that_starts_at_0_or_1_is_named_as_asked_and_holds_ledgers_from_2_on(
    begin: int, k: int, sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    copy = copier(
        sample(first=2, ledgers=20, ledgers_per_file=k).root, ledger_start=begin, ledger_end=19, partition_size=10
    )

    ran = copy.run()

    assert ran.status == 0
    assert copy.partitions() == [(begin, begin + 9), (begin + 10, 19)]
    assert copy.ledgers() == list(range(2, 20))
    assert copy.manifests()[begin, begin + 9]["tables"]["ledgers_lcm_raw"]["row_count"] == begin + 8
    assert ran.lines("ledgers")[0].startswith("18 from ")
    assert copy.verified()


def test_a_partition_of_ledgers_that_do_not_exist_is_a_configuration_error(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    ran = copier(sample(first=2, ledgers=6).root, ledger_start=0, ledger_end=7, partition_size=2).run()
    assert ran.status == 2
    assert "the first partition 0-1 of era 'e1' would be empty" in ran.err


# ------------------------------------------------------------------------------------------- Beam options


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--runner=DirectRunner"], id="DirectRunner"),
        pytest.param(["--runner", "FnApiRunner"], id="FnApiRunner"),
        pytest.param(["--direct_num_workers=2", "--direct_running_mode=multi_threading"], id="workers"),
        pytest.param([], id="none"),
    ],
)
def test_beam_options_come_behind_two_dashes(options: list[str], copy: Copier) -> None:
    ran = copy.run("--", *options)
    assert (ran.status, ran.err) == (0, "")
    assert copy.committed() == [(8, 15), (16, 23), (24, 31)]


# -------------------------------------------------------------------------------------------- sample, verify


def test_a_stranger_makes_a_lake_copies_it_and_verifies_it(tmp_path: Path) -> None:
    config = tmp_path / "try" / "config.yaml"
    made = call("sample", tmp_path / "lake", "--ledgers", "30", "--write-config", config, "--eras", "2")
    assert (made.status, made.err) == (0, "")
    assert f"configuration: {config}" in made.out
    settings = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**settings, "logging": {"level": "warn"}}))

    assert call("-config", config).status == 0

    audit = call("verify", "--config", config)
    assert (audit.status, audit.err) == (0, "")
    assert [line.split(": ")[1] for line in audit.out.splitlines() if line.startswith("chain ")] == ["HOLDS", "HOLDS"]


def test_verify_ends_with_1_when_something_does_not_hold(copy: Copier) -> None:
    copy.run()
    path = copy.parquet((16, 23))
    path.write_bytes(path.read_bytes()[:-1] + b"X")

    ran = copy.run("verify")

    assert ran.status == 1
    assert "chain standalone/e1/v1: DOES NOT HOLD: 1 problems" in ran.out
    assert f"{path} has the checksum sha256:" in ran.out


def test_verify_writes_nothing(copy: Copier) -> None:
    copy.run()
    before = tree(copy.root)
    assert copy.run("verify").status == 0
    assert tree(copy.root) == before


BROKEN_SOURCES = {
    "no bucket": {"mode": "s3", "s3_bucket": "My_Bucket"},
    "bad bucket name": {"mode": "gcs", "gcs_bucket": "a/b"},
    "bucket missing": {"mode": "s3"},
    "datastore type missing": {"mode": "datastore", "datastore_path": "bucket/prefix"},
    "type and path disagree": {"mode": "datastore", "datastore_type": "GCS", "datastore_path": "s3://bucket"},
    "not a storage location": {"mode": "local", "local_path": "ftp://host/lake"},
    "no directory": {"mode": "local", "local_path": "/nowhere"},
    "unknown extension": {"mode": "local", "local_path": "/nowhere", "extension": "lz4"},
    "unknown mode": {"mode": "tape"},
    "unknown key": {"mode": "local", "local_path": "/nowhere", "bucket": "x"},
    "no section": "a lake",
    "nothing": None,
}


@pytest.mark.parametrize("source", BROKEN_SOURCES.values(), ids=BROKEN_SOURCES.keys())
def test_commands_on_state_need_no_source(copy: Copier, source: object) -> None:
    assert copy.run().status == 0
    copy.settings["source"] = source
    for command in ("verify", "deliver", "repair", "clean"):
        ran = copy.run(command)
        assert (ran.status, ran.err) == (0, ""), command
    assert copy.verified()
    for refused in (copy.run(), copy.run("plan"), copy.run("--validate")):
        assert refused.status == 2
        assert "source" in refused.err


def test_commands_on_state_need_no_source_of_the_environment(copy: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    assert copy.run().status == 0
    monkeypatch.setenv("SOURCE_MODE", "tape")
    assert copy.verified()
    assert "source.mode (SOURCE_MODE): 'tape'" in copy.run().err


@pytest.mark.parametrize("command", ["verify", "deliver", "repair", "clean"])
def test_commands_on_state_refuse_other_settings(copy: Copier, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").touch()
    copy.settings["source"] = {"mode": "tape"}
    copy.settings["storage"]["local_dir"] = str(tmp_path / "file")
    ran = copy.run(command)
    assert (ran.status, "storage.local_dir" in ran.err, "source" in ran.err) == (2, True, False)
    copy.settings["storag"] = {}
    ran = copy.run(command)
    assert (ran.status, "is not a key: did you mean storage?" in ran.err, "source" in ran.err) == (2, True, False)


# ------------------------------------------------------------------------------------- state and its switches


@pytest.mark.parametrize(
    ("off", "left"),
    [
        pytest.param(["pas"], ["data", "state"], id="no audit stream"),
        pytest.param(["checkpoint"], ["data", "pas"], id="no checkpoint"),
        pytest.param(["pas", "checkpoint"], ["data"], id="neither"),
    ],
)
def test_a_run_resumes_whatever_state_is_kept(off: list[str], left: list[str], copy: Copier) -> None:
    for section in off:
        copy.settings[section]["enabled"] = False
    copy.settings["era"]["ledger_end"] = 15
    assert copy.run().status == 0
    before = copy.published()
    copy.settings["era"]["ledger_end"] = 31

    ran = copy.run()

    assert (ran.status, wrote(copy)) == (0, left)
    assert len(copy.published()) == 3
    assert before.items() <= copy.published().items()
    said = ran.lines("chain")[0]
    if off == ["pas"]:
        assert said == "standalone/e1/v1: committed up to ledger 31, no audit stream"
    elif off == ["checkpoint"]:
        assert said.startswith("standalone/e1/v1: committed up to ledger 31, head sha256:")
    else:
        assert said == "standalone/e1/v1: not kept (no audit stream, no checkpoint)"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        pytest.param("state/checkpoint.json", "{", "cannot be used", id="half a checkpoint"),
        pytest.param(
            "state/checkpoint.json",
            json.dumps({"network": "x", "era_id": "y", "version_label": "z", "last_committed_ledger": 1}),
            "is of the chain x/y/z, expected standalone/e1/v1",
            id="the checkpoint of another chain",
        ),
        pytest.param("pas/pas-chain-heads.json", "[]", "cannot be used", id="no chain heads"),
        pytest.param("pas/standalone_e1_v1_8-15.json", "{}", "lacks the key", id="no event"),
    ],
)
def test_damaged_state_stops_the_run_before_it_writes(name: str, content: str, says: str, copy: Copier) -> None:
    path = copy.root / name
    path.parent.mkdir()
    path.write_text(content)

    ran = copy.run()

    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("bronze-copier: StateError: ")
    assert str(path) in ran.err
    assert says in ran.err
    assert not (copy.root / "data").exists()


def test_several_eras_of_a_plan_are_all_shown(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> None:
    eras = [era("a", ledger_start=8, ledger_end=15), era("b", ledger_start=16, ledger_end=31)]
    copy = copier(sample(first=8, ledgers=24).root, eras=eras)
    assert re.findall(r"^era (\w+)", copy.run("plan").out, re.MULTILINE) == ["a", "b"]
    assert re.findall(r"^era (\w+)", copy.run("plan", "--eras", "b").out, re.MULTILINE) == ["b"]
