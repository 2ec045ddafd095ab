"""Check the event files of a chain: each by itself, their links, and every field against what is published."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from bronze.audit.event import Event, is_of_older_copier
from bronze.audit.event_log import EventLog, in_link_order
from bronze.commit.checkpoint import Checkpoint
from bronze.commit.position import check_chain_end
from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import Manifest
from bronze.errors import StateError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.verify.single_file import SINGLE_FILE_ERRORS, problem_of

_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z")
#: Versions of the Go copier, whose event ids are made otherwise.
_OLDER_VERSION = re.compile(r"v?[01]\.")


@dataclass(slots=True)
class EventCheck:
    """The events that could be read.

    Attributes:
        events: in the order of their links; in no order when these do not hold.
        is_whole: whether all files could be read and their links hold.
    """

    events: list[Event] = field(default_factory=list)
    is_whole: bool = True

    @property
    def are_pruned(self) -> bool:
        """Whether the chain began before the first event that is left."""
        return not self.is_whole or bool(self.events and self.events[0].prev_hash)


def read_events(log: EventLog, problems: list[str]) -> EventCheck:
    """Read all event files; one that is damaged or cannot be read is a problem, the others are still checked."""
    found = EventCheck()
    for name in sorted(log.names()):
        try:
            found.events.append(log.read_event(name))
        except SINGLE_FILE_ERRORS as error:
            problems.append(problem_of(error, f"{log.where}/{name}"))
            found.is_whole = False
    try:
        found.events = in_link_order(found.events, log.where)
    except StateError as error:
        if found.is_whole:  # otherwise the file that could not be read is missing from the links
            problems.append(str(error))
        found.is_whole = False
    return found


def check_head(
    era: Era,
    log: EventLog,
    events: Sequence[Event],
    checkpoint: Checkpoint | None,
    problems: list[str],
    notes: list[str],
) -> None:
    """Check the stated head, and that the events are those that the checkpoint knows of.

    A head that lags behind is what a run in progress or a killed one leaves: the next run sets it.
    """
    try:
        head = log.head()
        check_chain_end(era, checkpoint, events, head, log.where)
    except SINGLE_FILE_ERRORS as error:
        problems.append(problem_of(error, f"{log.where}/the chain heads"))
        return
    if not events:
        return
    last = events[-1].event_hash
    if head is None or head in {events[0].prev_hash, *(event.event_hash for event in events[:-1])}:
        notes.append(
            f"the chain head of {era.chain} is {head or 'not there'}, behind the last event {last}: the next run"
            " updates it"
        )
    elif head != last:
        problems.append(f"the chain head of {era.chain} is {head}, but the last event has {last}")
    end = checkpoint.chain if checkpoint else None
    if end is not None and end.events is not None and not events[0].prev_hash:
        at = next((number for number, event in enumerate(events, 1) if event.event_hash == end.head), None)
        if at is not None and at != end.events:
            problems.append(
                f"the checkpoint says that the chain {era.chain} had {end.events} events when {end.head} was the last,"
                f" but that is event {at}"
            )


def check_event(
    era: Era, dataset: Dataset, log: EventLog, event: Event, manifest: Manifest | None, problems: list[str]
) -> None:
    """Check what an event states.

    Args:
        manifest: of its partition, when it is the last event of it and the partition is published.
    """
    where = f"the event of {era.chain} {event.partition} in {log.where}"
    (table, stated), *_ = event.document["tables"].items()
    expected: list[tuple[str, object, object]] = [
        ("table", table, dataset.table),
        ("storage_path", stated["storage_path"], dataset.storage_path(era, event.partition)),
    ]
    if manifest is not None:
        if event.checksum == manifest.checksum:  # otherwise it is of other content, whose size is its own
            expected.append(("row_count", stated["row_count"], manifest.row_count))
            expected.append(("byte_size", stated["byte_size"], manifest.byte_size))
        else:
            problems.append(
                f"partition {era.chain} {event.partition}: its event says {event.checksum}, its manifest"
                f" {manifest.checksum}"
            )
    for name, found, right in expected:
        if found != right:
            problems.append(f"{where} says {name} {found}, expected {right}")
    if not _TIMESTAMP.fullmatch(event.timestamp):
        problems.append(f"{where} says timestamp {event.timestamp!r}, expected RFC 3339 in UTC")
    if is_of_older_copier(event) and not _OLDER_VERSION.match(event.producer.version):
        problems.append(f"{where} says event_id {event.event_id}, which does not follow from its content")


def check_recorded(
    era: Era,
    check: EventCheck,
    checkpoint: Checkpoint | None,
    published: Sequence[Partition],
    problems: list[str],
    notes: list[str],
    not_checked: list[str],
) -> None:
    """Check that every committed partition has an event, unless it may have been pruned."""
    recorded = {event.partition for event in check.events}
    without = [one for one in published if one not in recorded]
    end = checkpoint.chain if checkpoint else None
    committed = checkpoint.last_ledger if checkpoint else max((one.end for one in recorded), default=0)
    unknown = 0
    for partition in without:
        if end is not None and end.has_event_of(partition):
            unknown += 1
        elif partition.end > committed:
            notes.append(f"partition {era.chain} {partition} is published and not committed yet: the next run does it")
        elif check.are_pruned and (end is None or end.ranges is None):
            unknown += 1
        else:
            problems.append(
                f"partition {era.chain} {partition} is committed and has no event: the next run with the audit stream"
                " enabled makes it, if it leads up to the checkpoint"
            )
    if unknown:
        not_checked.append(f"the events of {unknown:,} partitions, whose files were pruned")
