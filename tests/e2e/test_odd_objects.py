"""Lake objects that are no regular files of the lake: their partition fails with a clear error, at once."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Copier, LakeFiles


def fifo(path: Path) -> None:
    os.mkfifo(path)


def link_out(path: Path) -> None:
    outside = path.parent.parent.parent / "outside"
    outside.write_bytes(b"not of the lake")
    path.symlink_to(outside)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def directory(path: Path) -> None:
    path.mkdir()


def unmounted(path: Path) -> None:
    path.symlink_to("/not/mounted/object")


def circle(path: Path) -> None:
    path.symlink_to(path.name)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(path.parent):
        server.bind(path.name)


@pytest.mark.parametrize("make", [fifo, link_out, endless, directory, unmounted, circle, unix_socket])
def test_odd_object_fails_only_its_partition(
    make: Callable[[Path], None], sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    lake = sample(first=8, ledgers=24)
    path = lake.path(18)
    lake.remove(18)
    make(path)
    copy = copier(lake.root, ledger_start=8, ledger_end=31, partition_size=8)

    ran = copy.process()  # ends within a minute, or the test fails

    assert ran.status == 1
    (failed,) = ran.lines("failed")
    assert "16-23" in failed
    assert str(path) in failed
    assert copy.partitions() == [(8, 15), (24, 31)]
    assert "Traceback" not in ran.log
