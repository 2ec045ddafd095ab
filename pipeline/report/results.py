"""The result of a verification as the report shows it: of an audit, or of a document that ``verify --json`` printed.

A document comes from somewhere: every value in it is checked for its type, and cut where it is long.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bronze.errors import ConfigError
from bronze.partitioning.partition import Partition
from bronze.verify.era_audit import EraAudit
from bronze.verify.finding import Finding, Severity

_SCHEMA = "bronze-copier/verify/1"
#: A document with a hundred thousand findings is smaller than this.
_MAX_BYTES = 64 << 20
_RANGE = re.compile(r"([0-9]{1,10})-([0-9]{1,10})")
_MAX_TEXT = 600
_KINDS = {severity.value for severity in Severity}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFinding:
    """A finding as text; see `bronze.verify.finding.Finding`."""

    severity: str
    level: str
    object: str
    partition: str
    ledger: str
    found: str
    expected: str
    remedy: str

    @property
    def range(self) -> Partition | None:
        """The partition that is meant, where it is one."""
        match = _RANGE.fullmatch(self.partition)
        return Partition(int(match[1]), int(match[2])) if match and int(match[1]) <= int(match[2]) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownResult:
    """What one verification says of one era.

    Attributes:
        source: where the result is from, in words.
        events: event files that were checked; None: they were not looked at.
    """

    source: str
    chain: str
    url: str
    level: str
    verdict: str
    findings: tuple[ShownFinding, ...]
    checked: tuple[str, ...]
    not_checked: tuple[str, ...]
    events: int | None
    head: str

    def count(self, severity: str) -> int:
        """How many findings have this severity."""
        return sum(finding.severity == severity for finding in self.findings)


def result_of(audit: EraAudit, source: str) -> ShownResult:
    """The result of an audit."""
    return ShownResult(
        source=source,
        chain=audit.chain,
        url=audit.url,
        level=audit.level,
        verdict=audit.verdict,
        findings=tuple(map(_shown, audit.findings)),
        checked=tuple(audit.checked),
        not_checked=tuple(audit.not_checked),
        events=audit.events,
        head=audit.head,
    )


def _shown(finding: Finding) -> ShownFinding:
    return _finding(finding.as_json())


def read_results(path: Path) -> list[ShownResult]:
    """The results in a file that ``verify --json`` was printed to.

    Raises:
        ConfigError: it is no such document.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
            written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        if len(data) > _MAX_BYTES:
            raise ValueError(f"it has more than {_MAX_BYTES} bytes")
        document = json.loads(data)
        if not isinstance(document, dict) or document.get("schema") != _SCHEMA:
            raise ValueError(f"its schema is not {_SCHEMA}")
        source = f"{path.name}, a file of {written:%Y-%m-%d %H:%M} UTC"
        return [_result(entry, source) for entry in _list(document, "eras")]
    except OSError as error:
        raise ConfigError(f"--verification: {path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"--verification: {path} is not what verify --json prints: {error}") from error


def _result(entry: Any, source: str) -> ShownResult:
    if not isinstance(entry, dict):
        raise TypeError(f"an era is {type(entry).__name__}")
    events = entry.get("events")
    return ShownResult(
        source=source,
        chain=_text(entry, "chain"),
        url=_text(entry, "url"),
        level=_text(entry, "level"),
        verdict=_text(entry, "verdict"),
        findings=tuple(map(_finding, _list(entry, "findings"))),
        checked=tuple(_sentences(_list(entry, "checked"))),
        not_checked=tuple(_sentences(_list(entry, "not_checked"))),
        events=events if isinstance(events, int) else None,
        head=_text(entry, "head"),
    )


def _finding(entry: Any) -> ShownFinding:
    if not isinstance(entry, dict) or entry.get("severity") not in _KINDS:
        raise TypeError("a finding has no severity")
    ledger = entry.get("ledger")
    return ShownFinding(
        ledger="" if ledger is None else str(ledger)[:20],
        **{
            name: _text(entry, name)
            for name in ("severity", "level", "object", "partition", "found", "expected", "remedy")
        },
    )


def _list(entry: dict[str, Any], name: str) -> Sequence[Any]:
    found = entry.get(name, [])
    if not isinstance(found, list):
        raise TypeError(f"{name} is {type(found).__name__}, expected a list")
    return found


def _text(entry: dict[str, Any], name: str) -> str:
    return next(_sentences([entry.get(name, "")]))


def _sentences(values: Sequence[Any]) -> Iterator[str]:
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"{type(value).__name__}, expected text")
        yield value if len(value) <= _MAX_TEXT else value[:_MAX_TEXT] + "…"
