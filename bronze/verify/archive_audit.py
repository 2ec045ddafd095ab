"""Compare the last ledgers of an era's partitions with history archives: each must have the same hash.

A partition's links prove its ledgers up to its last one, which the audit checks, so that one ledger of a partition is
enough. One file of each archive is read for a partition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bronze.archives.comparison import ArchiveComparison
from bronze.errors import ArchiveError, ArchiveNetworkError
from bronze.partitioning.partition import Partition
from bronze.verify.era_audit import EraAudit, Proof
from bronze.verify.finding import FindingCollector, Severity, remake
from bronze.verify.partition_check import PartitionReport

LEVEL = "archives"
#: Partitions at once: each waits for the archives.
_THREADS = 8


@dataclass(slots=True)
class _Said:
    """What archives say of one partition: how many have its hash, other hashes by URL, failures; the rest lag."""

    agreeing: int = 0
    others: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def audit_archives(
    result: EraAudit,
    chosen: Sequence[PartitionReport],
    archives: Sequence[ArchiveComparison],
    needed: int,
    url_of: Callable[[Partition], str],
) -> None:
    """Compare partitions of `result` with archives, and add to it what was found.

    Another hash is wrong, whatever other archives say. A partition that fewer than `needed` archives confirm could not
    be checked: they do not answer, are damaged, or have not come to it yet.

    Args:
        chosen: which of the audit's reports.
        needed: how many archives have to have the hash, at least 1.
        url_of: the URL of a partition's parquet file.
    """
    result.archives = proof = Proof(checked=len(chosen))
    collector = FindingCollector(result.findings, result.chain, LEVEL, result.url)
    asked = _reachable(archives, needed, collector) if chosen else []
    late: list[PartitionReport] = []
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="archives") as pool:
        for report, said in zip(chosen, pool.map(lambda one: _ask(one, asked), chosen), strict=True):
            where, partition = url_of(report.partition), report.partition
            for url, theirs in said.others.items():
                collector.add(
                    f"its last ledger has the hash {_last_hash(report)}, but the history archive {url} has another",
                    where=where, partition=partition, ledger=partition.end, expected=theirs, remedy=remake(partition),
                )  # fmt: skip
            is_proven = said.agreeing >= needed and not said.others
            if said.failures and not said.others and (is_proven or len(asked) >= needed):
                count = f"{said.agreeing} of {len(archives)} history archives have its last hash, {needed} are needed"
                severity = Severity.NOTE if is_proven else Severity.UNCHECKED
                found = f"{count}: {'; '.join(said.failures)}"
                collector.add(found, where=where, severity=severity, partition=partition, ledger=partition.end)
            elif not is_proven and not said.others and len(asked) >= needed:
                late.append(report)
            if is_proven:
                proof.add(partition.end)
    if late:
        first, last = late[0].partition, late[-1].partition
        collector.add(
            f"{len(late):,} partitions from {first} to {last} are newer than what {needed} of the history archives have"
            " yet: verify them later",
            severity=Severity.UNCHECKED,
            ledger=first.end,
        )
    through = f", the last of them ledger {proof.through}" if proof.through is not None else ""
    result.checked.append(
        f"history archives: {needed} of {len(archives)} have the hash that ends {proof.proven:,} of {proof.checked:,}"
        f" partitions{through}"
    )


def _reachable(
    archives: Sequence[ArchiveComparison], needed: int, collector: FindingCollector
) -> list[ArchiveComparison]:
    """The archives that answer and are of the right network; the others are a finding each."""
    found = []
    failures: list[tuple[str, ArchiveError]] = []
    for archive in archives:
        try:
            archive.find_reach()
        except ArchiveNetworkError as error:
            collector.add(str(error), where=archive.url)
        except ArchiveError as error:
            failures.append((archive.url, error))
        else:
            found.append(archive)
    severity = Severity.NOTE if len(found) >= needed else Severity.UNCHECKED
    for url, failure in failures:
        collector.add(f"cannot be asked: {failure}", where=url, severity=severity)
    return found


def _ask(report: PartitionReport, archives: Sequence[ArchiveComparison]) -> _Said:
    said = _Said()
    if report.links is None:
        said.failures.append("its last hash is not known")
        return said
    for archive in archives:
        try:
            theirs = archive.find_hash(report.partition.end)
        except ArchiveError as error:
            said.failures.append(str(error))
            continue
        if theirs == report.links.last_hash:
            said.agreeing += 1
        elif theirs is not None:
            said.others[archive.url] = theirs
    return said


def _last_hash(report: PartitionReport) -> str:
    return report.links.last_hash if report.links else ""
