"""The program as a whole: help, version, dispatch, wrong usage, exit statuses, imports."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from bronze.producer import this_producer
from tests.e2e.conftest import REPOSITORY, Copier, call, finish, start
from tests.pipeline.commands.conftest import (  # noqa: F401
    copier,
    copy,
    own_environment,
    sample,
    sample_lakes,
    written_names,
)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("run", "Copies the partitions that are missing"),
        ("plan", "Shows what a run would do"),
        ("verify", "Checks what was published, trusting nothing"),
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


def test_help_names_commands_options_and_statuses() -> None:
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
def test_version_is_printed(flag: str) -> None:
    ran = call(flag)
    lines = [
        f"bronze-copier {this_producer().version} ({this_producer().git_sha})",
        f"pyarrow {metadata.version('pyarrow')}",
        "reader table of stellar-sdk 16.1.1",
        "verification full, unless configured otherwise",
    ]
    assert (ran.status, ran.out.splitlines()) == (0, lines)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-version"], id="-version"),
        pytest.param(["-validate", "-config", "config.yaml"], id="-validate"),
        pytest.param(["--help"], id="--help"),
        pytest.param(["plan", "-config", "config.yaml"], id="plan"),
    ],
)
def test_commands_without_copying_load_no_beam(arguments: list[str], copy: Copier) -> None:
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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["--config", "nowhere.yaml"], "nowhere.yaml", id="no configuration"),
        pytest.param(["--eras", "e2"], "there is no era 'e2': configured are e1", id="unknown era"),
        pytest.param(["--no-such-option"], "there is no option '--no-such-option'", id="unknown option"),
        pytest.param(["--dry"], "there is no option '--dry'", id="options are not abbreviated"),
        pytest.param(["copy"], "there is no command 'copy'", id="unknown command"),
        pytest.param(["plan", "--dry-run"], "there is no option '--dry-run'", id="an option of another command"),
        pytest.param(["plan", "--", "--runner=X"], "plan takes no Beam options", id="Beam options for plan"),
        pytest.param(
            ["--", "--runner=SparkRunner"],
            "--runner=SparkRunner: there is no such runner here",
            id="a runner that there is not",
        ),
        pytest.param(["--", "--runner", "PrismRunner"], "allowed are DirectRunner and FnApiRunner", id="in two words"),
        pytest.param(["--", "--runner=FlinkRunner"], "--flink_master is ''", id="Flink without a master"),
        pytest.param(
            ["--", "--runner=DataflowRunner"],
            "a run on Dataflow needs --project, --region, --temp_location, --sdk_container_image",
            id="Dataflow without a project",
        ),
        pytest.param(
            ["--", "--runner=FlinkRunner", "--flink_master=h:1", "--job_endpoint=h:2", "--environment_config={}"],
            "workers on other machines cannot reach",
            id="Flink and local directories",
        ),
        pytest.param(["--submit", "--", "--runner=DataflowRunner"], "needs --project", id="a job without a project"),
        pytest.param(["--follow", "--", "--runner=FlinkRunner"], "--flink_master is ''", id="Flink that follows"),
        pytest.param(
            ["--", "--direct_num_workers=x"],
            "argument --direct_num_workers: invalid int value",
            id="a value of no kind",
        ),
        pytest.param(["--", "--no_such_option=1"], "Beam knows no such option", id="an option unknown to Beam"),
    ],
)
def test_wrong_usage_exits_2_and_writes_nothing(arguments: list[str], says: str, copy: Copier) -> None:
    command, options = (arguments[:1], arguments[1:]) if arguments[0] == "plan" else ([], arguments)
    configured = [] if "--config" in arguments else ["--config", str(copy.config)]

    ran = call(*command, *configured, *options)

    assert (ran.status, ran.out) == (2, "")
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert written_names(copy) == []


def test_process_exits_with_the_status(copy: Copier) -> None:
    assert finish(start("--config", "nowhere.yaml", cwd=copy.root)).status == 2
    assert finish(start("plan", cwd=copy.root, CONFIG_FILE=str(copy.config))).status == 0


def test_run_is_the_default_command(copy: Copier) -> None:
    assert copy.run("--dry-run").lines("partitions") == copy.run("run", "--dry-run").lines("partitions")
    assert call("run", "-version").out == call("-version").out


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--runner=DirectRunner"], id="DirectRunner"),
        pytest.param(["--runner", "FnApiRunner"], id="FnApiRunner"),
        pytest.param(["--direct_num_workers=2", "--direct_running_mode=in_memory"], id="workers"),
        pytest.param([], id="none"),
    ],
)
def test_beam_options_follow_two_dashes(options: list[str], copy: Copier) -> None:
    ran = copy.run("--", *options)
    assert (ran.status, ran.err) == (0, "")
    assert copy.committed() == [(8, 15), (16, 23), (24, 31)]


@pytest.mark.parametrize("at", range(4))
def test_command_may_stand_anywhere(at: int, copy: Copier) -> None:
    words = ["--config", str(copy.config), "--eras=e1"]
    if at == 1:  # the value of an option is no command
        (copy.root / "plan").write_text(copy.config.read_text())
        words = ["--config", str(copy.root / "plan")]
        at = 2
    ran = call(*words[:at], "plan", *words[at:])
    assert (ran.status, ran.err) == (0, "")
    assert "partitions  3 of up to 8 ledgers" in ran.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["verfy"], "there is no command 'verfy': did you mean verify?"),
        (["--config", "x", "pln"], "there is no command 'pln': did you mean plan?"),
        (["--dryrun"], "did you mean --dry-run?"),
        (["plan", "x"], "unexpected argument 'x'"),
        (["run", "--partition", "9-3", "--again"], "'9-3' is not a partition such as 2-10001"),
    ],
)
def test_typing_errors_are_named_with_suggestion(arguments: list[str], says: str) -> None:
    ran = call(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert says in ran.err
    assert "--help`" in ran.err


def test_help_and_version_are_words_too() -> None:
    assert call("help", "plan").out == call("plan", "--help").out
    assert call("help").out == call("-h").out
    assert call("version").out == call("--version").out


def test_quiet_run_prints_nothing_when_done(copy: Copier) -> None:
    ran = copy.run("-q")
    assert (ran.status, ran.out, ran.err) == (0, "", "")
    assert copy.committed() == [(8, 15), (16, 23), (24, 31)]


def test_closed_pipe_leaves_status_alone(copy: Copier) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        ran = subprocess.run(
            [sys.executable, "-m", "pipeline.main", "--config", copy.config],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert copy.committed() == [(8, 15), (16, 23), (24, 31)]


@pytest.mark.parametrize(
    ("redirection", "status", "says"),
    [(">&-", 0, ""), ("<&- >&- 2>&-", 0, ""), (">/dev/full", 1, "standard output")],
    ids=["closed", "all closed", "full"],
)
def test_output_without_reader_leaves_no_traceback(redirection: str, status: int, says: str, copy: Copier) -> None:
    line = f'exec "{sys.executable}" -m pipeline.main --config "{copy.config}" {redirection}'
    ran = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == status
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr
    assert says in ran.stderr
    assert copy.committed() == [(8, 15), (16, 23), (24, 31)]


@pytest.mark.parametrize("words", ["status --json", "inspect 8 --json"])
def test_full_disk_of_output_is_named(words: str, copy: Copier) -> None:
    copy.run()
    line = f'exec "{sys.executable}" -m pipeline.main {words} --config "{copy.config}" >/dev/full'
    ran = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, "standard output" in ran.stderr) == (1, True), ran


@pytest.mark.parametrize(
    ("instruction", "words", "found"),
    [
        ("bash_source", "", "_BRONZE_COPIER_COMPLETE=bash_complete $1"),
        ("bash_complete", "bronze-copier ver", "plain,verify"),
        ("bash_complete", "bronze-copier plan --pub", "plain,--publish-partial"),
        ("bash_complete", "bronze-copier --dry", "plain,--dry-run"),
        ("bash_complete", "bronze-copier plan --config r", "file,r"),
        ("bash_complete", "bronze-copier verify r", "file,r"),
    ],
)
def test_shell_completion_knows_commands_and_options(instruction: str, words: str, found: str, tmp_path: Path) -> None:
    environ = {"_BRONZE_COPIER_COMPLETE": instruction, "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    ran = finish(start(cwd=tmp_path, **environ))
    assert (ran.status, ran.err) == (0, "")
    assert found in ran.out


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
def test_help_without_reader_leaves_no_traceback(redirection: str) -> None:
    line = f'exec "{sys.executable}" -m pipeline.main plan --help {redirection}'
    ran = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == (0 if redirection == ">&-" else 1)
    assert "Traceback" not in ran.stderr
