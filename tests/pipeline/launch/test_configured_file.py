"""Files that the settings name are regular ones of a bounded size; nothing else is waited for, or read without end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bronze.errors import ConfigError
from pipeline.launch.configured_file import read_configured_file

LIMIT = 1 << 20


def test_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "anchors.json"
    path.write_bytes(bytes(LIMIT))
    link = tmp_path / "link"
    link.symlink_to(path)
    for one in (path, link):
        assert read_configured_file(str(one), "the setting", LIMIT) == bytes(LIMIT)
    path.write_bytes(bytes(LIMIT + 1))
    with pytest.raises(ConfigError, match=r"^the setting has more than 1 MiB$"):
        read_configured_file(str(path), "the setting", LIMIT)


@pytest.mark.timeout(20)
def test_odd_files_are_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, message in (
        (str(pipe), "is not a regular file"),
        ("/dev/zero", "is not a regular file"),
        (str(tmp_path), "is not a regular file"),
        (str(tmp_path / "absent"), "cannot be read: No such file or directory"),
        ("a\0b", "cannot be read: embedded null byte"),
    ):
        with pytest.raises(ConfigError, match=f"^the setting {message}"):
            read_configured_file(path, "the setting", LIMIT)
