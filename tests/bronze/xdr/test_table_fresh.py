"""The committed table is what the tool makes of the installed stellar-sdk, and it is sound."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from bronze.xdr import table

TOOL = Path(__file__).parents[3] / "tools" / "compile_xdr_table.py"
LENGTHS = {0: 2, 1: 3, 2: 6, 3: 3, 4: 3, 5: 3, 6: 4}


def test_table_is_fresh() -> None:
    if importlib.metadata.version("stellar-sdk") != table.STELLAR_SDK:
        pytest.skip(f"the table is made from stellar-sdk {table.STELLAR_SDK}, another is installed")
    done = subprocess.run([sys.executable, str(TOOL), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_program_targets_stay_inside_it() -> None:
    """What the walker relies on, which checks no index again.

    Known instructions, routines and tables inside the program, slots that there are, elements of 4 bytes at least.
    """
    starts = sorted(table.LABELS)
    routines = {1} | {after for at in starts if table.PROGRAM[at] == 0 and (after := at + 2) in table.LABELS}
    for at in starts:
        op, lead = table.PROGRAM[at : at + 2]
        assert lead >= 0
        assert lead % 4 == 0
        assert at + LENGTHS[op] in table.LABELS or op == 0
        if op == 1:
            low, size, *_ = table.PROGRAM[(arms := table.PROGRAM[at + 2]) :]
            targets = table.PROGRAM[arms + 2 : arms + 2 + size]
            assert arms > starts[-1]
            assert len(targets) == size > 0
            assert low + size <= 2**31
            assert all(target in routines for target in targets if target > 0)
        elif op == 2:
            _, least, slot, routine = table.PROGRAM[at + 2 : at + 6]
            assert least >= 4
            assert 0 <= slot < table.SLOTS
            assert routine in routines
        elif op in (4, 5):
            assert 0 < table.PROGRAM[at + 2] < table.SLOTS
        elif op == 6:
            slot, count = table.PROGRAM[at + 2 : at + 4]
            assert 0 < slot < slot + count <= table.SLOTS
