"""Results of a verification: of an audit, and of a file that somebody wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bronze.errors import ConfigError
from bronze.partitioning.partition import Partition
from pipeline.commands.audit_text import audit_document
from pipeline.report.results import read_results, result_of
from tests.pipeline.report.conftest import finding, grid, made_facts


def written(path: Path, document: Any) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_document_is_what_audit_says(tmp_path: Path) -> None:
    audit = made_facts(grid(3), gaps=[Partition(32, 41)], findings=[finding("12-21", "is wrong", ledger=15)]).audit
    (read,) = read_results(written(tmp_path / "verify.json", audit_document([audit])))
    own = result_of(audit, read.source)
    assert read == own
    assert read.source.startswith("verify.json, a file of 20")
    assert [read.count(kind) for kind in ("wrong", "missing", "unchecked")] == [1, 1, 0]
    assert [one.range for one in read.findings] == [Partition(32, 41), Partition(12, 21)]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("", "is not what verify --json prints"),
        ("[]", "its schema is not bronze-copier/verify/1"),
        ({"schema": "other"}, "its schema is not"),
        ({"schema": "bronze-copier/verify/1", "eras": {}}, "eras is dict, expected a list"),
        ({"schema": "bronze-copier/verify/1", "eras": [1]}, "an era is int"),
        ({"schema": "bronze-copier/verify/1", "eras": [{"chain": 1}]}, "int, expected text"),
        ({"schema": "bronze-copier/verify/1", "eras": [{"findings": [{"severity": "x"}]}]}, "has no severity"),
        ({"schema": "bronze-copier/verify/1", "eras": [{"not_checked": [[]]}]}, "list, expected text"),
        ("[" * 100_000, "is not what verify --json prints"),
    ],
)
def test_other_document_is_refused(document: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        read_results(written(tmp_path / "verify.json", document))
    assert words in str(raised.value)


def test_missing_document_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.json cannot be read: No such file"):
        read_results(tmp_path / "none.json")


@pytest.mark.parametrize("text", ["", "5", "21-12", "x-y", "1-99999999999", "1-2-3"])
def test_other_ranges_are_no_partition(text: str, tmp_path: Path) -> None:
    entry = {"severity": "wrong", "partition": text}
    document = {"schema": "bronze-copier/verify/1", "eras": [{"findings": [entry]}]}
    (result,) = read_results(written(tmp_path / "verify.json", document))
    assert result.findings[0].range is None


def test_long_text_is_cut(tmp_path: Path) -> None:
    document = {"schema": "bronze-copier/verify/1", "eras": [{"url": "x" * 10_000}]}
    (result,) = read_results(written(tmp_path / "verify.json", document))
    assert len(result.url) == 601
