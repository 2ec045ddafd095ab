"""Eras: their fields, their names, and conflicts between them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.errors import ConfigError
from bronze.partitioning.era import Era, era_conflicts, ordered_eras
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
def test_era_with_invalid_field_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        era(**wrong)


def test_chain_and_file_names() -> None:
    assert era("pre_p23").chain == "pubnet/pre_p23/v1"
    assert era("pre_p23").file_prefix == "pubnet_pre_p23_v1"


def test_last_ledger_of_open_ended_era_is_highest() -> None:
    assert era(end=99).last_ledger == 99
    assert era(end=0).last_ledger == MAX_LEDGER
    assert era(start=7, end=7).last_ledger == 7  # an era of one ledger


@pytest.mark.parametrize(
    ("eras", "problem"),
    [
        # adjacent eras do not overlap
        ([era("a", 1, 99), era("b", 100, 0)], None),
        # a gap between eras is allowed
        ([era("a", 1, 99), era("b", 200, 0)], None),
        # in any order
        ([era("b", 100, 0), era("a", 1, 99)], None),
        # the last ledger of one is the first of the next
        ([era("a", 1, 100), era("b", 100, 0)], r"eras 'a' \(1-100\) and 'b' \(100-\) overlap"),
        # one inside another
        ([era("a", 1, 100), era("b", 10, 20)], r"eras 'a' \(1-100\) and 'b' \(10-20\) overlap"),
        # an open-ended era that is not the last one
        ([era("a", 1, 0), era("b", 100, 0)], "'a' has no end .* before era 'b'.* ledger_end to 99 or less"),
        # two eras of the same name
        ([era("a", 1, 9), era("a", 10, 0)], "two eras are named pubnet/a/v1"),
        # the same era in two versions shares no ledger
        ([era("a", 1, 9), era("a", 10, 0, version_label="v2")], None),
        # different chains whose files would have the same names
        ([era("a_b", 1, 9, version_label="c"), era("a", 10, 0, version_label="b_c")], "share their event files"),
        # a lake belongs to one network
        ([era("a", 1, 9), era("b", 10, 0, network="testnet")], "2 networks"),
    ],
)
def test_conflicts_between_eras_are_found(eras: list[Era], problem: str | None) -> None:
    if problem is None:
        assert era_conflicts(eras) == []
        assert ordered_eras(eras) == tuple(sorted(eras, key=lambda one: one.ledger_start))
    else:
        with pytest.raises(ConfigError, match=problem):
            ordered_eras(eras)


def test_no_era_is_refused() -> None:
    with pytest.raises(ConfigError, match="no era"):
        ordered_eras([])


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=6))
def test_eras_conflict_exactly_when_sharing_a_ledger(ranges: list[tuple[int, int]]) -> None:
    spans = [(low, high or 1) for low, high in map(sorted, ranges)]
    eras = [era(f"e{index}", min(span), max(span)) for index, span in enumerate(spans)]
    ledgers = [ledger for one in eras for ledger in range(one.ledger_start, one.ledger_end + 1)]
    assert bool(era_conflicts(eras)) == (len(ledgers) != len(set(ledgers)))
