"""Check the event files of a chain: each by itself, their links, the stated head, and the fields of each event."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from bronze.audit.event import Event, is_of_older_copier
from bronze.audit.event_log import EventLog, in_link_order
from bronze.commit.checkpoint import Checkpoint
from bronze.commit.position import check_chain_end
from bronze.dataset.dataset import Dataset
from bronze.errors import (
    AccessDeniedError,
    DataError,
    NotAnObjectError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StateError,
)
from bronze.partitioning.era import Era
from bronze.verify.finding import FindingCollector
from bronze.verify.partition_check import PartitionReport

#: What is wrong with a single file, so that the others are still checked; other errors are of a store that does not
#: answer at all.
SINGLE_FILE_ERRORS = (
    DataError,
    OSError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    NotAnObjectError,
    AccessDeniedError,
)
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


def read_events(log: EventLog, findings: FindingCollector) -> EventCheck:
    """Read all event files; one that is damaged or cannot be read is a finding, the others are still checked."""
    found = EventCheck()
    names, odd_names = log.names_and_odd_ones()
    for name in sorted(odd_names):
        findings.add(
            "cannot be read: it is no regular file",
            where=f"{log.where}/{name}",
            remedy="remove it, and restore the event file",
        )
        found.is_whole = False
    for name in sorted(names):
        try:
            found.events.append(log.read_event(name))
        except SINGLE_FILE_ERRORS as error:
            findings.add_failure(error, f"{log.where}/{name}")
            found.is_whole = False
    try:
        found.events = in_link_order(found.events, log.where)
    except StateError as error:
        if found.is_whole:  # otherwise the file that could not be read is missing from the links
            findings.add(str(error))
        found.is_whole = False
    return found


def check_head(
    era: Era,
    log: EventLog,
    events: Sequence[Event],
    head: str | None,
    checkpoint: Checkpoint | None,
    findings: FindingCollector,
) -> None:
    """Check the stated head, and that the events are those that the checkpoint knows of; both were read before.

    A head that lags behind is what a run in progress or a killed one leaves: the next run sets it.
    """
    try:
        check_chain_end(era, checkpoint, events, head, log.where)
    except SINGLE_FILE_ERRORS as error:
        findings.add_failure(error, f"{log.where}/the chain heads")
        return
    if not events:
        return
    last = events[-1].event_hash
    if head is None or head in {events[0].prev_hash, *(event.event_hash for event in events[:-1])}:
        findings.note(
            f"the chain head of {era.chain} is {head or 'not there'}, behind the last event {last}: the next run"
            " updates it"
        )
    elif head != last:
        findings.add(f"the chain head of {era.chain} is {head}", expected=last, remedy="bronze-copier repair")
    end = checkpoint.chain if checkpoint else None
    if end is not None and end.events is not None and not events[0].prev_hash:
        at = next((number for number, event in enumerate(events, 1) if event.event_hash == end.head), None)
        if at is not None and at != end.events:
            findings.add(
                f"the checkpoint says that the chain {era.chain} had {end.events} events when {end.head} was the last",
                expected=f"{at}, its place among the event files",
            )


def check_event(
    era: Era, dataset: Dataset, log: EventLog, event: Event, report: PartitionReport | None, findings: FindingCollector
) -> None:
    """Check what an event states.

    Args:
        report: of its partition, when it is the last event of it and the partition's manifest can be used.
    """
    where = f"{log.where}/{log.key(event.partition)}"
    (table, stated), *_ = event.document["tables"].items()
    expected: list[tuple[str, object, object]] = [
        ("table", table, dataset.table),
        ("storage_path", stated["storage_path"], dataset.storage_path(era, event.partition)),
    ]
    if report is not None:
        expected.append(("checksum", event.checksum, report.checksum))
        if event.checksum == report.checksum:  # otherwise it is of other content, whose size is its own
            expected.append(("row_count", stated["row_count"], report.rows))
            expected.append(("byte_size", stated["byte_size"], report.byte_size))
    for name, found, right in expected:
        if found != right:
            findings.add(f"says {name} {found}", where=where, partition=event.partition, expected=str(right))
    if not _TIMESTAMP.fullmatch(event.timestamp):
        findings.add(
            f"says timestamp {event.timestamp!r}", where=where, partition=event.partition, expected="RFC 3339 in UTC"
        )
    if is_of_older_copier(event) and not _OLDER_VERSION.match(event.producer.version):
        findings.add(
            f"says event_id {event.event_id}",
            where=where,
            partition=event.partition,
            expected="one that follows from its content",
        )
