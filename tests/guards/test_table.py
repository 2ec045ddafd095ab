"""The table of guards is up to date: each text occurs once, and the nearest tests exist."""

from __future__ import annotations

import pytest

from tests.guards.mutations import ROOT
from tests.guards.table import MUTATIONS, Mutation


def test_table_holds_enough_guards() -> None:
    assert len(MUTATIONS) >= 60
    assert len({(one.file, one.old) for one in MUTATIONS}) == len(MUTATIONS)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: f"{one.file}: {one.protects}")
def test_guard_is_where_the_table_says(mutation: Mutation) -> None:
    assert (ROOT / mutation.file).read_text(encoding="utf-8").count(mutation.old) == 1
    assert mutation.old != mutation.new
    assert any((ROOT / test).exists() for test in mutation.tests)
