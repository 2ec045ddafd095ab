"""How long a copy is expected to take: from the times in manifests, else from measured figures, else unknown."""

from __future__ import annotations

import pytest

from bronze.dataset.dataset import Dataset
from bronze.partitioning.partition import Partition
from bronze.storage.memory import MemoryStore
from bronze.timestamps import rfc3339
from pipeline.launch.pace import Basis, ExpectedTime, expected_time
from tests.bronze.conftest import ERA, lay, summary

#: Ledgers and bytes of a partition, and seconds at which the first is published.
SIZE, BYTES, BEGAN = 10, 5_000, 1_800_000_000.0


@pytest.fixture
def dataset() -> Dataset:
    return Dataset(MemoryStore(), "bronze", "ledgers_lcm_raw")


def publish(dataset: Dataset, times: list[float]) -> list[Partition]:
    """Publish partitions in ledger order at these times."""
    found = []
    for number, at in enumerate(times):
        made = summary(2 + number * SIZE, 1 + (number + 1) * SIZE, byte_size=BYTES)
        lay(dataset, ERA, made)
        key = dataset.manifest_key(ERA, made.partition)
        text = dataset.store.read(key).replace(b"2026-01-01T00:00:00Z", rfc3339(int((BEGAN + at) * 1e9)).encode())
        dataset.store.replace(key, text)
        found.append(made.partition)
    return found


def expected(
    dataset: Dataset, published: list[Partition], workers: int = 1, to_write: int | None = 1_000_000
) -> ExpectedTime:
    return expected_time(dataset, ERA, published, 2_000, to_read=1_000_000, to_write=to_write, workers=workers)


def test_published_partitions_tell_the_pace(dataset: Dataset) -> None:
    published = publish(dataset, [0.5 * number for number in range(12)])  # 20 ledgers/s, 10,000 bytes/s
    found = expected(dataset, published)
    assert (found.basis, found.sampled) == (Basis.PUBLISHED, 8)
    assert found.shortest_s == found.longest_s == pytest.approx(100)
    assert found.ledgers_per_s == pytest.approx(20)
    assert expected(dataset, published, to_write=None).shortest_s == pytest.approx(100)  # by ledgers: 2,000 / 20


def test_partitions_of_several_workers_come_together(dataset: Dataset) -> None:
    # four workers, each 2 s for a partition: 20 ledgers/s in all, however near the four lie
    times = [2.0 * wave + 0.01 * worker for wave in range(4) for worker in range(4)]
    assert expected(dataset, publish(dataset, times), workers=4).ledgers_per_s == pytest.approx(20, rel=0.02)


def test_pause_between_runs_is_left_out(dataset: Dataset) -> None:
    times = [0.5 * number for number in range(4)] + [90_000 + 0.5 * number for number in range(12)]
    found = expected(dataset, publish(dataset, times), workers=4)  # reads all sixteen manifests
    assert (found.sampled, found.ledgers_per_s) == (12, pytest.approx(20))


@pytest.mark.parametrize(
    "times",
    [
        pytest.param([], id="nothing is published"),
        pytest.param([0.5 * number for number in range(7)], id="too few"),
        pytest.param([0.0] * 12, id="all at one moment"),
        pytest.param([50.0 * number for number in range(12)], id="as fast as ledgers close: the run followed"),
        pytest.param([1_000.0 * number for number in range(12)], id="a pause between any two"),
    ],
)
def test_other_times_give_measured_figures(dataset: Dataset, times: list[float]) -> None:
    found = expected(dataset, publish(dataset, times))
    assert found.basis is Basis.MEASURED
    assert (found.shortest_s, found.longest_s) == (pytest.approx(0.6 + 0.025), pytest.approx(1.3 + 0.1))
    two = expected(dataset, [], workers=2)
    assert two.shortest_s == pytest.approx(0.625 / 1.7)


def test_damaged_manifests_tell_nothing(dataset: Dataset) -> None:
    published = publish(dataset, [0.5 * number for number in range(8)])
    dataset.store.replace(dataset.manifest_key(ERA, published[-1]), b"{")
    assert expected(dataset, published).basis is Basis.MEASURED


def test_time_without_bytes_is_unknown(dataset: Dataset) -> None:
    found = expected_time(dataset, ERA, [], 2_000, to_read=None, to_write=None, workers=2)
    assert (found.basis, found.shortest_s, found.longest_s) == (Basis.UNKNOWN, None, None)
    nothing = expected_time(dataset, ERA, [], 0, to_read=None, to_write=None, workers=2)
    assert (nothing.basis, nothing.longest_s) == (Basis.NOTHING, 0.0)
