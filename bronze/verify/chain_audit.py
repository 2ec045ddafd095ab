"""Audit a chain of event files against the partitions that an audit found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bronze.audit.event import Event
from bronze.audit.event_log import EventLog
from bronze.dataset.dataset import Dataset
from bronze.errors import DataError, StoreError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.verify.audit import EraAudit
from bronze.verify.event_check import check_event, read_events
from bronze.verify.finding import Finding, Severity
from bronze.verify.partition_check import PartitionReport
from bronze.verify.selection import Selection
from bronze.verify.single_file import problem_of

LEVEL = "chain"


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
    result: EraAudit, era: Era, dataset: Dataset, log: EventLog, selection: Selection, expected: ExpectedChain
) -> None:
    """Add to `result` what is found of the event files in `log`.

    Every event is read: hash, links, order, and each of its fields against the partitions in `result`.

    Raises:
        StoreError: the event files cannot be listed.
    """

    def add(
        found: str,
        *,
        where: str = log.where,
        severity: Severity = Severity.WRONG,
        partition: str = "",
        expected: str = "",
        remedy: str = "",
    ) -> None:
        result.findings.append(
            Finding(
                severity=severity,
                level=LEVEL,
                chain=era.chain,
                object=where,
                partition=partition,
                found=found,
                expected=expected,
                remedy=remedy,
            )
        )

    problems: list[str] = []
    check = read_events(log, problems)
    for problem in problems:
        add(problem)
    result.events = len(check.events)
    result.head = check.events[-1].event_hash if check.events and check.is_whole else ""
    reports = {report.partition: report for report in result.reports}
    latest = {event.partition: event for event in check.events}
    for event in check.events:
        partition = event.partition
        where = f"{log.where}/{log.key(partition)}"
        found: list[str] = []
        check_event(era, dataset, log, event, None, found)
        for problem in found:
            add(problem, where=where, partition=str(partition))
        if latest[partition] is event and selection.in_range(partition):
            if partition not in reports:
                if result.is_complete:
                    remedy = f"bronze-copier run --partition {partition} --again"
                    add("its partition is not published", where=where, partition=str(partition), remedy=remedy)
                continue
            for name, stated, right in _differences(event, reports[partition]):
                add(f"says {name} {stated}", where=where, partition=str(partition), expected=str(right))
    _check_coverage(result, check.are_pruned, latest, reports, log)
    _check_expected(result, check.events, era, log, expected)
    try:
        head = log.head()
    except (DataError, OSError, StoreError) as error:
        add(problem_of(error, f"{log.where}/the chain heads"))
        return
    if check.is_whole and check.events and head != result.head:
        earlier = {None, check.events[0].prev_hash, *(event.event_hash for event in check.events)}
        lags = head in earlier
        add(
            f"the chain head file says {head or 'nothing'}" + (": the next run sets it" if lags else ""),
            severity=Severity.NOTE if lags else Severity.WRONG,
            expected=result.head,
            remedy="" if lags else "bronze-copier repair",
        )


def _differences(event: Event, report: PartitionReport) -> list[tuple[str, object, object]]:
    if not report.checksum:  # its manifest cannot be used, which is a finding of its own
        return []
    (stated,) = event.document["tables"].values()
    return [
        (name, found, right)
        for name, found, right in (
            ("checksum", event.checksum, report.checksum),
            ("row_count", stated["row_count"], report.rows),
            ("byte_size", stated["byte_size"], report.byte_size),
        )
        if found != right
    ]


def _check_coverage(
    result: EraAudit,
    are_pruned: bool,
    latest: Mapping[Partition, Event],
    reports: Mapping[Partition, PartitionReport],
    log: EventLog,
) -> None:
    """Every partition before the last event has one, unless the oldest events were pruned."""
    last = max((partition.end for partition in latest), default=-1)
    without = [partition for partition in sorted(reports) if partition not in latest]
    if are_pruned and without:
        result.not_checked.append(f"the events of {len(without):,} partitions: the chain's first events are not there")
        return
    for partition in without:
        is_late = bool(latest) and partition.start > last
        result.findings.append(
            Finding(
                severity=Severity.NOTE if is_late else Severity.WRONG,
                level=LEVEL,
                chain=result.chain,
                object=log.where,
                partition=str(partition),
                found="the partition has no event" + (" yet: the next run makes it" if is_late else ""),
                expected="" if is_late else "one event of each partition",
            )
        )


def _check_expected(result: EraAudit, events: list[Event], era: Era, log: EventLog, expected: ExpectedChain) -> None:
    def add(found: str, right: str) -> None:
        result.findings.append(
            Finding(
                severity=Severity.WRONG, level=LEVEL, chain=era.chain, object=log.where, found=found, expected=right
            )
        )

    if expected.head and expected.head not in {event.event_hash for event in events}:
        add(f"no event has the hash {expected.head}", "the event that was known to be the head")
    if expected.events is not None and len(events) < expected.events:
        add(f"{len(events)} events", f"{expected.events} or more")
    if not expected.head:
        result.not_checked.append(
            "whether the chain was rebuilt from its start, which cannot be told apart: give the head that you know from"
            " elsewhere (--expect-head)"
        )
    if expected.head and expected.events is None:
        result.not_checked.append("whether events after the known head were removed (--expect-events)")
