"""Files are dealt to partitions: each file stands in the source once, each partition gets exactly its files."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from bronze.lake.layout import LakeLayout
from bronze.partitioning.partition import Partition
from bronze.stellar import FIRST_LEDGER, MAX_LEDGER
from tests.transforms.conftest import run
from transforms.elements import BatchFiles, PartitionKey
from transforms.key_by_partition import KeyByPartition, batch_files


@dataclass(frozen=True)
class Case:
    """Partitions of a run in ledger order, with gaps where they exist already, and the lake's layout."""

    keys: list[PartitionKey]
    layout: LakeLayout
    most: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    at = draw(st.sampled_from([0, 1, 2, 3, 1000, MAX_LEDGER - 400]))
    keys = []
    for number in range(draw(st.integers(1, 12))):
        start = at + draw(st.sampled_from([0, 0, 0, 1, 7, 40]))
        # A partition holds a ledger that exists: the plan sees to that.
        end = max(start + draw(st.integers(0, 20)), FIRST_LEDGER)
        keys.append(PartitionKey(f"net/e{number // 4}/v1", Partition(start, end)))
        at = end + 1
    return Case(
        keys, LakeLayout(draw(st.sampled_from([1, 2, 3, 4, 8, 64])), 1), draw(st.sampled_from([1, 2, 5, 10_000]))
    )


def files_of(case: Case, key: PartitionKey) -> list[int]:
    """First ledgers of the names of the files that hold the partition: of each of its ledgers, the plain way."""
    return sorted(
        {
            case.layout.file_start(ledger)
            for ledger in range(max(key.partition.start, FIRST_LEDGER), key.partition.end + 1)
        }
    )


@given(cases())
def test_source_contains_every_file_once(case: Case) -> None:
    runs = list(batch_files(case.keys, case.layout, most=case.most))

    listed = [start for span in runs for start in span.starts()]

    assert listed == sorted({start for key in case.keys for start in files_of(case, key)})
    assert all(1 <= len(span.starts()) <= case.most for span in runs)


@given(cases())
def test_every_partition_gets_exactly_its_files_in_order(case: Case) -> None:
    stage = KeyByPartition(case.keys, case.layout)
    dealt: dict[PartitionKey, list[BatchFiles]] = defaultdict(list)
    for span in batch_files(case.keys, case.layout, most=case.most):
        for key, part in stage.process(span):
            dealt[key].append(part)

    assert {key: [start for part in sorted(parts) for start in part.starts()] for key, parts in dealt.items()} == {
        key: files_of(case, key) for key in case.keys
    }


@given(cases())
def test_file_goes_to_every_partition_it_overlaps(case: Case) -> None:
    stage = KeyByPartition(case.keys, case.layout)
    dealt = Counter(
        start
        for span in batch_files(case.keys, case.layout, most=case.most)
        for _, part in stage.process(span)
        for start in part.starts()
    )
    assert dealt == Counter(start for key in case.keys for start in files_of(case, key))


@pytest.mark.parametrize(
    ("k", "partitions", "dealt"),
    [
        pytest.param(1, [(8, 9), (10, 11)], {(8, 9): [8, 9], (10, 11): [10, 11]}, id="a file for each ledger"),
        pytest.param(4, [(8, 13), (14, 19)], {(8, 13): [8, 12], (14, 19): [12, 16]}, id="12-15 straddles 13|14"),
        pytest.param(64, [(8, 9), (10, 99)], {(8, 9): [0], (10, 99): [0, 64]}, id="several partitions in one file"),
        pytest.param(4, [(0, 1 + 4), (6, 8)], {(0, 5): [0, 4], (6, 8): [4, 8]}, id="the file named from 0 starts at 2"),
        pytest.param(1, [(0, 3)], {(0, 3): [2, 3]}, id="ledgers 0 and 1 have no file"),
    ],
)
def test_stages_group_files_in_graph(
    k: int, partitions: list[tuple[int, int]], dealt: dict[tuple[int, int], list[int]]
) -> None:
    layout = LakeLayout(k, 1)
    keys = [PartitionKey("net/e1/v1", Partition(*part)) for part in partitions]

    def graph(pipeline: beam.Pipeline) -> None:
        grouped = (
            pipeline
            | beam.Create(list(batch_files(keys, layout)), reshuffle=False)
            | beam.ParDo(KeyByPartition(keys, layout))
            | beam.GroupByKey()
            | beam.Map(
                lambda pair: (
                    pair[0].partition,
                    [s for f in sorted(pair[1]) for s in f.starts()],
                )
            )
        )
        assert_that(grouped, equal_to([(Partition(*part), starts) for part, starts in dealt.items()]))

    run(graph)
