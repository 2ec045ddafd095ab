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
from bronze.authenticity.findings import PartitionAuthenticity
from bronze.authenticity.policy import AuthenticityPolicy, CheckMode
from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import LedgerLinks, Manifest, parse_ledger_links
from bronze.errors import AccessDeniedError, DataError, StateError, StoreError
from bronze.ledger.close_meta import VerifyLevel
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.verify.file_check import check_footer
from bronze.verify.finding import Finding, FindingCollector, Level, Severity, is_unreadable, remake
from bronze.verify.row_check import MAX_PROBLEMS, LedgerSource, RowCheck

#: What says that something cannot be read, not that it is wrong.
UNREADABLE = (AccessDeniedError, OSError, StoreError)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionReport:
    """What was found of one partition.

    Attributes:
        level: the deepest level that was reached.
        rows, byte_size: by the manifest; 0 without a usable one.
        checksum: of the parquet file, as the manifest says; from the level ``files`` on it was compared with the file.
        checked_rows, checked_bytes: rows that were recomputed, and the raw bytes in them.
        links: what links it to its neighbours: by its rows where they were read, else by its manifest.
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
        self.found.append(
            Finding(
                severity=severity,
                level=level,
                chain=self._chain,
                object=self._dataset.object_url(key),
                partition=str(self._partition),
                ledger=ledger,
                found=found,
                expected=expected,
                remedy=remake(self._partition) if severity is Severity.WRONG else "",
            )
        )

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
        return dataclasses.replace(report, findings=tuple(findings.found))

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
            findings.add(Level.MANIFESTS, key, "is missing", expected="a manifest")
            return None
        links = manifest.ledgers
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
        check = RowCheck(
            self.era, partition, verify=self.verify, authenticator=self._authenticator(manifest), source=source
        )
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
            self._compare_signatures(manifest, check.proven, findings)
        links = check.links
        if not count and links is not None and manifest.ledgers is not None and links != manifest.ledgers:
            findings.add(
                Level.ROWS,
                self.dataset.manifest_key(self.era, partition),
                f"links its partition by {manifest.ledgers.as_json()}",
                expected=f"{links.as_json()}, as its rows do",
            )
        return dataclasses.replace(
            report, checked_rows=check.rows, checked_bytes=check.raw_bytes, links=links or report.links
        )

    def _compare_signatures(
        self, manifest: Manifest, proven: PartitionAuthenticity, findings: PartitionFindings
    ) -> None:
        """Who is said to have signed decides how far a chain is attested, so it must be what the rows show."""
        stated = manifest.authenticity
        if stated is None or not stated.has_checked_signatures:
            return
        said, found = stated.signature_findings(), proven.signature_findings()
        # Sets that were not verified name no signers: then an audit in full finds more, not something else.
        if not stated.signers or self.verify is not VerifyLevel.FULL:
            said["signers"] = found["signers"] = {}
        differing = [name for name in said if said[name] != found[name]]
        if differing:
            claims, facts = ({name: of[name] for name in differing} for of in (said, found))
            findings.add(
                Level.ROWS,
                self.dataset.manifest_key(self.era, manifest.partition),
                f"says of its signatures {claims}",
                expected=f"{facts}, as its rows show",
            )

    def _authenticator(self, manifest: Manifest) -> Authenticator | None:
        """What checks signatures and contract events; None where nothing is known to compare with.

        Where the manifest says that some failed, or that none were checked, the ledgers of the partition are known not
        to be proven: only those are required that were proven when it was made.
        """
        stated = manifest.authenticity
        if self.passphrase is None or stated is None:
            return None
        full = self.verify is VerifyLevel.FULL
        policy = AuthenticityPolicy(
            network=self.era.network,
            passphrase=self.passphrase,
            signatures=CheckMode.REPORT if stated.failed_signatures or not stated.network_id else CheckMode.REQUIRE,
            events=CheckMode.REQUIRE if full and not stated.failed_events else CheckMode.OFF,
            sets_are_verified=full,
        )
        return Authenticator(policy)
