"""Shared by the fault injection tests; they need strace, and processes of the real program.

Fixtures:
    own_environment  used by every test: no variable of whoever runs the tests configures the program
    bed         a lake of 20 partitions, a copy that nobody disturbed, copies to disturb (`harness.Bed`); one a session

BRONZE_FAULTS_SCALE multiplies the number of kills and races (1 unless set); the full campaign is
``python -m tests.faults.campaign --kills 200 --races 50``.
"""

from __future__ import annotations

import os
import shutil

import pytest

from tests.e2e.conftest import own_environment
from tests.faults.harness import Bed

__all__ = ["own_environment"]

SCALE = int(os.environ.get("BRONZE_FAULTS_SCALE", "1"))


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Bed:
    if shutil.which("strace") is None:
        pytest.fail("fault injection needs strace: apt-get install strace")
    return Bed(tmp_path_factory.mktemp("faults"))
