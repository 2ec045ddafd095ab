"""What the commands with a configuration share: warnings, and sections that a command does not need."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Copier

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
def test_state_commands_need_no_source(copy: Copier, source: object) -> None:
    assert copy.run().status == 0
    copy.settings["source"] = source
    for command in ("verify", "deliver", "repair", "clean"):
        ran = copy.run(command)
        assert (ran.status, ran.err) == (0, ""), command
    assert copy.verified()
    for refused in (copy.run(), copy.run("plan"), copy.run("--validate")):
        assert refused.status == 2
        assert "source" in refused.err


def test_state_commands_ignore_source_variables(copy: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    assert copy.run().status == 0
    monkeypatch.setenv("SOURCE_MODE", "tape")
    assert copy.verified()
    assert "source.mode (SOURCE_MODE): 'tape'" in copy.run().err


@pytest.mark.parametrize("command", ["verify", "deliver", "repair", "clean"])
def test_state_commands_check_other_settings(copy: Copier, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").touch()
    copy.settings["source"] = {"mode": "tape"}
    copy.settings["storage"]["local_dir"] = str(tmp_path / "file")
    ran = copy.run(command)
    assert (ran.status, "storage.local_dir" in ran.err, "source" in ran.err) == (2, True, False)
    copy.settings["storag"] = {}
    ran = copy.run(command)
    assert (ran.status, "is not a key: did you mean storage?" in ran.err, "source" in ran.err) == (2, True, False)
