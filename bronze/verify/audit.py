"""Audit one era's published partitions: each at a level, and where they meet. Nothing is written.

`audit_era` checks what partitions say of each other; what each says of itself is `PartitionCheck`, which the caller
runs wherever it wants to (`check_all`).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from bronze.dataset.listing import list_dataset
from bronze.dataset.manifest import parquet_file_name
from bronze.ledger.close_meta import VerifyLevel
from bronze.partitioning.partition import Partition, uncovered_ranges
from bronze.partitioning.partition_index import PartitionIndex
from bronze.storage.store import join
from bronze.verify.era_audit import EraAudit
from bronze.verify.file_check import check_names
from bronze.verify.finding import Finding, FindingCollector, Level, Severity, fill
from bronze.verify.partition_check import PartitionCheck, PartitionReport
from bronze.verify.selection import Selection

#: Partitions of one era that are named because another era has ledgers of them.
_MAX_OVERLAPS = 20

#: Checks partitions, in any order: the reports, one for each unless it is interrupted.
CheckAll = Callable[[PartitionCheck, Sequence[Partition]], Iterable[PartitionReport]]


def audit_era(
    check: PartitionCheck,
    selection: Selection,
    check_all: CheckAll,
    *,
    has_end: bool = True,
    reached: int = 0,
) -> EraAudit:
    """Audit the partitions of `check.era`; findings are collected, not raised.

    Args:
        selection: which partitions are looked into.
        check_all: runs `check` on partitions.
        has_end: whether the era's own start and end are known; otherwise it is taken to begin with its first partition
            and to end with its last.
        reached: the last ledger that is known to be committed; 0 when none is.

    Raises:
        StoreError: the store cannot be listed.
    """
    dataset, era = check.dataset, check.era
    result = EraAudit(
        chain=era.chain,
        url=dataset.object_url(join(dataset.prefix, era.chain, dataset.table)),
        level=check.level,
    )
    listing = list_dataset(dataset, era)
    found = FindingCollector(result.findings, era.chain, Level.MANIFESTS, result.url)
    _note_unfinished(found, check, listing.orphans, listing.replaced, selection)
    chosen = [one for one in listing.list_partitions(era) if selection.in_range(one)]
    deep = [one for one in chosen if selection.holds(one)]
    shallow = [one for one in chosen if not selection.holds(one)]
    manifests_only = PartitionCheck(dataset=dataset, era=era, level=Level.MANIFESTS)
    for one_check, partitions in ((manifests_only, shallow), (check, deep)):
        for report in check_all(one_check, partitions):
            result.reports.append(report)
            result.findings += report.findings
            result.deep += partitions is deep
    if len(result.reports) < len(chosen):
        result.is_complete = False
        result.not_checked.append(f"{len(chosen) - len(result.reports):,} partitions: the audit was interrupted")
        result.not_checked.append("whether there are files that belong to no partition: the audit was interrupted")
    else:
        try:
            check_names(dataset, era, found)
        except OSError as error:
            found.add_failure(error, result.url)
    result.reports.sort(key=lambda report: report.partition)
    _add_gaps(result, check, chosen, selection, found, has_end=has_end, reached=reached)
    if has_end:
        _note_outside(check, chosen, found)
    result.findings += link_findings(result.reports, result.url)
    _add_checked(result, check, selection, len(shallow), len(chosen))
    return result


def seam_findings(audits: Sequence[EraAudit]) -> Iterator[Finding]:
    """Where the eras of one network, version and table meet: overlaps, and ledgers that do not link.

    The object of a finding is the `url` of one of `audits`.
    """
    groups: dict[tuple[str, str, str], list[EraAudit]] = {}
    for audit in audits:
        if audit.reports:
            network, _, version = audit.chain.split("/")
            groups.setdefault((network, version, audit.url.rpartition("/")[2]), []).append(audit)
    for group in groups.values():
        for one, other in itertools.combinations(sorted(group, key=lambda audit: audit.reports[0].partition), 2):
            yield from _between_eras(one, other)


def _between_eras(one: EraAudit, other: EraAudit) -> Iterator[Finding]:
    index = PartitionIndex(report.partition for report in one.reports)
    reports = {report.partition: report for report in one.reports}
    twice = 0
    for report in other.reports:
        overlapping = index.overlapping(report.partition)
        twice += bool(overlapping)
        if overlapping and twice <= _MAX_OVERLAPS:
            yield _overlap(reports[overlapping[0]], report, other.url)
        for before in index.ending_at(report.partition.start - 1):
            yield from _link(reports[before], report, other.url)
        for after in index.starting_at(report.partition.end + 1):
            yield from _link(report, reports[after], one.url)
    if twice > _MAX_OVERLAPS:
        yield Finding(
            severity=Severity.WRONG,
            level=Level.MANIFESTS,
            chain=other.chain,
            object=other.url,
            found=f"overlaps {one.chain} in {twice:,} partitions, the first {_MAX_OVERLAPS} of which are named",
            expected="every ledger once",
        )


def link_findings(reports: Sequence[PartitionReport], url: str) -> Iterator[Finding]:
    """Where the neighbours among `reports`, which are of one era and in ledger order, overlap or do not link."""
    for before, after in itertools.pairwise(reports):
        if after.partition.start <= before.partition.end:
            yield _overlap(before, after, url)
        else:
            yield from _link(before, after, url)


def _overlap(before: PartitionReport, after: PartitionReport, url: str) -> Finding:
    return _wrong(
        after,
        url,
        ledger=max(before.partition.start, after.partition.start),
        found=f"overlaps the partition {before.partition} of {before.chain}",
        expected="every ledger once",
    )


def _link(before: PartitionReport, after: PartitionReport, url: str) -> Iterator[Finding]:
    if after.partition.start != before.partition.end + 1 or before.links is None or after.links is None:
        return
    found, expected = after.links.previous_hash, before.links.last_hash
    if found != expected:
        yield _wrong(
            after,
            url,
            ledger=after.links.first,
            found=f"follows a ledger with the hash {found}",
            expected=f"{expected}, the last one of {before.chain} {before.partition}",
        )


def _wrong(after: PartitionReport, url: str, *, ledger: int, found: str, expected: str) -> Finding:
    return Finding(
        severity=Severity.WRONG,
        level=Level.MANIFESTS,
        chain=after.chain,
        object=url,
        partition=str(after.partition),
        ledger=ledger,
        found=found,
        expected=expected,
    )


def _note_unfinished(
    found: FindingCollector,
    check: PartitionCheck,
    orphans: Sequence[Partition],
    replaced: Sequence[Partition],
    selection: Selection,
) -> None:
    for partitions, text in (
        (orphans, "has no manifest yet: a run in progress, or the next one, finishes or removes it, or says why not"),
        (replaced, "is being replaced: a run in progress, or the next one, completes that"),
    ):
        for partition in partitions:
            if selection.in_range(partition):
                key = join(check.dataset.directory(check.era, partition), parquet_file_name(partition))
                found.note(text, where=check.dataset.object_url(key), partition=partition)


def _note_outside(check: PartitionCheck, chosen: Sequence[Partition], found: FindingCollector) -> None:
    """Note partitions with ledgers that the era's own range does not have."""
    era = check.era
    outside = [one for one in chosen if one.start < era.ledger_start or one.end > era.last_ledger]
    if outside:
        found.note(
            f"{len(outside):,} partitions, from {outside[0]} to {outside[-1]}, have ledgers outside of the era's range"
            f" {era.ledger_start}-{era.ledger_end or ''}: they were checked like the others"
        )


