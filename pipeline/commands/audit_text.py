"""What an audit prints: lines for people, one JSON document for machines (docs/verifying.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from bronze.verify.audit import EraAudit
from bronze.verify.finding import Severity
from pipeline.commands.text import format_size
from pipeline.exit_status import DONE, UNCHECKED, UNDONE

#: Version of the JSON document: keys are only added.
SCHEMA = "bronze-copier/verify/1"
#: Notes that are listed one by one; findings are all listed.
_LISTED_NOTES = 20


def audit_status(audits: Sequence[EraAudit]) -> int:
    """The exit status: something wrong wins over something that could not be checked."""
    severities = {finding.severity for audit in audits for finding in audit.findings}
    if Severity.WRONG in severities or not audits or any(audit.is_empty for audit in audits):
        return UNDONE
    if Severity.UNCHECKED in severities or not all(audit.is_complete for audit in audits):
        return UNCHECKED
    return DONE


def audit_lines(audits: Sequence[EraAudit]) -> Iterator[str]:
    """The result for people."""
    if not audits:
        yield "NOTHING TO VERIFY: no partition was found there"
    for audit in audits:
        yield f"chain {audit.chain} at {audit.url}: {audit.verdict}"
        yield from _summary(audit)
        notes = 0
        for finding in sorted(audit.findings, key=lambda one: (one.severity, one.partition, one.ledger or 0)):
            notes += finding.severity is Severity.NOTE
            if notes <= _LISTED_NOTES:
                yield f"  {finding}"
        if notes > _LISTED_NOTES:
            yield f"  and {notes - _LISTED_NOTES} more notes"
        for sentence in audit.not_checked:
            yield f"  not checked: {sentence}"


def _summary(audit: EraAudit) -> Iterator[str]:
    if audit.reports:
        first, last = audit.reports[0].partition.start, max(report.partition.end for report in audit.reports)
        rows, size = (sum(getattr(one, name) for one in audit.reports) for name in ("rows", "byte_size"))
        yield f"  {len(audit.reports):,} partitions, ledgers {first}-{last}, {rows:,} rows, {format_size(size)}"
    checked = sum(report.checked_rows for report in audit.reports)
    yield (
        f"  checked at the level {audit.level}: {audit.deep:,} partitions"
        + (f", {checked:,} rows" if checked else "")
        + ("" if audit.events is None else f"; {audit.events:,} events")
    )
    if audit.head:
        yield f"  head {audit.head}"


def audit_json(audits: Sequence[EraAudit]) -> str:
    """The result for machines: one document."""
    status = audit_status(audits)
    document = {
        "schema": SCHEMA,
        "result": {DONE: "holds", UNDONE: "wrong" if audits else "nothing", UNCHECKED: "unchecked"}[status],
        "exit_status": status,
        "eras": [
            {
                "chain": audit.chain,
                "url": audit.url,
                "level": audit.level,
                "verdict": audit.verdict,
                "is_complete": audit.is_complete,
                "partitions": len(audit.reports),
                "looked_into": audit.deep,
                "first": audit.reports[0].partition.start if audit.reports else None,
                "last": max((report.partition.end for report in audit.reports), default=None),
                "rows": sum(report.rows for report in audit.reports),
                "bytes": sum(report.byte_size for report in audit.reports),
                "checked_rows": sum(report.checked_rows for report in audit.reports),
                "checked_bytes": sum(report.checked_bytes for report in audit.reports),
                "events": audit.events,
                "head": audit.head,
                "gaps": [{"start": gap.start, "end": gap.end} for gap in audit.gaps],
                "findings": [finding.as_json() for finding in audit.findings],
                "not_checked": audit.not_checked,
            }
            for audit in audits
        ],
    }
    return json.dumps(document, indent=2)
