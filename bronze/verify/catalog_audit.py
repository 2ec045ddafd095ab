"""Audit what the catalog says of partitions against what an audit found of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from bronze.partitioning.partition import Partition
from bronze.verify.era_audit import EraAudit
from bronze.verify.finding import FindingCollector, Severity
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

    @property
    def event_hash(self) -> str:
        """Of its audit event; empty when it has none."""

    @property
    def prev_hash(self) -> str:
        """Checksum of the partition that ends before it; empty when there is none."""

    @property
    def storage_path(self) -> str:
        """Its directory, without the store's prefix."""


def audit_catalog(
    result: EraAudit,
    rows: Mapping[Partition, CatalogRow],
    where: str,
    selection: Selection,
    *,
    path_of: Callable[[Partition], str],
    committed: int | None = None,
) -> None:
    """Add to `result` where the catalog's rows of the era differ from the partitions in it.

    Args:
        where: what to call the catalog, without secrets.
        path_of: gives the directory of a partition, without the store's prefix.
        committed: the chain was committed up to this ledger before `rows` were read: by then each partition has its
            row, unless the catalog could not be reached. None: not known.
    """
    findings = FindingCollector(
        result.findings, result.chain, LEVEL, where, remedy="the next bronze-copier run corrects the row"
    )
    result.checked.append(f"{len(rows):,} rows of the catalog")
    reports = {report.partition: report for report in result.reports}
    before = (
        _checksums_by_end({partition: row.checksum for partition, row in rows.items()}),
        _checksums_by_end({partition: report.checksum for partition, report in reports.items()}),
    )
    for partition, row in rows.items():
        if not selection.in_range(partition):
            continue
        report = reports.get(partition)
        if report is None:
            if result.is_complete:
                findings.add(
                    "has a row of this partition",
                    partition=partition,
                    expected="none: it is not published",
                    remedy="remove the row, unless the partition is lost: bronze-copier run",
                )
            continue
        expected = [("storage_path", row.storage_path, [path_of(partition)])]
        if partition in result.event_hashes:
            expected.append(("pas_event_hash", row.event_hash, [result.event_hashes[partition]]))
        expected.append(("prev_hash", row.prev_hash, [ends.get(partition.start - 1, "") for ends in before]))
        if report.checksum:  # otherwise its manifest cannot be used, which is a finding of its own
            expected += [
                ("checksum", row.checksum, [report.checksum]),
                ("row_count", str(row.row_count), [str(report.rows)]),
                ("byte_size", str(row.byte_size), [str(report.byte_size)]),
            ]
        for name, found, right in expected:
            if found not in right:
                findings.add(f"says {name} {found or 'nothing'}", partition=partition, expected=right[0] or "nothing")
    for partition in sorted(reports.keys() - rows.keys()):
        if committed is not None and partition.end <= committed:
            findings.add(
                "has no row of this partition",
                severity=Severity.MISSING,
                partition=partition,
                expected="one: it is committed",
                remedy="the next bronze-copier run that reaches the catalog records it",
            )
        else:
            findings.note("has no row of this partition yet: the next run records it", partition=partition)


def _checksums_by_end(checksums: Mapping[Partition, str]) -> dict[int, str]:
    """The checksum of the partition that ends with a ledger; of several, the one that begins first."""
    return {partition.end: checksums[partition] for partition in sorted(checksums, reverse=True)}
