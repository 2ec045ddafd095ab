"""Audit what the catalog says of partitions against what an audit found of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from bronze.partitioning.partition import Partition
from bronze.verify.era_audit import EraAudit
from bronze.verify.finding import FindingCollector
from bronze.verify.selection import Selection

LEVEL = "catalog"


class CatalogRow(Protocol):
    """What is compared of the catalog's row of a partition; see `bronze.catalog.lineage.RecordedPartition`."""

    @property
    def row_count(self) -> int:
        """Ledgers in it."""

    @property
    def byte_size(self) -> int:
        """Bytes of its parquet file."""

    @property
    def checksum(self) -> str:
        """Of its parquet file."""


def audit_catalog(result: EraAudit, rows: Mapping[Partition, CatalogRow], where: str, selection: Selection) -> None:
    """Add to `result` where the catalog's rows of the era differ from the partitions in it.

    Args:
        where: what to call the catalog, without secrets.
    """
    findings = FindingCollector(
        result.findings, result.chain, LEVEL, where, remedy="the next bronze-copier run corrects the row"
    )
    result.checked.append(f"{len(rows):,} rows of the catalog")
    reports = {report.partition: report for report in result.reports}
    for partition, row in rows.items():
        if not selection.in_range(partition):
            continue
        report = reports.get(partition)
        if report is None:
            if result.is_complete:
                findings.add("has a row of this partition", partition=partition, expected="none: it is not published")
        elif report.checksum:  # otherwise its manifest cannot be used, which is a finding of its own
            for name, found, right in (
                ("checksum", row.checksum, report.checksum),
                ("row_count", row.row_count, report.rows),
                ("byte_size", row.byte_size, report.byte_size),
            ):
                if found != right:
                    findings.add(f"says {name} {found}", partition=partition, expected=str(right))
    for partition in sorted(reports.keys() - rows.keys()):
        findings.note("has no row of this partition yet: the next run records it", partition=partition)
