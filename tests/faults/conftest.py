"""Shared by the fault injection tests; they need strace, and processes of the real program.

Fixtures:
    own_environment  used by every test: no variable of the caller's environment configures the program
    bed         a lake of 20 partitions, an undisturbed copy, copies to disturb (`bed.Bed`); one for the session

Some run by default, all with ``pytest tests/faults -m ""``; the full campaign is
``python -m tests.faults.campaign --kills 200 --races 50``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import own_environment
from tests.faults.bed import Bed
from tests.faults.downstream_servers import downstream_servers

__all__ = ["own_environment"]


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    if shutil.which("strace") is None:
        pytest.fail("fault injection needs strace: apt-get install strace")
    folder = tmp_path_factory.mktemp("faults")
    with downstream_servers() as servers:
        yield Bed(folder, servers)
