"""The summary file of a run: after success, failure, a signal at any time, and nothing to do."""

from __future__ import annotations

import json
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Copier, finish, wait_until
from tests.e2e.test_json_output import validated


def summary(path: Path) -> dict[str, Any]:
    """The document in the summary file, validated."""
    return validated(path.read_text(encoding="utf-8"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The summary file, in a directory of its own."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "last.json"


def test_summary_equals_the_printed_document(copy: Copier, file: Path) -> None:
    printed = json.loads(copy.run("run", "--json", "--summary", str(file)).out)
    assert summary(file) == printed
    assert [path.name for path in file.parent.iterdir()] == ["last.json"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o644

    copy.run("run", "--summary", str(file))
    nothing = summary(file)
    assert (nothing["exit_status"], nothing["partitions"]["written"], nothing["eras"][0]["committed"]) == (0, 0, 31)


def test_wrong_settings_are_in_the_summary(copy: Copier, file: Path) -> None:
    copy.settings["catalog"] = {"postgres_dsn": "postgresql://u:hunter22@nowhere", "strictt": True}
    assert copy.run("run", "--summary", str(file)).status == 2
    found = summary(file)
    assert (found["result"], found["run_id"], found["error"]["type"]) == ("usage", None, "ConfigError")
    assert "catalog.strictt" in found["error"]["message"]
    assert "hunter22" not in file.read_text()


def test_error_after_copying_keeps_what_was_done(copy: Copier, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr("pipeline.launch.existence.end_round", fail)
    assert copy.run("run", "--summary", str(file)).status == 1
    found = summary(file)
    assert found["error"] == {"type": "OSError", "message": "[Errno 28] No space left on device: 'somewhere'"}
    assert (found["partitions"]["written"], found["places"]["lake"]) == (3, str(copy.lake))


@pytest.mark.parametrize("moment", ["early", "locked"])
def test_signal_before_copying_leaves_a_summary(moment: str, copy: Copier, file: Path) -> None:
    file.write_text("of an earlier run")
    arguments = ["run", "--summary", str(file), "--wait", "50"]
    if moment == "locked":
        copy.run("run")
        (copy.root / "state" / "checkpoint.json").unlink()
    from bronze.storage.local import LocalStore

    holder = LocalStore(copy.root / "data").exclusive("the chain bronze/standalone/e1/v1", holder="test", wait_s=0)
    with holder:
        process = copy.start(*arguments, LOG_LEVEL="debug")
        wait_until(lambda: not file.exists(), "the earlier summary to be removed")
        process.send_signal(signal.SIGTERM)
        assert finish(process).status == 143
    found = summary(file)
    assert (found["exit_status"], found["result"]) == (143, "stopped")


def test_locked_run_says_so_in_its_summary(copy: Copier, file: Path) -> None:
    from bronze.storage.local import LocalStore

    with LocalStore(copy.root / "data").exclusive("the chain bronze/standalone/e1/v1", holder="test", wait_s=0):
        assert copy.run("run", "--summary", str(file)).status == 4
    assert (summary(file)["result"], summary(file)["error"]["type"]) == ("locked", "LockedError")


def test_summary_that_cannot_be_written_is_refused(copy: Copier, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere" / "x.json", tmp_path):
        ran = copy.run("run", "--summary", str(path))
        assert (ran.status, ran.out) == (2, "")
        assert f"--summary {path}: no file can be written there" in ran.err
    assert not (copy.root / "data").exists()
