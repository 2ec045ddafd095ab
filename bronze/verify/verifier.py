"""Check the published partitions of one era against its chain, trusting nothing.

Checked are every event's hash, link and fields, every manifest, every parquet file's checksum, footer and ends, ledger
hashes from partition to partition, files that do not belong there, the chain head and the checkpoint. What is not
checked is said: `Verification.not_checked`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from bronze.audit.event import Event
from bronze.audit.event_log import EventLog
from bronze.commit.checkpoint import Checkpoint, CheckpointFile
from bronze.commit.position import resume_point
from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import LedgerLinks, Manifest
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition, uncovered_ranges
from bronze.verify.event_check import EventCheck, check_event, check_head, check_recorded, read_events
from bronze.verify.file_check import check_file, check_names
from bronze.verify.single_file import SINGLE_FILE_ERRORS, problem_of
from bronze.verify.verification import Verification


def verify_chain(
    era: Era, dataset: Dataset, *, log: EventLog | None = None, checkpoint: CheckpointFile | None = None
) -> Verification:
    """Verify the published partitions of `era` and its chain; problems are collected, not raised. Writes nothing.

    Reads every parquet file in full.

    Args:
        log: the event files of the era's chain; None when it has no audit stream.
        checkpoint: the checkpoint of the era's chain, which says how far gaps are looked for; None when it has none:
            then the events say.

    Raises:
        StoreError: a store does not answer.
    """
    result = Verification(era.chain)
    known = _checkpoint(result, checkpoint)
    check = EventCheck()
    if log is not None:
        check = read_events(log, result.problems)
        if check.is_whole:
            check_head(era, log, check.events, known, result.problems, result.notes)
        result.events = len(check.events)
        result.head = check.events[-1].event_hash if check.events and check.is_whole else ""
    try:
        check_names(dataset, era, result.problems, result.notes)
    except SINGLE_FILE_ERRORS as error:
        result.problems.append(problem_of(error, "a directory of the table"))
    published = _check_partitions(result, dataset, era, log, check.events)
    if log is not None:
        check_recorded(era, check, known, published, result.problems, result.notes, result.not_checked)
    _check_checkpoint(result, dataset, era, known, published, check.events)
    committed = resume_point(era, known, check.events)[0] - 1
    reached = max([committed, *(one.end for one in published)])
    result.gaps = uncovered_ranges(published, era.ledger_start, reached)
    if era.ledger_end and reached < era.ledger_end:
        result.unpublished = Partition(max(reached + 1, era.ledger_start), era.ledger_end)
    result.not_checked += _not_checked(log)
    return result


def _not_checked(log: EventLog | None) -> list[str]:
    found = [
        "the rows inside the parquet files, but for the first and the last of each: their hashes were not recomputed",
        "the lake and the catalog",
    ]
    if log is None:
        return [*found, "the audit stream: none is configured"]
    return [*found, "whether the whole chain was made anew: compare its head with one that you know from elsewhere"]


def _checkpoint(result: Verification, checkpoint: CheckpointFile | None) -> Checkpoint | None:
    """The checkpoint; None when there is none, or it cannot be read."""
    try:
        return checkpoint.load() if checkpoint else None
    except SINGLE_FILE_ERRORS as error:
        result.problems.append(problem_of(error, "the checkpoint"))
        return None


def _check_checkpoint(
    result: Verification,
    dataset: Dataset,
    era: Era,
    checkpoint: Checkpoint | None,
    published: Sequence[Partition],
    events: Sequence[Event],
) -> None:
    """Check that the partition that the checkpoint names is published, with the checksum that it states."""
    last = checkpoint.partition if checkpoint and not checkpoint.is_edited else None
    if checkpoint is None or last is None:
        return
    if last not in published and any(event.partition == last for event in events):
        return  # reported with its event
    if last not in published:
        result.problems.append(
            f"the checkpoint of {era.chain} says that {last} was committed last, but it is not published"
        )
        return
    try:
        manifest = dataset.find_manifest(era, last, check_file=False)
    except SINGLE_FILE_ERRORS:  # reported with its partition
        return
    if manifest is not None and checkpoint.checksum not in ("", manifest.checksum):
        result.problems.append(
            f"the checkpoint of {era.chain} says that {last} has the checksum {checkpoint.checksum}, its manifest says"
            f" {manifest.checksum}"
        )


def _check_partitions(
    result: Verification, dataset: Dataset, era: Era, log: EventLog | None, events: Sequence[Event]
) -> list[Partition]:
    """Check each partition by itself and against its neighbours; return the published ones, damaged ones included."""
    # Partitions without an event count too. Of a range with several events the last one counts: a correction is
    # appended, never written over.
    expected: dict[Partition, Event | None] = dict.fromkeys(dataset.list_partitions(era))
    expected |= {event.partition: event for event in events}
    published: list[Partition] = []
    links: list[tuple[Partition, LedgerLinks | None]] = []
    manifests: dict[Partition, Manifest] = {}
    for partition, event in sorted(expected.items(), key=lambda item: item[0]):
        try:
            manifest = dataset.find_manifest(era, partition)
        except SINGLE_FILE_ERRORS as error:
            result.problems.append(problem_of(error, dataset.object_url(dataset.directory(era, partition))))
            published.append(partition)
            continue
        if manifest is None:
            if event is not None:
                result.problems.append(f"partition {era.chain} {partition} has an event, but no manifest")
            continue
        manifests[partition] = manifest
        published.append(partition)
        result.partitions += 1
        result.rows += manifest.row_count
        result.bytes += manifest.byte_size
        links.append((partition, check_file(dataset, era, manifest, result.problems)))
    if log is not None:
        for event in events:
            latest = manifests.get(event.partition) if expected[event.partition] is event else None
            check_event(era, dataset, log, event, latest, result.problems)
    _check_ledger_links(result, links)
    return published


def _check_ledger_links(result: Verification, links: list[tuple[Partition, LedgerLinks | None]]) -> None:
    """Compare the hashes where two partitions meet, and find partitions that overlap."""
    if links:
        result.first, result.last = links[0][0].start, links[-1][0].end
    for (before, ends), (after, begins) in itertools.pairwise(links):
        if after.start <= before.end:
            result.problems.append(f"partitions {before} and {after} of {result.chain} overlap")
        elif after.start == before.end + 1 and ends and begins and ends.last_hash != begins.previous_hash:
            result.problems.append(
                f"partition {after} of {result.chain} follows a ledger with the hash {begins.previous_hash}, but the"
                f" last one of {before} has {ends.last_hash}"
            )
