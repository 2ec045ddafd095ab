"""A fleet that fails: the chain is that of an undisturbed run. A smaller form of ``python -m tests.scale.fleet``."""

from __future__ import annotations

from pathlib import Path

import pytest

from bronze.outcomes import CommittedPartition, PartitionSummary
from tests.scale.fleet import Measured, run_dealt, run_graph, run_with_faults
from transforms.sequence import NEAR

#: Several times what is near.
PARTITIONS = 3 * NEAR


def requests(measured: Measured) -> int:
    return sum(measured.requests.values())


def test_graph_commits_partitions_in_random_order(tmp_path: Path) -> None:
    measured = run_graph(PARTITIONS, 7, tmp_path)
    assert measured.problems == []
    wanted = {PartitionSummary.__name__: PARTITIONS, CommittedPartition.__name__: PARTITIONS}
    assert measured.counted["outcomes"] == wanted
    assert measured.counted["lake files"] == PARTITIONS * 10_000 - 2
    assert measured.counted["shuffled bytes"] < 100 * PARTITIONS  # names of files, never ledgers


@pytest.mark.parametrize("seed", [1, 2])
def test_failing_fleet_ends_with_undisturbed_chain(seed: int, tmp_path: Path) -> None:
    measured = run_with_faults(PARTITIONS, seed, tmp_path, failed=0.02, most_in_bundle=4)
    assert measured.problems == []
    assert measured.runs > 1  # partitions failed
    for fault in ("killed", "zombies", "late_zombies", "failed requests"):
        assert measured.counted[fault] > 0, fault
    assert requests(measured) <= 25 * PARTITIONS


@pytest.mark.parametrize("workers", [2, 40])
def test_commits_read_few_waiting_partitions(workers: int, tmp_path: Path) -> None:
    """Those of each worker come together; what a commit reads follows from what is near, not from how many wait."""
    measured = run_dealt(PARTITIONS, workers, tmp_path)
    assert measured.problems == []
    assert measured.counted["most_waiting"] > PARTITIONS / 3
    assert measured.counted["waiting read"] <= PARTITIONS * NEAR
    assert 0 < measured.counted["far read"] <= PARTITIONS * (PARTITIONS / NEAR)
    assert requests(measured) <= 12 * PARTITIONS + 20
