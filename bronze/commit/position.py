"""The position of a chain: the next ledger to commit, decided from what is recorded. Pure: nothing is read here.

The rules are written once, because every command that asks must get the same answer: `run` when it resumes, `repair`
when it rebuilds a lost checkpoint, `verify` when it looks for gaps. `bronze.commit.chain_state` reads what they need.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from bronze.audit.event import Event
from bronze.commit.chain_end import ChainEnd
from bronze.commit.checkpoint import Checkpoint
from bronze.dataset.manifest import LedgerLinks
from bronze.errors import StateError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition


@dataclass(frozen=True, slots=True)
class ChainPosition:
    """The next ledger to commit and the current chain head.

    Attributes:
        next_ledger: first ledger that is not committed.
        head: hash of the chain's last event; empty for a chain without events.
        last: the partition committed last, when it is known.
        stated_head: the head that the chain heads file states, which may lag behind; empty when it states none.
        chain: what is known of the chain's end at `head`; None when only the event files tell.
        recorded: the end of the chain as the checkpoint states it, which `head` may be ahead of.
        is_behind_checkpoint: whether the checkpoint says more than the chain has events of, since the audit stream was
            disabled meanwhile: the checkpoint follows the chain then.
    """

    next_ledger: int
    head: str
    last: Partition | None
    stated_head: str = field(default="", compare=False, kw_only=True)
    chain: ChainEnd | None = field(default=None, compare=False, kw_only=True)
    recorded: ChainEnd | None = field(default=None, compare=False, kw_only=True)
    is_behind_checkpoint: bool = field(default=False, compare=False, kw_only=True)


def check_start(era: Era, checkpoint: Checkpoint | None, events: Sequence[Event] = ()) -> None:
    """Check that the era does not start behind the next ledger of a chain that has begun already.

    Args:
        events: of the chain; they count where there is no checkpoint.

    Raises:
        StateError: the ledgers between would be missing from the chain for ever.
    """
    last = max((event.partition.end for event in events), default=None)
    if checkpoint is not None:
        last = None if checkpoint.is_edited else checkpoint.last_ledger  # an operator has set it by hand
    if last is not None and last + 1 < era.ledger_start:
        raise StateError(
            f"the chain {era.chain} is committed up to ledger {last}, but ledger_start is {era.ledger_start}: the"
            f" ledgers between would be missing. Set ledger_start back to {last + 1} or less, or begin another chain"
            " with another era_id or version_label"
        )


def position_from_caches(checkpoint: Checkpoint, event: Event | None, stated_head: str) -> ChainPosition | None:
    """The position by checkpoint and chain head alone; None when they disagree: then the event files decide.

    A run may have died after it created the next event's file; the commit of that partition finds it.

    Args:
        event: the last event of the checkpoint's partition; None when it has none.
        stated_head: the head that the chain heads file states.
    """
    chain = checkpoint.chain
    if event is None or checkpoint.is_edited or (chain is not None and chain.head != stated_head):
        return None
    # A correction or the filling of a gap may have come after the event of the checkpoint's partition.
    if event.event_hash != stated_head and (chain is None or not chain.files):
        return None
    return ChainPosition(
        checkpoint.last_ledger + 1,
        stated_head,
        checkpoint.partition,
        stated_head=stated_head,
        chain=chain,
        recorded=chain,
    )


def position_from_events(
    era: Era, checkpoint: Checkpoint | None, events: Sequence[Event], stated_head: str | None, where: str = ""
) -> ChainPosition:
    """The position by the checkpoint, if there is one, and the events.

    Args:
        events: the chain's events in the order of their links; the oldest may be pruned.
        stated_head: the head that the chain heads file states; None when it states none.
        where: the directory of the event files, for errors.

    Raises:
        StateError: the stated head is not in the chain, or the events are not those that the checkpoint knows of.
    """
    check_chain_end(era, checkpoint, events, stated_head, where)
    next_ledger, last = resume_point(era, checkpoint, events)
    head = resolve_head(era, events, stated_head, where)
    chain = checkpoint.chain if checkpoint and checkpoint.chain and checkpoint.chain.head == head else None
    return ChainPosition(
        next_ledger,
        head,
        last,
        stated_head=stated_head or "",
        chain=chain,
        recorded=checkpoint.chain if checkpoint else None,
    )


def check_chain_end(
    era: Era, checkpoint: Checkpoint | None, events: Sequence[Event], stated_head: str | None, where: str
) -> None:
    """Check that the event files hold the chain that the checkpoint knows of, or more.

    Args:
        events: as they were found, in the order of their links; those that came first may be pruned, even all of them.
        stated_head: the head that the chain heads file states; None when it states none.
        where: the directory of the event files, for errors.

    Raises:
        StateError: they are missing, older, or of another chain.
    """
    end = checkpoint.chain if checkpoint else None
    if end is None or not where:
        return
    known = {event.event_hash for event in events} | {events[0].prev_hash} if events else {stated_head}
    if end.head in known:
        return
    if events:
        found = f"holds {len(events)} event files of it, the last one {events[-1].event_hash}"
    else:
        found = "holds none of its event files" + (f", and states the head {stated_head}" if stated_head else "")
    count = f"{end.events} events, the last one" if end.events is not None else "the last event"
    raise StateError(
        f"the checkpoint says that the chain {era.chain} has {count} {end.head}, but {where} {found}. Is the volume"
        " mounted, and is this the pas.backup_dir that the chain was written to? Nothing was copied. If event files are"
        " lost for good, `bronze-copier repair --adopt checkpoint` lets the chain go on behind the event that the"
        " checkpoint names. If the event files that are there are the right ones, `bronze-copier repair --adopt events`"
        " lets it go on behind them; partitions that have no event there get a new one"
    )


def unrecorded_start(
    checkpoint: Checkpoint, events: Sequence[Event], stated_head: str | None, published: Collection[Partition]
) -> Partition | None:
    """The first of the partitions that were committed while the audit stream was disabled, and have no event.

    They are the published ones without an event that lead up to the checkpoint's partition without a gap. None when
    there is none, when an operator has edited the checkpoint, and when their events may have been pruned.

    Args:
        events: the chain's events in the order of their links.
        stated_head: the head that the chain heads file states; None when it states none.
        published: the published partitions of the era.
    """
    last = checkpoint.partition
    recorded = {event.partition for event in events}
    if last is None or checkpoint.is_edited or not checkpoint.checksum or last in recorded or last not in published:
        return None
    may_be_pruned = bool(events[0].prev_hash) if events else bool(stated_head)
    if checkpoint.chain.files if checkpoint.chain else may_be_pruned:
        return None
    by_end = {one.end: one for one in published if one not in recorded}
    first = last
    while first.start - 1 in by_end:
        first = by_end[first.start - 1]
    return first


def position_from_catalog(era: Era, checkpoint: Checkpoint | None, recorded: tuple[Partition, str]) -> ChainPosition:
    """The position of a chain whose event files and chain head are gone, by the last event the catalog recorded.

    Args:
        recorded: partition and hash of that event.
    """
    partition, head = recorded
    if checkpoint is None:
        return ChainPosition(partition.end + 1, head, partition)
    next_ledger, last = resume_point(era, checkpoint, ())
    return ChainPosition(next_ledger, head, last)


def resolve_head(era: Era, events: Sequence[Event], stated_head: str | None, where: str) -> str:
    """The hash of the chain's last event: by the event files when there are any, else the stated one.

    Raises:
        StateError: the stated head is not in the chain.
    """
    if not events:
        return stated_head or ""
    known = {event.event_hash for event in events} | {events[0].prev_hash}
    if stated_head is not None and stated_head not in known:
        raise StateError(
            f"the chain head of {era.chain} is {stated_head}, but no event file in {where} has this hash: event files"
            " are missing, or the head is another chain's. Restore the files, or remove the chain's line from the"
            " chain heads"
        )
    return events[-1].event_hash


def resume_point(era: Era, checkpoint: Checkpoint | None, events: Sequence[Event]) -> tuple[int, Partition | None]:
    """The first ledger that is not committed, and the partition committed last when it is known.

    A checkpoint is obeyed, since operators edit it to restart from a ledger; without one the events decide.

    Args:
        events: the chain's events in the order of their links; the oldest may be pruned.
    """
    if checkpoint is not None:
        return max(checkpoint.last_ledger + 1, era.ledger_start), checkpoint.partition
    last = committed_prefix(era, events)
    return era.ledger_start if last is None else last.end + 1, last


def committed_prefix(era: Era, events: Sequence[Event]) -> Partition | None:
    """The last partition up to which `events` cover the era without a gap; None when they do not cover its start.

    The era's start is `era.ledger_start`. When the first event follows one whose file was pruned, what lies before
    the ledgers of the events that are left counts as committed.

    Args:
        events: the chain's events in the order of their links.
    """
    at, last = era.ledger_start, None
    if events and events[0].prev_hash:
        at = max(at, min(event.partition.start for event in events))
    for partition in sorted(event.partition for event in events):
        if partition.start <= at <= partition.end:
            at, last = partition.end + 1, partition
    return last


def published_prefix(era: Era, published: Iterable[tuple[Partition, LedgerLinks]]) -> Partition | None:
    """The last partition up to which `published` covers the era without a gap and with every link intact.

    This is what a run commits that finds these partitions and no events. Taken from `published` one by one, no
    further than needed.

    Args:
        published: published partitions in ledger order, with what links them.
    """
    at, last, last_hash = era.ledger_start, None, ""
    for partition, ledgers in published:
        if partition.end < at:
            continue
        is_linked = last is None or partition.start != at or ledgers.previous_hash == last_hash
        if partition.start > min(at, era.last_ledger) or not is_linked:
            break
        at, last, last_hash = partition.end + 1, partition, ledgers.last_hash
    return last
