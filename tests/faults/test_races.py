"""Several copiers at once end with one chain, whichever wins, with the locks of whole runs and without them."""

from __future__ import annotations

import pytest

from tests.faults.bed import Bed
from tests.faults.races import KINDS, race, remove

#: Kinds that take long and are much like others.
FULL = ["two sizes, no locks", "four of the same range, no locks"]


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "name", [name if name not in FULL else pytest.param(name, marks=pytest.mark.full) for name in KINDS]
)
def test_racing_copiers_make_one_chain(name: str, bed: Bed) -> None:
    raced = race(bed, KINDS[name], f"race {name}")
    assert not raced.problems, f"{raced.copy.root}: {raced.ended}\n" + "\n".join(raced.problems)
    remove(raced)
