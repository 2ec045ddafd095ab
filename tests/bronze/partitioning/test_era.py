"""Eras alone, beside each other, and as a table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.errors import ConfigError
from bronze.partitioning.era import Era, EraTable, overlap_problems
from bronze.stellar import MAX_LEDGER


def era(era_id: str = "a", start: int = 1, end: int = 0, **others: Any) -> Era:
    values: dict[str, Any] = {"version_label": "v1", "network": "pubnet", "partition_size": 10} | others
    return Era(era_id=era_id, ledger_start=start, ledger_end=end, **values)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"era_id": "../x"}, "era_id '../x' is not a plain path segment"),
        ({"network": ""}, "network '' is not a plain path segment"),
        ({"version_label": "v/1"}, "version_label 'v/1' is not a plain path segment"),
        ({"start": -1}, "ledger_start -1 is not in"),
        ({"start": MAX_LEDGER + 1}, "ledger_start 4294967296 is not in"),
        ({"start": 9, "end": 8}, "ledger_end 8 is not in"),
        ({"end": MAX_LEDGER + 1}, "ledger_end 4294967296 is not in"),
        ({"partition_size": 0}, "partition_size 0 is not positive"),
        ({"partition_size": -5}, "partition_size -5 is not positive"),
    ],
)
def test_refuses(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        era(**wrong)


def test_names() -> None:
    assert era("pre_p23").chain == "pubnet/pre_p23/v1"
    assert era("pre_p23").file_prefix == "pubnet_pre_p23_v1"


def test_last_is_the_end_or_the_highest_ledger_there_can_be() -> None:
    assert era(end=99).last == 99
    assert era(end=0).last == MAX_LEDGER
    assert era(start=7, end=7).last == 7  # an era of one ledger


@pytest.mark.parametrize(
    ("eras", "problem"),
    [
        # they touch: no overlap
        ([era("a", 1, 99), era("b", 100, 0)], None),
        # a gap between eras is allowed
        ([era("a", 1, 99), era("b", 200, 0)], None),
        # in any order
        ([era("b", 100, 0), era("a", 1, 99)], None),
        # the last ledger of one is the first of the next
        ([era("a", 1, 100), era("b", 100, 0)], r"eras 'a' \(1-100\) and 'b' \(100-\) overlap"),
        # one inside another
        ([era("a", 1, 100), era("b", 10, 20)], r"eras 'a' \(1-100\) and 'b' \(10-20\) overlap"),
        # the one without an end is not the last
        ([era("a", 1, 0), era("b", 100, 0)], "'a' has no end .* before era 'b'.* ledger_end 99 or less"),
        # two of one name
        ([era("a", 1, 9), era("a", 10, 0)], "two eras are called pubnet/a/v1"),
        # the same era in two versions shares no ledger
        ([era("a", 1, 9), era("a", 10, 0, version_label="v2")], None),
        # different chains whose files would have the same names
        ([era("a_b", 1, 9, version_label="c"), era("a", 10, 0, version_label="b_c")], "share their event files"),
        # a lake is of one network
        ([era("a", 1, 9), era("b", 10, 0, network="testnet")], "2 networks"),
    ],
)
def test_beside_each_other(eras: list[Era], problem: str | None) -> None:
    if problem is None:
        assert overlap_problems(eras) == []
        assert len(EraTable(eras).eras) == 2
    else:
        with pytest.raises(ConfigError, match=problem):
            EraTable(eras)


def test_a_table_needs_an_era() -> None:
    with pytest.raises(ConfigError, match="no era"):
        EraTable([])


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=6))
def test_a_problem_is_found_exactly_when_two_eras_share_a_ledger(ranges: list[tuple[int, int]]) -> None:
    spans = [(low, high or 1) for low, high in map(sorted, ranges)]
    eras = [era(f"e{index}", min(span), max(span)) for index, span in enumerate(spans)]
    ledgers = [ledger for one in eras for ledger in range(one.ledger_start, one.ledger_end + 1)]
    assert bool(overlap_problems(eras)) == (len(ledgers) != len(set(ledgers)))


TABLE = EraTable([era("b", 100, 199), era("a", 1, 49), era("c", 200, 0)])


@pytest.mark.parametrize(
    ("ledger", "expected"),
    [(0, None), (1, "a"), (49, "a"), (50, None), (99, None), (100, "b"), (199, "b"), (200, "c"), (MAX_LEDGER, "c")],
)
def test_route(ledger: int, expected: str | None) -> None:
    found = TABLE.route(ledger)
    assert (found.era_id if found else None) == expected


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 0, []),  # before the first era
        (50, 99, []),  # between eras
        (5, 5, [("a", 5, 5)]),
        (40, 110, [("a", 40, 49), ("b", 100, 110)]),  # over the gap
        (0, 300, [("a", 1, 49), ("b", 100, 199), ("c", 200, 300)]),
    ],
)
def test_split(start: int, end: int, expected: list[tuple[str, int, int]]) -> None:
    assert [(one.era_id, low, high) for one, low, high in TABLE.split(start, end)] == expected


@given(st.integers(0, 320), st.integers(0, 320))
def test_split_gives_each_ledger_to_the_era_that_it_is_routed_to(one: int, other: int) -> None:
    start, end = sorted((one, other))
    given_to = {ledger: era for era, low, high in TABLE.split(start, end) for ledger in range(low, high + 1)}
    assert given_to == {ledger: era for ledger in range(start, end + 1) if (era := TABLE.route(ledger))}
