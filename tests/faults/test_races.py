"""Two copiers at the same time end with one chain, whichever wins, with the locks of whole runs and without them."""

from __future__ import annotations

import pytest

from tests.faults.bed import Bed
from tests.faults.races import KINDS, race, remove


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", KINDS)
def test_racing_copiers_make_one_chain(name: str, bed: Bed) -> None:
    raced = race(bed, KINDS[name], f"race {name}")
    assert not raced.problems, f"{raced.copy.root}: {raced.ended}\n" + "\n".join(raced.problems)
    remove(raced)
