"""What is read for the report beside its audit."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.partitioning.partition import Partition
from pipeline.report.facts import protocol_spans, read_facts
from pipeline.sample import write_sample_lake
from tests.bronze.conftest import GRID, OPTIONS, copy, workspace_at
from tests.pipeline.report.conftest import grid


@given(st.lists(st.integers(0, 40), max_size=4), st.integers(1, 300))
def test_spans_hold_every_version(changes: list[int], count: int) -> None:
    """Whatever the ledgers at which a version ends: all are found, in order, and few files are read."""
    ends = sorted({min(change * 70 + 5, count * 10 - 1) for change in changes})
    parts = grid(count, start=0)

    def version(ledger: int) -> int:
        return sum(ledger > end for end in ends)

    spans, files = protocol_spans(parts, lambda one: (version(one.start), version(one.end)))
    seen = {version(one.start) for one in parts} | {version(one.end) for one in parts}
    assert [span.version for span in spans] == sorted(seen)
    for span in spans:
        assert version(span.first) <= span.version <= version(span.last)
    assert files <= 2 + 2 * 9 * max(1, len(ends))


def test_unreadable_files_are_passed_over() -> None:
    parts = grid(9, start=0)
    spans, _ = protocol_spans(parts, lambda one: None if one.start % 20 else (22, 22))
    assert [(span.version, span.first, span.last) for span in spans] == [(22, 0, 89)]
    assert protocol_spans(parts, lambda _: None)[0] == ()


@pytest.mark.parametrize("lost", [None, GRID[2]])
def test_facts_are_of_readable_manifests(lost: Partition | None, tmp_path: Path) -> None:
    published = workspace_at(tmp_path, write_sample_lake(tmp_path / "lake", OPTIONS).root)
    copy(published)
    if lost is not None:
        published.manifest(lost).write_text("{")
    facts = read_facts(published.audit(), published.era, published.dataset, knows_range=True)
    assert [one.partition for one in facts.manifests] == [one for one in GRID if one != lost]
    assert (facts.ledger_start, facts.ledger_end, facts.partition_size) == (2, None, 10)
    assert facts.protocols[0].first == 2
    assert facts.protocols[-1].last == GRID[-1].end
    assert read_facts(published.audit(), published.era, published.dataset, knows_range=False).ledger_start is None
