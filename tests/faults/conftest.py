"""Shared by the fault injection tests; they need strace, and processes of the real program.

Fixtures:
    own_environment  used by every test: no variable of whoever runs the tests configures the program
    bed         a lake of 20 partitions, a copy that nobody disturbed, copies to disturb (`bed.Bed`); one a session

A part of them runs by default, all with ``pytest tests/faults -m ""``; the full campaign is
``python -m tests.faults.campaign --kills 200 --races 50``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import own_environment
from tests.faults.bed import Bed
from tests.faults.outside import outside

__all__ = ["own_environment"]


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    if shutil.which("strace") is None:
        pytest.fail("fault injection needs strace: apt-get install strace")
    folder = tmp_path_factory.mktemp("faults")
    with outside() as servers:
        yield Bed(folder, servers)
