"""Audit a chain of event files against the partitions that an audit found."""

from __future__ import annotations

from dataclasses import dataclass

from bronze.audit.event import Event
from bronze.audit.event_log import EventLog
from bronze.commit.checkpoint import Checkpoint
from bronze.dataset.dataset import Dataset
from bronze.errors import StateError
from bronze.partitioning.era import Era
from bronze.stellar import MAX_LEDGER
from bronze.verify.era_audit import EraAudit
from bronze.verify.event_check import SINGLE_FILE_ERRORS, EventCheck, check_event, check_head, read_events
from bronze.verify.file_check import has_manifest, is_being_replaced
from bronze.verify.finding import FindingCollector, Severity, remake
from bronze.verify.selection import Selection

LEVEL = "chain"
#: What to do about a partition that was being replaced while it was audited.
VERIFY_AGAIN = "verify again when no run replaces it; if one was killed: bronze-copier run"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedChain:
    """What somebody knows of a chain from elsewhere; without it a chain that was rebuilt from its start looks good.

    Attributes:
        head: hash of its last event, or of one that must be in it; empty: not known.
        events: how many events it has at least; None: not known.
    """

    head: str = ""
    events: int | None = None


def audit_chain(
    result: EraAudit,
    era: Era,
    dataset: Dataset,
    log: EventLog,
    selection: Selection,
    expected: ExpectedChain,
    checkpoint: Checkpoint | None = None,
) -> None:
    """Add to `result` what is found of the event files in `log`.

    Every event is read: hash, links, order, and each of its fields against the partitions in `result`.

    Args:
        checkpoint: what is known of the chain's end besides; None when nothing is.

    Raises:
        StoreError: the event files cannot be listed.
    """
    findings = FindingCollector(result.findings, era.chain, LEVEL, log.where)
    # The head is read first: a run in progress may append while the events are read.
    head, has_head = _read_head(log, findings)
    check = read_events(log, findings)
    if check.is_whole and has_head:
        check_head(era, log, check.events, head, checkpoint, findings)
    result.events = len(check.events)
    result.head = check.events[-1].event_hash if check.events and check.is_whole else ""
    result.checked.append(f"{result.events:,} audit events: hashes, links, order, every field")
    reports = {report.partition: report for report in result.reports}
    latest = {event.partition: event for event in check.events}
    if check.is_whole:
        result.event_hashes = {partition: event.event_hash for partition, event in latest.items()}
    for event in check.events:
        report = reports.get(event.partition)
        is_latest = latest[event.partition] is event and selection.in_range(event.partition)
        usable = report if is_latest and report is not None and report.checksum else None
        if usable is not None and usable.checksum != event.checksum and _is_changing(dataset, era, event):
            findings.add(
                "is of other content than its partition, which a run is replacing, or replaced while it was audited",
                where=f"{log.where}/{log.key(event.partition)}",
                partition=event.partition,
                severity=Severity.UNCHECKED,
                remedy=VERIFY_AGAIN,
            )
            usable = None
        check_event(era, dataset, log, event, usable, findings)
        if is_latest and report is None and result.is_complete:
            _check_published(era, dataset, log, event, findings)
    _check_coverage(result, check, checkpoint, findings, has_begun=bool(head) or not has_head)
    _check_expected(result, check.events, findings, expected)


def _check_coverage(
    result: EraAudit,
    check: EventCheck,
    checkpoint: Checkpoint | None,
    findings: FindingCollector,
    *,
    has_begun: bool,
) -> None:
    """Check that every committed partition has an event, unless it may have been pruned.

    Args:
        has_begun: whether the chain heads file knew of the chain, or could not be read, before the events were.
    """
    recorded = {event.partition for event in check.events}
    without = [report.partition for report in result.reports if report.partition not in recorded]
    if without and not recorded and checkpoint is None and check.is_whole and not has_begun:
        findings.add(
            f"{len(without):,} partitions are published and the chain has no event at all: its first run has not"
            " committed yet, or its events are elsewhere, or gone",
            severity=Severity.UNCHECKED,
            expected="one event of each partition",
        )
        return
    end = checkpoint.chain if checkpoint else None
    committed = checkpoint.last_ledger if checkpoint else max((one.end for one in recorded), default=MAX_LEDGER)
    unknown = 0
    for partition in without:
        if end is not None and end.has_event_of(partition):
            unknown += 1
        elif partition.end > committed:
            findings.note("is published and not committed yet: the next run does it", partition=partition)
        elif check.are_pruned and (end is None or end.ranges is None):
            unknown += 1
        else:
            findings.add(
                "is committed and has no event",
                partition=partition,
                expected="one event of each partition that is committed",
                remedy="bronze-copier run, with the audit stream enabled, makes it if it leads up to the checkpoint",
            )
    if unknown:
        result.not_checked.append(f"the events of {unknown:,} partitions, whose files were pruned")


def _read_head(log: EventLog, findings: FindingCollector) -> tuple[str | None, bool]:
    """The stated head, and whether it could be read."""
    try:
        return log.head(), True
    except SINGLE_FILE_ERRORS as error:
        findings.add_failure(error, f"{log.where}/the chain heads")
        return None, False


def _check_published(era: Era, dataset: Dataset, log: EventLog, event: Event, findings: FindingCollector) -> None:
    """Look once more for the partition of an event, which had no manifest when the partitions were listed."""
    where = f"{log.where}/{log.key(event.partition)}"
    # In this order: a run that replaces a partition removes its mark when the manifest is there again.
    if is_being_replaced(dataset, era, event.partition):
        findings.add(
            "its partition has no manifest, which a run is replacing",
            where=where,
            partition=event.partition,
            severity=Severity.UNCHECKED,
            remedy=VERIFY_AGAIN,
        )
    elif not has_manifest(dataset, era, event.partition):
        findings.add(
            "its partition is not published", where=where, partition=event.partition, remedy=remake(event.partition)
        )


def _is_changing(dataset: Dataset, era: Era, event: Event) -> bool:
    """Whether the partition of an event is being replaced, or has the event's content by now."""
    if is_being_replaced(dataset, era, event.partition):
        return True
    try:
        manifest = dataset.find_manifest(era, event.partition, check_file=False)
    except StateError:
        return False
    return manifest is not None and manifest.checksum == event.checksum


def _check_expected(result: EraAudit, events: list[Event], findings: FindingCollector, expected: ExpectedChain) -> None:
    if expected.head and expected.head not in {event.event_hash for event in events}:
        findings.add(f"no event has the hash {expected.head}", expected="the event that was known to be the head")
    if expected.events is not None and len(events) < expected.events:
        findings.add(f"{len(events)} events", expected=f"{expected.events} or more")
    if not expected.head:
        result.not_checked.append(
            "whether the chain was rebuilt from its start, which cannot be told apart: give the head that you know from"
            " elsewhere (--expect-head)"
        )
    if expected.head and expected.events is None:
        result.not_checked.append("whether events after the known head were removed (--expect-events)")
