"""Checks what was published against its chain, trusting nothing: the auditor's view of one era.

Every event's hash and link, every manifest against its event, every parquet file against its checksum,
ledger hashes from partition to partition, chain head and checkpoint.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from bronze.audit.event import Event
from bronze.commit.position import resume_point
from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import LedgerLinks
from bronze.errors import AccessDeniedError, DataError, ObjectNotFoundError, ObjectTooLargeError
from bronze.job.spec import CopyJob
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition, uncovered_ranges

#: Failures of one file: a problem of that file, the others are checked all the same. A store that does not answer
#: at all ends the audit.
_OF_ONE_FILE = (DataError, OSError, ObjectNotFoundError, ObjectTooLargeError, AccessDeniedError)


@dataclass(slots=True)
class Verification:
    """What was found; `problems` is empty when everything holds.

    Attributes:
        first, last: ledgers (inclusive) that the partitions reach from and to; None without a partition.
        gaps: inclusive stretches of ledgers without a partition, from the era's start up to where the chain
            is committed, and up to the last partition where that reaches further.
    """

    chain: str
    events: int = 0
    partitions: int = 0
    rows: int = 0
    bytes: int = 0
    first: int | None = None
    last: int | None = None
    head: str = ""
    gaps: list[Partition] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def verify_chain(job: CopyJob, era: Era) -> Verification:
    """Audit the published partitions and the chain of `era`; problems are collected, not raised.

    Raises:
        StoreError: a store does not answer.
    """
    audit, dataset, log = Verification(era.chain), job.dataset(), job.events(era)
    events: list[Event] = []
    if log is not None:
        try:
            events = log.load()
            head = log.head()
        except _OF_ONE_FILE as error:
            audit.problems.append(str(error))
            return audit
        audit.events, audit.head = len(events), events[-1].event_hash if events else ""
        if events and head != audit.head:
            audit.problems.append(f"the chain head of {era.chain} is {head}, but the last event has {audit.head}")
    # Partitions without an event count too: theirs may be pruned, or still to come. Of a range with several
    # events the last one counts: a correction is appended, never written over.
    expected: dict[Partition, Event | None] = dict.fromkeys(dataset.list_partitions(era))
    expected |= {event.partition: event for event in events}
    present = _check_partitions(audit, dataset, era, expected)
    next_ledger = _next_ledger(audit, job, era, events)
    audit.gaps = uncovered_ranges(present, era.ledger_start, max([next_ledger - 1, *(one.end for one in present)]))
    return audit


def _next_ledger(audit: Verification, job: CopyJob, era: Era, events: list[Event]) -> int:
    """Where the chain is continued, by its checkpoint or its events."""
    checkpoint = job.checkpoint(era)
    try:
        found = checkpoint.load() if checkpoint else None
    except _OF_ONE_FILE as error:
        audit.problems.append(str(error))
        found = None
    return resume_point(era, found, events)[0]


def _check_partitions(
    audit: Verification, dataset: Dataset, era: Era, expected: dict[Partition, Event | None]
) -> list[Partition]:
    """Check each partition by itself and beside the one before; return those that are published, damaged ones too."""
    present: list[Partition] = []
    links: list[tuple[Partition, LedgerLinks | None]] = []
    for partition, event in sorted(expected.items()):
        key = dataset.parquet_key(era, partition)
        try:
            manifest = dataset.find_manifest(era, partition)
        except _OF_ONE_FILE as error:
            audit.problems.append(_sentence(error, dataset.object_url(dataset.directory(era, partition))))
            present.append(partition)
            continue
        if manifest is None:
            if event is not None:
                audit.problems.append(f"partition {era.chain} {partition} has an event, but no manifest")
            continue
        present.append(partition)
        if event is not None and event.checksum != manifest.checksum:
            audit.problems.append(
                f"partition {era.chain} {partition}: its event says {event.checksum}, its manifest {manifest.checksum}"
            )
        audit.partitions += 1
        audit.rows += manifest.row_count
        audit.bytes += manifest.byte_size
        ledgers = manifest.ledgers
        try:
            checksum = dataset.checksum(key)
            if checksum != manifest.checksum:
                audit.problems.append(
                    f"{dataset.object_url(key)} has the checksum {checksum}, its manifest says {manifest.checksum}"
                )
            ledgers = dataset.links(era, manifest)
        except _OF_ONE_FILE as error:
            audit.problems.append(_sentence(error, dataset.object_url(key)))
        links.append((partition, ledgers))
    _check_ledger_links(audit, links)
    return present


def _sentence(error: Exception, where: str) -> str:
    """`error` as a problem; data errors name their object themselves."""
    return str(error) if isinstance(error, DataError) else f"{where} cannot be read: {error}"


def _check_ledger_links(audit: Verification, links: list[tuple[Partition, LedgerLinks | None]]) -> None:
    if links:
        audit.first, audit.last = links[0][0].start, links[-1][0].end
    for (before, ends), (after, begins) in itertools.pairwise(links):
        if after.start <= before.end:
            audit.problems.append(f"partitions {before} and {after} of {audit.chain} overlap")
        elif after.start == before.end + 1 and ends and begins and ends.last_hash != begins.previous_hash:
            audit.problems.append(
                f"partition {after} of {audit.chain} follows a ledger with the hash {begins.previous_hash}, but the"
                f" last one of {before} has {ends.last_hash}"
            )