def _add_gaps(
    result: EraAudit,
    check: PartitionCheck,
    chosen: Sequence[Partition],
    selection: Selection,
    found: FindingCollector,
    *,
    has_end: bool,
    reached: int,
) -> None:
    era = check.era
    start = max(era.ledger_start, selection.first or 0)
    if not has_end and selection.first is None and chosen:
        start = chosen[0].start
    committed = reached
    reached = max([reached, *(one.end for one in chosen)])
    end = max(reached, start - 1)
    if has_end and era.ledger_end:
        end = max(end, era.ledger_end)
    if selection.last is not None:
        end = selection.last
    result.gaps = uncovered_ranges(chosen, start, end)
    for gap in result.gaps:
        is_behind = gap.start > (committed or reached)
        found.add(
            f"ledgers {gap} are not published yet" if is_behind else f"gap: ledgers {gap} have no partition",
            severity=Severity.MISSING,
            partition=gap,
            ledger=gap.start,
            expected="every ledger that is asked for",
            remedy="bronze-copier run" if is_behind else fill(gap),
        )


def _add_checked(result: EraAudit, check: PartitionCheck, selection: Selection, shallow: int, chosen: int) -> None:
    level, looked = check.level, f"{result.deep:,} partitions"
    rows = sum(report.checked_rows for report in result.reports)
    said = f"at the level {level}: {looked}: their manifests, sizes and links, and which ledgers are missing"
    if level.includes(Level.FILES):
        said += "; the SHA-256, columns, row counts and ends of their parquet files"
    if level.includes(Level.ROWS):
        said += f"; {rows:,} rows: their XDR, hashes, links and every column"
    if level.includes(Level.SOURCE):
        said += ", and that the lake has the same bytes"
    result.checked.append(said)
    _add_not_checked(result, check, selection, shallow, chosen)


def _add_not_checked(result: EraAudit, check: PartitionCheck, selection: Selection, shallow: int, chosen: int) -> None:
    level = check.level
    if shallow and level is not Level.MANIFESTS and selection.subset:
        result.not_checked.append(
            f"files and rows of {shallow:,} of {chosen:,} partitions (--subset {selection.subset.text})"
        )
    if not level.includes(Level.FILES):
        result.not_checked.append("the bytes of the parquet files, but for their sizes (--level files)")
    if not level.includes(Level.ROWS):
        result.not_checked.append("the rows: whether they are what their hashes say (--level rows)")
    if not level.includes(Level.SOURCE):
        result.not_checked.append("whether the lake has the same bytes (--level source)")
    if level.includes(Level.ROWS) and check.verify is VerifyLevel.HEADER:
        result.not_checked.append("hashes of transaction sets and results, and contract events (source.verify: header)")
    counts = Counter(what for report in result.reports for what in report.left_out)
    result.not_checked += [f"in {count:,} partitions: {what}" for what, count in counts.items()]
    older = sum(report.links is None for report in result.reports)
    if older and not level.includes(Level.FILES):
        result.not_checked.append(
            f"the links of {older:,} partitions, whose manifests (older copier) do not state them"
        )
