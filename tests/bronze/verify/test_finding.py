"""Findings keep all that they say in JSON, and levels are ordered."""

from __future__ import annotations

import itertools
import json

from bronze.verify.finding import Finding, Level, Severity


def test_finding_survives_json() -> None:
    finding = Finding(
        severity=Severity.UNCHECKED, level=Level.ROWS, chain="n/e/v", object="s3://b/k", found="x", ledger=7, remedy="r"
    )
    assert Finding.from_json(json.loads(json.dumps(finding.as_json()))) == finding


def test_finding_reads_as_sentence() -> None:
    finding = Finding(
        severity=Severity.WRONG, level="files", chain="c", object="/f", found="has 3 bytes", expected="4", ledger=9
    )
    assert str(finding) == "wrong: /f: ledger 9: has 3 bytes, expected 4"


def test_each_level_includes_earlier_ones() -> None:
    assert [(a, b) for a, b in itertools.product(Level, Level) if not a.includes(b)] == list(
        itertools.combinations(Level, 2)
    )
