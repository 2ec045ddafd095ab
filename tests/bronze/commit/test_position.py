"""How far a chain is committed: examples of each rule, and what holds for any set of events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.audit.event import Event
from bronze.commit.chain_end import ChainEnd
from bronze.commit.checkpoint import Checkpoint
from bronze.commit.position import committed_prefix, position_from_caches, published_prefix, resume_point
from bronze.dataset.manifest import LedgerLinks
from bronze.partitioning.partition import Partition
from bronze.producer import Producer
from tests.bronze.conftest import era, hex_hash


def partition(name: str) -> Partition:
    return Partition(*map(int, name.split("-")))


def chain(names: str, *, pruned: bool = False) -> list[Event]:
    """The events of these ranges in the order of their links; `pruned`: older ones are gone."""
    ranges = [partition(name) for name in names.split()]
    return [
        Event(
            chain="c",
            partition=one,
            checksum="",
            event_id="",
            prev_hash=f"sha256:{at}" if at or pruned else "",
            event_hash=f"sha256:{at + 1}",
            producer=Producer("", "", ""),
            document={},
        )
        for at, one in enumerate(ranges)
    ]


@pytest.mark.parametrize(
    ("ledger_start", "names", "pruned", "expected"),
    [
        (2, "", False, None),
        (2, "2-11 12-21 22-31", False, "22-31"),
        # a leading gap, one in the middle
        (2, "22-31 32-41", False, None),
        (2, "2-11 32-41", False, "2-11"),
        # filled later, corrected later: the order of the links does not matter
        (2, "2-11 32-41 12-21 22-31", False, "32-41"),
        (2, "2-11 12-21 2-11", False, "12-21"),
        # pruned: what lies before the events that are left is committed
        (2, "22-31 32-41", True, "32-41"),
        (2, "22-31 52-61", True, "22-31"),
        (2, "32-41 22-31", True, "32-41"),
        # the era's start was moved: forward, into a partition, behind everything, back
        (12, "2-11 12-21", False, "12-21"),
        (15, "2-11 12-21", False, "12-21"),
        (62, "2-11 12-21", False, None),
        (62, "2-11 12-21", True, None),
        (0, "2-11 12-21", False, None),
        (0, "2-11 12-21", True, "12-21"),
        # the partition size was changed; partitions overlap
        (2, "2-11 12-31 32-36", False, "32-36"),
        (2, "2-15 12-21", False, "12-21"),
        (2, "2-21 5-9 22-31", False, "22-31"),
    ],
)
def test_committed_prefix(ledger_start: int, names: str, pruned: bool, expected: str | None) -> None:
    found = committed_prefix(era(ledger_start=ledger_start), chain(names, pruned=pruned))
    assert found == (partition(expected) if expected else None)


RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 8)).map(lambda pair: (pair[0], sum(pair))), max_size=8)


@given(ranges=RANGES, start=st.integers(0, 40), seed=st.randoms(use_true_random=False))
def test_committed_prefix_ends_at_first_gap(ranges: list[tuple[int, int]], start: int, seed) -> None:
    events = chain(" ".join(f"{low}-{high}" for low, high in ranges))
    last = committed_prefix(era(ledger_start=start), events)
    covered = {ledger for low, high in ranges for ledger in range(low, high + 1)}
    end = last.end if last else start - 1
    assert covered.issuperset(range(start, end + 1))
    assert end + 1 not in covered
    shuffled = [*ranges]
    seed.shuffle(shuffled)
    again = committed_prefix(era(ledger_start=start), chain(" ".join(f"{low}-{high}" for low, high in shuffled)))
    assert (again.end if again else start - 1) == end


@pytest.mark.parametrize(
    ("checkpoint", "expected"),
    [
        (None, (22, Partition(12, 21))),
        (Checkpoint(11, Partition(2, 11)), (12, Partition(2, 11))),  # set back
        (Checkpoint(61, None), (62, None)),  # set forward
        (Checkpoint(0, None), (2, None)),  # before the era: its start
    ],
)
def test_checkpoint_is_obeyed(checkpoint: Checkpoint | None, expected: tuple[int, Partition | None]) -> None:
    assert resume_point(era(), checkpoint, chain("2-11 12-21")) == expected


def links(names: str) -> list[tuple[Partition, LedgerLinks]]:
    """Published partitions that link; behind a range with ``!`` the next one does not."""
    made, hash_ = [], None
    for name in names.split():
        one = partition(name.rstrip("!"))
        last_hash = hex_hash(one.end)
        made.append(
            (
                one,
                LedgerLinks(
                    first=one.start,
                    last=one.end,
                    previous_hash=hash_ or hex_hash(one.start - 1),
                    first_hash="",
                    last_hash=last_hash,
                ),
            )
        )
        hash_ = hex_hash("other") if name.endswith("!") else None
    return made


@pytest.mark.parametrize(
    ("ledger_start", "ledger_end", "names", "expected"),
    [
        (2, 0, "", None),
        (2, 0, "2-11 12-21 22-31", "22-31"),
        (2, 0, "12-21 22-31", None),
        (2, 0, "2-11 22-31", "2-11"),
        (2, 0, "2-11 12-21! 22-31 32-41", "12-21"),
        (12, 0, "2-11! 12-21 22-31", "22-31"),
        (15, 0, "2-11 12-21 22-31", "22-31"),
        (2, 21, "2-11 12-21 22-31", "12-21"),
        (2, 15, "2-11 12-21 22-31", "12-21"),
        (2, 0, "2-15 12-21! 22-31", "12-21"),
    ],
)
def test_published_prefix(ledger_start: int, ledger_end: int, names: str, expected: str | None) -> None:
    found = published_prefix(era(ledger_start=ledger_start, ledger_end=ledger_end), links(names))
    assert found == (partition(expected) if expected else None)


def test_published_prefix_reads_no_further_than_needed() -> None:
    left = iter(links("2-11 22-31 32-41"))
    published_prefix(era(), left)
    assert [str(one) for one, _ in left] == ["32-41"]


@pytest.mark.parametrize(
    ("stated_head", "end", "agrees"),
    [
        # the head is the event of the checkpoint's partition
        ("sha256:1", None, True),
        ("sha256:1", ChainEnd("sha256:1", 1, "ff"), True),
        # a correction came after it, and the files' names tell whether anything else did
        ("sha256:2", ChainEnd("sha256:2", 2, "ff"), True),
        ("sha256:2", ChainEnd("sha256:2", 2, ""), False),
        ("sha256:2", None, False),
        # the two state different heads
        ("sha256:2", ChainEnd("sha256:1", 1, "ff"), False),
    ],
)
def test_caches_count_where_they_agree(stated_head: str, end: ChainEnd | None, agrees: bool) -> None:
    (event,) = chain("2-11")
    found = position_from_caches(Checkpoint(11, Partition(2, 11), chain=end), event, stated_head)
    assert (found is not None) is agrees
    assert found is None or (found.next_ledger, found.head) == (12, stated_head)
