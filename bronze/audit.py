"""Checks what was published against its chain, trusting nothing: the auditor's view of one era.

Every event's hash and link, every manifest against its event, every parquet file against its checksum,
ledger hashes from partition to partition, chain head and checkpoint.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from bronze.destination import Destination
from bronze.eras import Era
from bronze.errors import DataError
from bronze.events import Event
from bronze.grid import Partition
from bronze.job import CopyJob
from bronze.manifest import Manifest


@dataclass(slots=True)
class Audit:
    """What was found; `problems` is empty when everything holds.

    Attributes:
        gaps: inclusive stretches of ledgers between the chain's first and last ledger without a partition.
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


def audit_era(job: CopyJob, era: Era) -> Audit:
    """Audit the published partitions and the chain of `era`; problems are collected, not raised."""
    audit, destination = Audit(era.chain), job.destination()
    log = job.events(era)
    if log is None:
        published = destination.ranges(era)
        manifests = _manifests(audit, destination, era, [(partition, None) for partition in published])
    else:
        try:
            events = log.load()
            head = log.head()
        except DataError as error:
            audit.problems.append(str(error))
            return audit
        audit.events, audit.head = len(events), events[-1].event_hash if events else ""
        if events and head != audit.head:
            audit.problems.append(f"the chain head of {era.chain} is {head}, but the last event has {audit.head}")
        # Partitions without an event count too: theirs may be pruned, or still to come. Of a range with several
        # events the last one counts: a correction is appended, never written over.
        latest: dict[Partition, Event | None] = dict.fromkeys(destination.ranges(era))
        latest |= {Partition(event.start, event.end): event for event in events}
        manifests = _manifests(audit, destination, era, sorted(latest.items()))
    _check_ledger_links(audit, manifests)
    return audit


def _manifests(
    audit: Audit, destination: Destination, era: Era, expected: list[tuple[Partition, Event | None]]
) -> list[Manifest]:
    found = []
    for partition, event in expected:
        try:
            manifest = destination.published(era, partition)
        except DataError as error:
            audit.problems.append(str(error))
            continue
        if manifest is None:
            if event is not None:
                audit.problems.append(f"partition {era.chain} {partition} has an event, but no manifest")
            continue
        if event is not None and event.checksum != manifest.checksum:
            audit.problems.append(
                f"partition {era.chain} {partition}: its event says {event.checksum}, its manifest {manifest.checksum}"
            )
        key = destination.parquet_key(era, partition)
        checksum = destination.checksum(key)
        if checksum != manifest.checksum:
            audit.problems.append(
                f"{destination.describe(key)} has the checksum {checksum}, its manifest says {manifest.checksum}"
            )
        audit.partitions += 1
        audit.rows += manifest.row_count
        audit.bytes += manifest.byte_size
        found.append(manifest)
    return found


def _check_ledger_links(audit: Audit, manifests: list[Manifest]) -> None:
    if manifests:
        audit.first, audit.last = manifests[0].partition.start, manifests[-1].partition.end
    for before, after in itertools.pairwise(manifests):
        if after.partition.start > before.partition.end + 1:
            audit.gaps.append(Partition(before.partition.end + 1, after.partition.start - 1))
        elif after.partition.start <= before.partition.end:
            audit.problems.append(f"partitions {before.partition} and {after.partition} of {audit.chain} overlap")
        elif before.ledgers and after.ledgers and before.ledgers.last_hash != after.ledgers.previous_hash:
            audit.problems.append(
                f"partition {after.partition} of {audit.chain} follows a ledger with the hash"
                f" {after.ledgers.previous_hash}, but the last one of {before.partition} has {before.ledgers.last_hash}"
            )
