"""What a run finds at its end of what is there."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.launch.existence import end_round
from pipeline.launch.prepare import prepare
from pipeline.settings import load
from tests.e2e.conftest import Copier, LakeFiles, copier, own_environment, sample, sample_lakes  # noqa: F401

# ruff: noqa: F811 - fixtures are imported by name


def test_partitions_of_another_run_are_no_gap(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> None:
    """In buckets no lock keeps runs apart: the chain may move on after this one has listed what is published."""
    copy = copier(sample(first=8, ledgers=16).root, ledger_start=8, ledger_end=15, partition_size=4)
    assert copy.run().status == 0
    prepared = prepare(load(copy.config, {}))
    copy.settings["era"]["ledger_end"] = 23
    assert copy.run().status == 0
    with prepared.connections:
        ended = end_round(prepared)
    assert [position.next_ledger for position in ended.positions] == [24]
    assert ended.gaps == {"standalone/e1/v1": []}
    assert ended.problems == {}
