"""What an audit prints: lines for people, one JSON document for machines (docs/verifying.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from bronze.verify.era_audit import EraAudit
from bronze.verify.finding import Severity, counted
from pipeline.exit_status import DONE, UNCHECKED, UNDONE
from pipeline.sizes import format_size

#: Version of the JSON document: keys are only added.
SCHEMA = "bronze-copier/verify/1"
#: Notes that are listed one by one; findings are all listed.
_LISTED_NOTES = 20
#: What is worst first.
_ORDER = (Severity.WRONG, Severity.MISSING, Severity.UNCHECKED, Severity.NOTE)


def audit_status(audits: Sequence[EraAudit]) -> int:
    """The exit status: something wrong wins over something that could not be checked."""
    severities = {finding.severity for audit in audits for finding in audit.findings}
    if severities & {Severity.WRONG, Severity.MISSING} or not audits or any(audit.is_empty for audit in audits):
        return UNDONE
    if Severity.UNCHECKED in severities or not all(audit.is_complete for audit in audits):
        return UNCHECKED
    return DONE


def audit_lines(audits: Sequence[EraAudit]) -> Iterator[str]:
    """The result for people."""
    if not audits:
        yield "NOTHING TO VERIFY: no partition was found there"
    for audit in audits:
        yield f"chain {audit.chain}: {audit.verdict}{_counts(audit)}"
        yield f"  at {audit.url}"
        if audit.reports:
            yield (
                f"  {audit.partitions:,} partitions, ledgers {audit.first}-{audit.last}, {audit.rows:,} rows,"
                f" {format_size(audit.bytes)}"
            )
        if audit.head:
            yield f"  head {audit.head}"
        notes = 0
        for finding in sorted(audit.findings, key=lambda one: (_ORDER.index(one.severity), one.start)):
            notes += finding.severity is Severity.NOTE
            if notes <= _LISTED_NOTES:
                yield f"  {finding}"
        if notes > _LISTED_NOTES:
            yield f"  and {notes - _LISTED_NOTES} more notes"
        for sentence in audit.checked:
            yield f"  checked {sentence}"
        for sentence in audit.not_checked:
            yield f"  not checked: {sentence}"


def _counts(audit: EraAudit) -> str:
    """How many findings there are of each kind, but for notes."""
    counts = [f"{count:,} {kind}" for kind in _ORDER[:3] if (count := counted(audit.findings, kind))]
    return f": {', '.join(counts)}" if counts else ""


def _failure(audits: Sequence[EraAudit]) -> str:
    """The word for a result that does not hold."""
    severities = {finding.severity for audit in audits for finding in audit.findings}
    if Severity.WRONG in severities:
        return "wrong"
    return "nothing" if all(audit.is_empty for audit in audits) else "incomplete"


def audit_document(audits: Sequence[EraAudit]) -> dict[str, object]:
    """The result for machines: one document."""
    status = audit_status(audits)
    return {
        "schema": SCHEMA,
        "result": {DONE: "holds", UNDONE: _failure(audits), UNCHECKED: "unchecked"}[status],
        "exit_status": status,
        "eras": [
            {
                "chain": audit.chain,
                "url": audit.url,
                "level": audit.level,
                "verdict": audit.verdict,
                "is_complete": audit.is_complete,
                "partitions": audit.partitions,
                "looked_into": audit.deep,
                "first": audit.first,
                "last": audit.last,
                "rows": audit.rows,
                "bytes": audit.bytes,
                "checked_rows": sum(report.checked_rows for report in audit.reports),
                "checked_bytes": sum(report.checked_bytes for report in audit.reports),
                "events": audit.events,
                "head": audit.head,
                "scp": audit.scp and asdict(audit.scp),
                "archives": audit.archives and asdict(audit.archives),
                "gaps": [{"start": gap.start, "end": gap.end} for gap in audit.gaps],
                "findings": [finding.as_json() for finding in audit.findings],
                "checked": audit.checked,
                "not_checked": audit.not_checked,
            }
            for audit in audits
        ],
    }
