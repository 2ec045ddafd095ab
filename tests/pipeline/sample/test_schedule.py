"""The schedule of a sample chain."""

from __future__ import annotations

import pytest

from pipeline.sample import ChainSchedule, sample_chain


@pytest.mark.parametrize(
    ("first", "count", "protocols", "message"),
    [
        pytest.param(1, 5, [19], r"ledgers 1-5 are not in 2\.\.", id="genesis has no close meta"),
        pytest.param(2, 0, [19], "at least 1 ledger, not 0", id="no ledger"),
        pytest.param(2**32 - 1, 2, [19], r"are not in 2\.\.4294967295", id="beyond the last ledger number"),
        pytest.param(2, 5, [], "not an ascending list", id="no protocol"),
        pytest.param(2, 5, [20, 19], "not an ascending list", id="descending"),
        pytest.param(2, 5, [99], r"not an ascending list of 1\.\.29", id="unknown protocol"),
    ],
)
def test_impossible_chain_is_refused(first: int, count: int, protocols: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next(sample_chain(first, count, protocols=protocols))


def test_last_ledger_of_a_segment_upgrades() -> None:
    schedule = ChainSchedule(10, 6, (22, 23))
    ledgers = range(10, 16)
    assert [schedule.protocol(ledger) for ledger in ledgers] == [22, 22, 22, 23, 23, 23]
    assert [schedule.header_protocol(ledger) for ledger in ledgers] == [22, 22, 23, 23, 23, 23]
    assert [schedule.close_version(ledger) for ledger in ledgers] == [1, 1, 1, 2, 2, 2]
