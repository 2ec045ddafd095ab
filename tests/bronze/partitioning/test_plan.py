"""Plans of an era: examples, and what holds for every era, position, newest ledger and published partition."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.errors import ConfigError, StateError
from bronze.lake.layout import LakeLayout
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition, grid_partitions, last_complete_ledger
from bronze.partitioning.plan import EraPlan, plan_era
from tests.bronze.conftest import GRID, Workspace, copy, era


class Published(set[Partition]):
    """Existing partitions in memory; all of them are published."""

    def list_partitions(self, era: Era) -> list[Partition]:
        return sorted(self)

    def find_manifest(self, era: Era, partition: Partition) -> Partition | None:
        return partition if partition in self else None


def plan(
    one: Era, next_ledger: int, newest: int | None, published: Iterable[str] = (), *, partial: bool = False
) -> EraPlan:
    existing = Published(Partition(*map(int, name.split("-"))) for name in published)
    return plan_era(one, next_ledger, newest, existing, partial=partial)


@pytest.mark.parametrize(
    ("one", "next_ledger", "newest", "partial", "published", "expected", "tail"),
    [
        # an era with an end goes to it, whatever the lake holds
        (era(ledger_end=25), 2, None, False, [], "2-11 12-21 22-25", 0),
        (era(ledger_end=25), 2, 13, False, [], "2-11 12-21 22-25", 0),
        # an open-ended era goes to the last complete partition of the lake
        (era(), 2, 25, False, [], "2-11 12-21", 4),
        (era(), 2, 21, False, [], "2-11 12-21", 0),
        (era(), 2, 10, False, [], "", 9),  # no partition is complete
        (era(), 2, 1, False, [], "", 0),  # the lake ends before the era
        # or to the newest ledger, with --publish-partial
        (era(), 2, 25, True, [], "2-11 12-21 22-25", 0),
        # resumed on the grid, off the grid, at the end, after the end
        (era(), 12, 25, False, [], "12-21", 4),
        (era(), 15, 35, False, [], "15-21 22-31", 4),
        (era(), 22, 25, False, [], "", 4),
        (era(), 99, 25, False, [], "", 0),
        (era(ledger_end=25), 26, None, False, [], "", 0),
        # a position before the era is its start
        (era(ledger_start=12), 0, 21, False, [], "12-21", 0),
        # grids that begin at 0 or 1 hold ledgers from 2 on
        (era(ledger_start=0), 0, 19, False, [], "0-9 10-19", 0),
        (era(ledger_start=1), 1, 20, False, [], "1-10 11-20", 0),
        (era(ledger_start=1, ledger_end=2), 1, None, False, [], "1-2", 0),
        # published partitions on the grid change nothing
        (era(), 2, 31, False, ["2-11", "12-21"], "2-11 12-21 22-31", 0),
        # off-grid ones stay as they are, the grid continues after them
        (era(), 2, 41, False, ["12-14"], "2-11 12-14 15-21 22-31 32-41", 0),
        (era(), 2, 41, False, ["5-25"], "2-4 5-25 26-31 32-41", 0),
        (era(), 15, 41, False, ["12-20"], "12-20 21-21 22-31 32-41", 0),  # the position lies in it
        (era(), 2, 31, False, ["30-35"], "2-11 12-21 22-29 30-35", 0),  # it ends after the last complete one
        (era(), 2, 31, False, ["32-33"], "2-11 12-21 22-31", 0),  # it comes after the plan
        # with allow_overwrite everything is copied again
        (era(allow_overwrite=True), 22, 31, False, ["12-14"], "2-11 12-14 15-21 22-31", 0),
    ],
)
def test_plan_of_era(
    one: Era, next_ledger: int, newest: int | None, partial: bool, published: list[str], expected: str, tail: int
) -> None:
    found = plan(one, next_ledger, newest, published, partial=partial)
    assert " ".join(map(str, found.partitions)) == expected
    assert found.incomplete_tail == tail


@pytest.mark.parametrize(
    ("next_ledger", "newest", "unfinished", "expected", "end", "tail"),
    [
        (22, 25, ["22-25"], "22-25", 25, 0),  # a partial run began it
        (22, 45, ["22-25"], "22-25 26-31 32-41", 41, 4),
        (22, 25, ["2-11"], "2-11", 21, 4),  # behind the position
        (32, 45, ["12-15", "2-11"], "2-11 12-15 32-41", 41, 4),
        (22, 41, ["22-31"], "22-31 32-41", 41, 0),  # on the grid
        (22, 35, ["32-40"], "22-31 32-40", 31, 4),  # the lake does not hold it
    ],
)
def test_unfinished_partitions_are_planned_whole(
    next_ledger: int, newest: int, unfinished: list[str], expected: str, end: int, tail: int
) -> None:
    kept = [Partition(*map(int, name.split("-"))) for name in unfinished]
    found = plan_era(era(), next_ledger, newest, Published(), partial=False, unfinished=kept)
    assert " ".join(map(str, found.partitions)) == expected
    assert (found.end, found.incomplete_tail) == (end, tail)


def test_dataset_keeps_published_off_grid_partition(workspace: Workspace) -> None:
    copy(workspace, [Partition(2, 8)])
    (workspace.data / workspace.dataset.directory(workspace.era, GRID[1])).mkdir()  # a directory without manifest
    found = plan_era(workspace.era, 2, 31, workspace.dataset, partial=False)
    assert " ".join(map(str, found.partitions)) == "2-8 9-11 12-21 22-31"


def test_directory_without_manifest_is_not_kept(workspace: Workspace) -> None:
    (workspace.data / workspace.dataset.directory(workspace.era, Partition(5, 8))).mkdir(parents=True)
    assert plan_era(workspace.era, 2, 11, workspace.dataset, partial=False).partitions == (Partition(2, 11),)


@pytest.mark.parametrize(
    ("published", "message"),
    [
        (
            ["5-14", "10-19"],
            "published partition 10-19 of standalone/e1/v1 overlaps the one before it, which ends at 14",
        ),
        (["5-25", "7-8"], "7-8 of standalone/e1/v1 overlaps"),
        # one of them is on the grid
        (["2-11", "5-14"], "published partition 5-14 of standalone/e1/v1 overlaps the one before it, which ends at 11"),
        (["5-14", "12-21"], "published partition 12-21 of standalone/e1/v1 overlaps"),
    ],
)
def test_overlapping_published_partitions_are_refused(published: list[str], message: str) -> None:
    with pytest.raises(StateError, match=message):
        plan(era(), 2, 41, published)


def test_damaged_off_grid_partition_is_refused(workspace: Workspace) -> None:
    copy(workspace, [Partition(2, 8)])
    workspace.parquet(Partition(2, 8)).unlink()
    with pytest.raises(StateError, match=r"range=2-8/_manifest\.json"):
        plan_era(workspace.era, 2, 41, workspace.dataset, partial=False)


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (era(ledger_start=0, partition_size=1), "first partition 0-0 of era 'e1' would be empty"),
        (era(ledger_start=0, partition_size=2), "first partition 0-1 of era 'e1' would be empty"),
        (era(ledger_start=1, partition_size=1), "first partition 1-1 of era 'e1' would be empty"),
    ],
)
def test_empty_first_partition_is_refused(one: Era, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(one, 0, 50)


@pytest.mark.parametrize(
    ("one", "next_ledger", "newest", "expected", "tail"),
    [
        (era(ledger_end=25), 2, 13, "2-11", 2),  # the lake decides, not the era's end
        (era(ledger_end=25), 12, 25, "12-21 22-25", 0),  # the era's end completes its last partition
        (era(ledger_end=25), 12, 90, "12-21 22-25", 0),
        (era(ledger_end=25), 22, 24, "", 3),
        (era(), 2, None, "", 0),  # an empty lake has nothing yet
        (era(ledger_end=25), 2, None, "", 0),
        (era(ledger_end=25), 26, None, "", 0),  # and need not have what is all copied
    ],
)
def test_available_ledgers_limit_the_plan(
    one: Era, next_ledger: int, newest: int | None, expected: str, tail: int
) -> None:
    found = plan_era(one, next_ledger, newest, Published(), partial=False, available_only=True)
    assert (" ".join(map(str, found.partitions)), found.incomplete_tail) == (expected, tail)


@pytest.mark.parametrize("one", [era(), era(ledger_end=25)])
def test_lake_of_begun_chain_is_not_empty(one: Era) -> None:
    with pytest.raises(ConfigError, match="the lake is empty, but era 'e1' is committed up to ledger 11"):
        plan_era(one, 12, None, Published(), partial=False, available_only=True)


def test_open_ended_era_needs_a_newest_ledger() -> None:
    with pytest.raises(ConfigError, match="'e1' has no ledger_end and the lake is empty"):
        plan(era(), 2, None)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Era, int, int, bool, list[Partition]]:
    """An era, where its chain stands, the newest ledger, whether partial, and published off-grid partitions."""
    start, size = draw(st.integers(0, 30)), draw(st.integers(3, 20))
    end = draw(st.just(0) | st.integers(max(start, 2), start + 100))
    one = era(ledger_start=start, ledger_end=end, partition_size=size, allow_overwrite=draw(st.booleans()))
    # One that begins at 2 would leave an empty partition 0-1 before it, which is refused.
    cuts = sorted(draw(st.sets(st.integers(start if start >= 2 else 3, start + 110), max_size=6)))
    pairs = [Partition(low, high - 1) for low, high in itertools.pairwise(cuts)]
    published = [pair for pair in pairs if pair.end <= one.last_ledger and draw(st.booleans())]
    return one, draw(st.integers(0, start + 120)), draw(st.integers(2, start + 120)), draw(st.booleans()), published


@given(situations())
def test_every_plan_covers_exactly_its_range(situation: tuple[Era, int, int, bool, list[Partition]]) -> None:
    one, next_ledger, newest, partial, published = situation
    found = plan_era(one, next_ledger, newest, Published(published), partial=partial)
    start = one.ledger_start if one.allow_overwrite else max(one.ledger_start, next_ledger)
    end = one.ledger_end or (newest if partial else last_complete_ledger(one, newest))
    assert (found.start, found.end) == (start, end)
    parts = found.partitions
    if start > end:
        assert not parts
    else:
        # complete, contiguous, disjoint: only a published partition reaches over either end
        assert parts[0].start <= start <= parts[0].end
        assert parts[0].start == start or parts[0] in published
        assert parts[-1].start <= end <= parts[-1].end
        assert parts[-1].end == end or parts[-1] in published
        assert all(before.end + 1 == after.start for before, after in itertools.pairwise(parts))
        # what is published is kept whole
        assert {one for one in published if one.start <= end and start <= one.end} <= set(parts)
        # what is new is cut by the grid, by the ends of the plan and by what is published, and by nothing else
        edges = {start, end + 1} | {edge for one in published for edge in (one.start, one.end + 1)}
        for part in set(parts) - set(published):
            for edge in (part.start, part.end + 1):
                assert edge in edges or (edge - one.ledger_start) % one.partition_size == 0
            assert len(part) <= one.partition_size
    # new partitions of an open-ended era are complete unless --publish-partial is given
    if not one.ledger_end and not partial and not published and start == one.ledger_start:
        assert all(len(part) == one.partition_size for part in parts)
    if not one.ledger_end:
        assert found.incomplete_tail == max(0, newest - max(end, start - 1))
    assert found.ledger_count == sum(1 for part in parts for ledger in range(part.start, part.end + 1) if ledger >= 2)


@given(situations(), st.data())
def test_plan_resumed_after_any_partition_is_the_rest(
    situation: tuple[Era, int, int, bool, list[Partition]], data: st.DataObject
) -> None:
    one, _, newest, partial, published = situation
    one = era(ledger_start=one.ledger_start, ledger_end=one.ledger_end, partition_size=one.partition_size)
    whole = plan_era(one, 0, newest, Published(published), partial=partial).partitions
    done = data.draw(st.integers(0, len(whole)))
    next_ledger = whole[done - 1].end + 1 if done else one.ledger_start
    # what was copied is published meanwhile
    existing = Published([*published, *whole[:done]])
    assert plan_era(one, next_ledger, newest, existing, partial=partial).partitions == whole[done:]


@given(st.integers(0, 40), st.integers(3, 30), st.integers(40, 120), st.sampled_from([1, 2, 7, 64]))
def test_files_are_counted_once_per_partition(start: int, size: int, end: int, k: int) -> None:
    one, layout = era(ledger_start=start, ledger_end=end, partition_size=size), LakeLayout(k, 10)
    parts = tuple(grid_partitions(one, start, end))
    read = [{layout.key(ledger) for ledger in range(max(part.start, 2), part.end + 1)} for part in parts]
    assert EraPlan(era=one, start=start, end=end, incomplete_tail=0, partitions=parts).file_count(k) == sum(
        map(len, read)
    )
