"""Check the last ledger of partitions against SCP messages in history archives: a quorum of validators took its value.

The value names the transaction set, and the set names the ledger before. So a quorum that externalized the value of a
partition's last ledger stands behind every ledger before that one, also from before ledgers were signed; the last
ledger itself is proven with the partition behind it. One row is read of each partition, and one file of each archive
until one of them proves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bronze.archives.checkpoint_files import checkpoint_of, records
from bronze.authenticity.quorum import QuorumSet
from bronze.authenticity.scp import externalized, read_envelopes
from bronze.authenticity.value_signature import named_previous_hash, read_stellar_value
from bronze.dataset.dataset import Dataset
from bronze.dataset.published_tables import PublishedTable
from bronze.errors import ArchiveError, DataError, StoreError
from bronze.ledger.close_meta import VerifyLevel, read_close_meta
from bronze.ledger.hashes import check_hashes
from bronze.partitioning.era import Era
from bronze.verify.finding import Finding, Severity, is_unreadable, remake
from bronze.verify.partition_check import PartitionReport

LEVEL = "scp"
#: The largest ``scp`` file, compressed or not; real ones have some 70 KB, pubnet's of today some 1 MB.
_MAX_SCP_BYTES = 16 << 20


class ScpArchive(Protocol):
    """An archive as this check reads it: `bronze.archives.archive.HistoryArchive`."""

    url: str

    def read_checkpoint(self, category: str, checkpoint: int, *, max_bytes: int) -> bytes:
        """The decompressed records of one file."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ScpProof:
    """What the check of one partition found.

    Attributes:
        through: the last ledger that is proven; None when nothing is, which `findings` explain.
    """

    partition: str
    through: int | None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScpCheck:
    """Checks partitions of `era`, one at a time; may be shared between threads as its archives may.

    Attributes:
        quorum: the validators whose messages count.
        network_id: SHA-256 of the passphrase that they sign under.
        archives: asked in this order until one proves the partition, at least one.
    """

    dataset: Dataset
    era: Era
    quorum: QuorumSet
    network_id: bytes
    archives: Sequence[ScpArchive]

    def check(self, report: PartitionReport) -> ScpProof:
        """Check the partition that an audit has reported; what is wrong is a finding, not raised."""
        ledger = report.partition.end
        try:
            data = PublishedTable(self.dataset, self.era, (report.partition,)).read_ledger(ledger)
            meta = read_close_meta(data, 0, len(data))
            check_hashes(meta, VerifyLevel.FULL)
        except (DataError, StoreError, OSError, ValueError) as error:
            severity = Severity.UNCHECKED if is_unreadable(error) else Severity.WRONG
            return self._failed(report, severity, f"its last row cannot be read, or does not hold: {error}")
        stated = report.links.last_hash if report.links else meta.ledger_hash.hex()
        named = named_previous_hash(meta, data)
        for what, found, expected in (
            ("is the ledger", meta.sequence, ledger),
            ("has the hash", meta.ledger_hash.hex(), stated),
            ("has a transaction set that follows the ledger", named.hex(), meta.previous_ledger_hash.hex()),
        ):
            if found != expected:
                return self._failed(report, Severity.WRONG, f"its last row {what} {found}", f"{expected}")
        return self._ask(report, read_stellar_value(meta, data))

    def _ask(self, report: PartitionReport, value: bytes) -> ScpProof:
        ledger, reasons = report.partition.end, []
        nodes = frozenset(self.quorum.all_nodes())
        for archive in self.archives:
            try:
                data = archive.read_checkpoint("scp", checkpoint_of(ledger), max_bytes=_MAX_SCP_BYTES)
                envelopes = read_envelopes(records(data), ledger)
            except ArchiveError as error:
                reasons.append(_clause(archive.url, str(error)))
                continue
            taken = externalized(envelopes, self.network_id, nodes)
            if self.quorum.is_satisfied_by(taken.get(value, ())):
                return ScpProof(partition=str(report.partition), through=ledger - 1)
            for other, behind in taken.items():
                if other != value and self.quorum.is_satisfied_by(behind):
                    found = f"its last ledger has the value {value.hex()}, but by {archive.url} a quorum took another"
                    return self._failed(report, Severity.WRONG, found, other.hex())
            count = len(taken.get(value, ()))
            reasons.append(
                f"{archive.url} has valid messages of {count} of {len(nodes)} validators, which is no quorum"
            )
        return self._failed(report, Severity.UNCHECKED, f"cannot be proven by SCP messages: {'; '.join(reasons)}")

    def _failed(self, report: PartitionReport, severity: Severity, found: str, expected: str = "") -> ScpProof:
        finding = Finding(
            severity=severity,
            level=LEVEL,
            chain=self.era.chain,
            object=self.dataset.object_url(self.dataset.parquet_key(self.era, report.partition)),
            partition=str(report.partition),
            ledger=report.partition.end,
            found=found,
            expected=expected,
            remedy=remake(report.partition) if severity is Severity.WRONG else "",
        )
        return ScpProof(partition=str(report.partition), through=None, findings=(finding,))


def _clause(url: str, message: str) -> str:
    return message if url in message else f"{url}: {message}"
