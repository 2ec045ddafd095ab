"""The command `run`: what it prints, leaves and returns; dry runs, where it ends, and the state that it keeps."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Copier, LakeFiles
from tests.pipeline.commands.conftest import written_names
from tests.support.failing_calls import build, preloaded


def test_complete_run_exits_0_with_a_summary(copy: Copier) -> None:
    ran = copy.process()

    assert (ran.status, ran.err) == (0, "")
    head = copy.events()[-1]["chain"]["event_hash"]
    raw, parquet = sum(row["xdr_byte_length"] for row in copy.rows()), sum(map(len, copy.published().values()))
    assert ran.lines("partitions") == ["3 written, 0 skipped, 0 failed"]
    assert ran.lines("ledgers") == [f"24 from 24 files, {raw / 1000:.1f} KB raw, {parquet / 1000:.1f} KB parquet"]
    assert re.fullmatch(r"\d+\.\d s, [\d,.]+ ledgers/s, [\d.]+ [KMG]?B/s raw", ran.lines("time")[0])
    assert ran.lines("chain") == [f"standalone/e1/v1: committed up to ledger 31, head {head}"]


def test_incomplete_run_exits_1_with_the_reasons(copy: Copier) -> None:
    for path in copy.lake.rglob("*--20.xdr.zst"):
        path.unlink()

    ran = copy.process()

    assert ran.status == 1
    assert re.fullmatch(r"\S+Z ERROR   partition standalone/e1/v1 16-23 failed: LakeError: object .*\n", ran.err)
    assert ran.lines("partitions") == ["2 written, 0 skipped, 1 failed"]
    assert "standalone/e1/v1 16-23: LakeError: object" in ran.lines("failed")[0]
    assert ran.lines("pending") == ["standalone/e1/v1 24-31 is published, but its chain waits for ledger 16"]
    assert ran.lines("chain")[0].startswith("standalone/e1/v1: committed up to ledger 15, head sha256:")


@pytest.mark.parametrize("flag", ["-validate", "--validate"])
def test_validate_accepts_a_valid_configuration(flag: str, copy: Copier) -> None:
    ran = copy.run(flag)
    assert (ran.status, ran.out) == (0, "the configuration is valid: standalone/e1/v1\n")
    assert written_names(copy) == []


def test_validate_tries_the_file_systems(copy: Copier, tmp_path: Path) -> None:
    without_links = preloaded(build(tmp_path), FAIL_LINK=errno.EIO, FAIL_RENAMEAT2=errno.EINVAL)
    ran = copy.process("--validate", **without_links)
    assert (ran.status, ran.out) == (2, "")
    assert f"the file system of {copy.root}/data/_temporary has no hard links (link of" in ran.err
    assert "Traceback" not in ran.err
    assert [path.name for path in copy.root.iterdir()] == ["config.yaml"]


def test_validate_lists_all_errors_of_settings(copy: Copier) -> None:
    copy.settings["era"].update(ledger_end=3, partition_size=0, era_id="../x")
    copy.settings["storag"] = {}
    copy.settings["source"]["verify"] = "some"

    ran = copy.run("-validate")

    assert (ran.status, ran.out) == (2, "")
    for says in ("5 errors", "partition_size", "era_id", "ledger_end", "did you mean storage", "source.verify"):
        assert says in ran.err


def test_validate_lists_all_unusable_directories(copy: Copier, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    copy.settings["source"]["local_path"] = str(tmp_path / "nowhere")
    copy.settings["storage"]["local_dir"] = str(tmp_path / "file")

    ran = copy.run("-validate")

    assert ran.status == 2
    assert "source.local_path" in ran.err
    assert "does not exist" in ran.err
    assert "storage.local_dir" in ran.err
    assert "is not a directory" in ran.err


def test_dry_run_predicts_a_run_without_writing(copy: Copier) -> None:
    ran = copy.run("--dry-run")

    assert (ran.status, ran.lines("partitions")) == (0, ["3 measured, 0 failed"])
    assert written_names(copy) == []
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


def test_dry_run_finds_damaged_files(copy: Copier) -> None:
    for path in copy.lake.rglob("*--20.xdr.zst"):
        path.write_bytes(b"")

    ran = copy.run("--dry-run")

    assert (ran.status, ran.lines("partitions")) == (1, ["2 measured, 1 failed"])
    assert "object is empty (0 bytes)" in ran.lines("failed")[0]
    assert written_names(copy) == []


def test_incomplete_last_partition_is_not_published(copy: Copier) -> None:
    copy.settings["era"].update(ledger_end=0, partition_size=10)

    ran = copy.run()

    assert ran.status == 0
    assert copy.partitions() == [(8, 17), (18, 27)]
    assert ran.lines("unpublished") == ["standalone/e1/v1: 4 ledgers of an incomplete partition"]
    assert (
        "unpublished 4 ledgers of an incomplete partition, up to ledger 31 (--publish-partial" in copy.run("plan").out
    )


@pytest.mark.parametrize("way", ["--publish-partial", "bronze.publish_partial"])
def test_publish_partial_publishes_the_incomplete_partition(way: str, copy: Copier) -> None:
    copy.settings["era"].update(ledger_end=0, partition_size=10)
    copy.settings["bronze"] = {"publish_partial": way == "bronze.publish_partial"}

    ran = copy.run(*([way] if way.startswith("--") else []))

    assert (ran.status, ran.lines("unpublished")) == (0, [])
    assert copy.partitions() == copy.committed() == [(8, 17), (18, 27), (28, 31)]


def test_grid_continues_after_a_partial_partition(
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


def test_lake_without_complete_partition_publishes_nothing(copy: Copier) -> None:
    copy.settings["era"].update(ledger_end=0, partition_size=1000)
    ran = copy.run()
    assert (ran.status, ran.lines("partitions")) == (0, ["0 written, 0 skipped, 0 failed"])
    assert ran.lines("chain") == ["standalone/e1/v1: nothing committed"]
    assert ran.lines("unpublished") == ["standalone/e1/v1: 24 ledgers of an incomplete partition"]


def test_empty_lake_is_a_config_error(tmp_path: Path, copier: Callable[..., Copier]) -> None:
    (tmp_path / "empty").mkdir()
    layout = {"ledgers_per_file": 1, "files_per_directory": 1}
    ran = copier(tmp_path / "empty", ledger_start=8, settings={"source": layout}).run()
    assert ran.status == 2
    assert "the lake is empty" in ran.err


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("begin", [0, 1, 2])
def test_range_from_0_or_1_starts_at_2(
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


def test_partition_without_ledgers_is_a_config_error(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    ran = copier(sample(first=2, ledgers=6).root, ledger_start=0, ledger_end=7, partition_size=2).run()
    assert ran.status == 2
    assert "the first partition 0-1 of era 'e1' would be empty" in ran.err


@pytest.mark.parametrize(
    ("off", "left"),
    [
        pytest.param(["pas"], ["data", "state"], id="no audit stream"),
        pytest.param(["checkpoint"], ["data", "pas"], id="no checkpoint"),
        pytest.param(["pas", "checkpoint"], ["data"], id="neither"),
    ],
)
def test_run_resumes_with_any_state_kept(off: list[str], left: list[str], copy: Copier) -> None:
    for section in off:
        copy.settings[section]["enabled"] = False
    copy.settings["era"]["ledger_end"] = 15
    assert copy.run().status == 0
    before = copy.published()
    copy.settings["era"]["ledger_end"] = 31

    ran = copy.run()

    assert (ran.status, written_names(copy)) == (0, left)
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
            "state/checkpoint_standalone_e1_v1.json",
            json.dumps({"network": "x", "era_id": "y", "version_label": "z", "last_committed_ledger": 1}),
            "is of the chain x/y/z, expected standalone/e1/v1",
            id="the checkpoint of another chain",
        ),
        pytest.param("pas/pas-chain-heads.json", "[]", "cannot be used", id="no chain heads"),
        pytest.param("pas/standalone_e1_v1_8-15.json", "{}", "lacks the key", id="no event"),
    ],
)
def test_damaged_state_stops_the_run(name: str, content: str, says: str, copy: Copier) -> None:
    path = copy.root / name
    path.parent.mkdir()
    path.write_text(content)

    ran = copy.run()

    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("bronze-copier: StateError: ")
    assert str(path) in ran.err
    assert says in ran.err
    assert {file.parent.name for file in (copy.root / "data").rglob("*") if file.is_file()} <= {"_temporary"}
