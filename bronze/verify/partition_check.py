"""Check one published partition at a level: manifest, file, rows. Partitions are checked independently of each other.

What a check found is a `PartitionReport`: small, and JSON, so that partitions can be checked anywhere.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from bronze.authenticity.authenticator import Authenticator
from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import LedgerLinks, Manifest, parse_ledger_links
from bronze.errors import AccessDeniedError, DataError, StateError, StoreError
from bronze.ledger.close_meta import VerifyLevel
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.verify.file_check import check_footer
from bronze.verify.finding import Finding, FindingCollector, Level, Severity, is_unreadable, remake
from bronze.verify.proofs import compare_signatures, left_out_proofs, proof_policy
from bronze.verify.row_check import MAX_PROBLEMS, LedgerSource, RowCheck

#: What says that something cannot be read, not that it is wrong.
UNREADABLE = (AccessDeniedError, OSError, StoreError)
#: Checks of a partition that is replaced each time while it is checked.
_ATTEMPTS = 3
_OPERATION_COUNT = "operation_count: of the older copier, where it means something else"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionReport:
    """What was found of one partition.

    Attributes:
        level: the deepest level that was reached.
        rows, byte_size: by the manifest; 0 without a usable one.
        checksum: of the parquet file, as the manifest says; from the level ``files`` on it was compared with the file.
        checked_rows, checked_bytes: rows that were recomputed, and the raw bytes in them.
        links: what links it to its neighbours: by its rows where they were read, else by its manifest.
        left_out: what the level asks for and this partition does not allow to check, a sentence each.
    """

    chain: str
    partition: Partition
    level: Level
    rows: int = 0
    byte_size: int = 0
    checksum: str = ""
    checked_rows: int = 0
    checked_bytes: int = 0
    links: LedgerLinks | None = None
    left_out: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    def to_json(self) -> str:
        """The report as one line of JSON."""
        entry = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        entry["partition"] = [self.partition.start, self.partition.end]
        entry["links"] = self.links.as_json() if self.links else None
        entry["findings"] = [finding.as_json() for finding in self.findings]
        return json.dumps(entry)

    @classmethod
    def from_json(cls, line: str) -> PartitionReport:
        """The report that `to_json` made `line` of."""
        entry = json.loads(line)
        entry["partition"] = Partition(*entry["partition"])
        entry["level"] = Level(entry["level"])
        entry["links"] = parse_ledger_links(entry["links"]) if entry["links"] else None
        entry["left_out"] = tuple(entry["left_out"])
        entry["findings"] = tuple(map(Finding.from_json, entry["findings"]))
        return cls(**entry)


class PartitionFindings:
    """Collects what is found of one partition."""

    def __init__(self, dataset: Dataset, era: Era, partition: Partition) -> None:
        self._dataset = dataset
        self._chain = era.chain
        self._partition = partition
        self.found: list[Finding] = []

    def add(
        self,
        level: Level,
        key: str,
        found: str,
        *,
        expected: str = "",
        severity: Severity = Severity.WRONG,
        ledger: int | None = None,
    ) -> None:
        """Add a finding of the object at `key`; what is wrong with a partition is mended by making it again."""
        collector = self.of_file(level, key)
        collector.add(found, severity=severity, partition=self._partition, ledger=ledger, expected=expected)

    def add_failure(self, level: Level, key: str, error: Exception) -> None:
        """Add the finding of a file that could not be read: missing or damaged is wrong, unreadable is unchecked."""
        severity = Severity.UNCHECKED if is_unreadable(error) else Severity.WRONG
        self.add(level, key, f"cannot be read: {error}", severity=severity)

    def of_file(self, level: Level, key: str) -> FindingCollector:
        """What takes findings of the object at `key`."""
        return FindingCollector(
            self.found, self._chain, level, self._dataset.object_url(key), remedy=remake(self._partition)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionCheck:
    """Checks partitions of one era.

    Attributes:
        level: how deep.
        verify: which hashes of a ledger are recomputed at the level ``rows``.
        passphrase: of the network; None when it is not known: then signatures are not checked.
        source: opens the lake's ledgers of a partition; needed for the level ``source``.
    """

    dataset: Dataset
    era: Era
    level: Level
    verify: VerifyLevel = VerifyLevel.FULL
    passphrase: str | None = None
    source: Callable[[Partition], LedgerSource] | None = None

    def check(self, partition: Partition) -> PartitionReport:
        """Check one partition; what is wrong is reported, not raised.

        Raises:
            RunStoppedError: the process was asked to stop.
        """
        for _ in range(_ATTEMPTS):
            report, manifest = self._check_once(partition)
            if manifest is None or not any(one.severity is Severity.WRONG for one in report.findings):
                break
            if self._manifest(partition, PartitionFindings(self.dataset, self.era, partition)) == manifest:
                break  # nobody replaced the partition meanwhile
        return report

    def _check_once(self, partition: Partition) -> tuple[PartitionReport, Manifest | None]:
        findings = PartitionFindings(self.dataset, self.era, partition)
        manifest = self._manifest(partition, findings)
        report = PartitionReport(chain=self.era.chain, partition=partition, level=self.level)
        if manifest is not None:
            report = dataclasses.replace(
                report,
                rows=manifest.row_count,
                byte_size=manifest.byte_size,
                checksum=manifest.checksum,
                links=manifest.ledgers,
            )
            size = self._size(manifest, findings)
            # A file of another size has another checksum: that is one finding. Its rows tell what is wrong with it.
            if size == manifest.byte_size and self.level.includes(Level.FILES):
                report = self._file(report, manifest, findings)
            if size and self.level.includes(Level.ROWS):
                report = self._rows(report, manifest, findings)
        return dataclasses.replace(report, findings=tuple(findings.found)), manifest

    def _manifest(self, partition: Partition, findings: PartitionFindings) -> Manifest | None:
        key = self.dataset.manifest_key(self.era, partition)
        try:
            manifest = self.dataset.find_manifest(self.era, partition, check_file=False)
        except StateError as error:
            findings.add(Level.MANIFESTS, key, str(error))
            return None
        except (ValueError, *UNREADABLE) as error:
            findings.add_failure(Level.MANIFESTS, key, error)
            return None
        if manifest is None:
            if self.dataset.store.size(self.dataset.replacing_key(self.era, partition)) is not None:
                found = "is gone: the partition is being replaced"
                findings.add(Level.MANIFESTS, key, found, severity=Severity.NOTE)
            else:
                findings.add(Level.MANIFESTS, key, "is missing", expected="a manifest")
            return None
        links = manifest.ledgers
        if links is None and manifest.made_with is not None:
            found = "has no links to its neighbours (ledgers), though it is not of the older copier"
            findings.add(Level.MANIFESTS, key, found, expected="the first and the last ledger, with their hashes")
        if manifest.unknown_keys:
            found = f"has keys that this version does not know, and does not check: {', '.join(manifest.unknown_keys)}"
            findings.add(Level.MANIFESTS, key, found, severity=Severity.NOTE)
        if links is not None and (links.first, links.last) != (partition.first_ledger, partition.end):
            findings.add(
                Level.MANIFESTS,
                key,
                f"names the ledgers {links.first}-{links.last}",
                expected=f"{partition.first_ledger}-{partition.end}",
            )
        return manifest

    def _size(self, manifest: Manifest, findings: PartitionFindings) -> int | None:
        """Compare the size of the parquet file and return it; None where there is none, or it cannot be read."""
        key = self.dataset.parquet_key(self.era, manifest.partition)
        try:
            size = self.dataset.store.size(key)
        except UNREADABLE as error:
            findings.add_failure(Level.MANIFESTS, key, error)
            return None
        if size != manifest.byte_size:
            found = "is missing" if size is None else f"has {size} bytes"
            findings.add(Level.MANIFESTS, key, found, expected=f"{manifest.byte_size} bytes, as its manifest says")
        return size

    def _file(self, report: PartitionReport, manifest: Manifest, findings: PartitionFindings) -> PartitionReport:
        key = self.dataset.parquet_key(self.era, manifest.partition)
        try:
            checksum = self.dataset.checksum(key, may_stop=True)
        except UNREADABLE as error:
            findings.add_failure(Level.FILES, key, error)
            return report
        if checksum != manifest.checksum:
            findings.add(
                Level.FILES,
                key,
                f"has the checksum {checksum}",
                expected=f"{manifest.checksum}, as its manifest says",
            )
            return report  # what its footer says besides follows from that
        try:
            links = check_footer(self.dataset, self.era, manifest, findings.of_file(Level.FILES, key))
        except (ValueError, StateError, *UNREADABLE) as error:
            findings.add_failure(Level.FILES, key, error)
            return report
        return dataclasses.replace(report, links=links)

    def _rows(self, report: PartitionReport, manifest: Manifest, findings: PartitionFindings) -> PartitionReport:
        partition = manifest.partition
        key = self.dataset.parquet_key(self.era, partition)
        source = self.source(partition) if self.source and self.level.includes(Level.SOURCE) else None
        policy = proof_policy(manifest, self.passphrase, self.verify)
        authenticator = Authenticator(policy) if policy is not None else None
        check = RowCheck(self.era, partition, verify=self.verify, authenticator=authenticator, source=source)
        count = 0
        try:
            with closing(self.dataset.store.open_read(key)) as file:
                for problem in check.problems(file):
                    count += 1
                    level = Level.SOURCE if problem.is_source else Level.ROWS
                    findings.add(
                        level,
                        key,
                        problem.found,
                        expected=problem.expected,
                        ledger=problem.ledger,
                        severity=Severity.UNCHECKED if problem.is_unchecked else Severity.WRONG,
                    )
        except (ValueError, DataError, *UNREADABLE) as error:
            findings.add_failure(Level.ROWS, key, error)
            return report
        if count == MAX_PROBLEMS:
            findings.add(Level.ROWS, key, "may have more problems: the rest was not read", severity=Severity.UNCHECKED)
        if check.is_of_older_copier:
            findings.add(
                Level.ROWS,
                key,
                "is of the older copier, whose operation_count means something else: that column was not checked",
                severity=Severity.NOTE,
            )
        if not count and check.proven is not None:
            collector = findings.of_file(Level.ROWS, self.dataset.manifest_key(self.era, partition))
            compare_signatures(manifest, check.proven, self.verify, collector)
        left_out = () if self.passphrase is None else left_out_proofs(manifest, policy, self.verify)
        if check.is_of_older_copier:
            left_out += (_OPERATION_COUNT,)
        links = check.links
        if not count and links is not None and manifest.ledgers is not None and links != manifest.ledgers:
            findings.add(
                Level.ROWS,
                self.dataset.manifest_key(self.era, partition),
                f"links its partition by {manifest.ledgers.as_json()}",
                expected=f"{links.as_json()}, as its rows do",
            )
        return dataclasses.replace(
            report,
            checked_rows=check.rows,
            checked_bytes=check.raw_bytes,
            links=links or report.links,
            left_out=left_out,
        )
