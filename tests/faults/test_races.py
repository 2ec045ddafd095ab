"""Two copiers of one range at the same time end with one chain, whichever wins."""

from __future__ import annotations

import pytest

from tests.faults.bed import Bed


@pytest.mark.timeout(240)
@pytest.mark.parametrize("number", range(4))
def test_racing_copiers_make_one_chain(number: int, bed: Bed) -> None:
    bed.race(f"race {number}").check()
