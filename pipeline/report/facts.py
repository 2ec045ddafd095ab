"""What the report shows of one era beside its audit: what manifests state, and which protocol versions there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import Manifest
from bronze.errors import BronzeError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.verify.era_audit import EraAudit

#: Manifests that are asked for at once.
_REQUESTS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolSpan:
    """Ledgers of one protocol version, as far as partitions were looked into.

    Attributes:
        first, last: inclusive ledgers; where the version changes within a partition, that partition's.
    """

    version: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EraFacts:
    """What is shown of one era.

    Attributes:
        audit: what was checked while the report was made.
        ledger_start, ledger_end: what is asked for, inclusive; None where it is not known or has no end.
        partition_size: ledgers of a usual partition.
        manifests: of the partitions whose manifest can be used, in ledger order.
        protocols: in ledger order.
        protocol_files: how many parquet files were read for that.
    """

    audit: EraAudit
    ledger_start: int | None
    ledger_end: int | None
    partition_size: int
    manifests: tuple[Manifest, ...]
    protocols: tuple[ProtocolSpan, ...]
    protocol_files: int


def read_facts(audit: EraAudit, era: Era, dataset: Dataset, *, knows_range: bool) -> EraFacts:
    """Read manifests, and a few rows of a few parquet files; what cannot be read is left out, its finding stands.

    Args:
        knows_range: whether `era` says what is asked for.
    """

    def manifest_of(partition: Partition) -> Manifest | None:
        try:
            return dataset.find_manifest(era, partition, check_file=False)
        except (BronzeError, OSError, ValueError):
            return None

    partitions = [report.partition for report in audit.reports]
    with ThreadPoolExecutor(_REQUESTS, thread_name_prefix="manifest") as pool:
        manifests = tuple(found for found in pool.map(manifest_of, partitions) if found is not None)
    spans, files = protocol_spans(
        [one.partition for one in manifests], lambda partition: _versions(dataset, era, partition)
    )
    return EraFacts(
        audit=audit,
        ledger_start=era.ledger_start if knows_range else None,
        ledger_end=era.ledger_end or None if knows_range else None,
        partition_size=era.partition_size,
        manifests=manifests,
        protocols=spans,
        protocol_files=files,
    )


def _versions(dataset: Dataset, era: Era, partition: Partition) -> tuple[int, int] | None:
    from bronze.dataset.parquet import read_protocol_versions  # pyarrow loads slowly

    try:
        with closing(dataset.store.open_read(dataset.parquet_key(era, partition))) as file:
            return read_protocol_versions(file)
    except (BronzeError, OSError, ValueError):
        return None


def protocol_spans(
    partitions: Sequence[Partition], read: Callable[[Partition], tuple[int, int] | None]
) -> tuple[tuple[ProtocolSpan, ...], int]:
    """The protocol versions of `partitions`, and how many of them were read.

    A version never goes down, so where both ends of a stretch have the same one, nothing between them is read.

    Args:
        partitions: in ledger order.
        read: the versions of the first and the last ledger of a partition; None where it cannot be read.

    >>> parts = [Partition(start, start + 9) for start in range(0, 1000, 10)]
    >>> spans, files = protocol_spans(parts, lambda one: (20 if one.start < 500 else 21,) * 2)
    >>> [(span.version, span.first, span.last) for span in spans], files < 20
    ([(20, 0, 499), (21, 500, 999)], True)
    """
    known: dict[int, tuple[int, int] | None] = {}

    def look(at: int) -> tuple[int, int] | None:
        if at not in known:
            known[at] = read(partitions[at])
        return known[at]

    waiting = [(0, len(partitions) - 1)] if partitions else []
    while waiting:
        low, high = waiting.pop()
        first, last = look(low), look(high)
        if high - low > 1 and (first is None or last is None or first[1] != last[0]):
            middle = (low + high) // 2
            waiting += [(low, middle), (middle, high)]
    spans: dict[int, list[int]] = {}
    for at in sorted(known):
        for version in known[at] or ():
            span = spans.setdefault(version, [partitions[at].start, partitions[at].end])
            span[1] = partitions[at].end
    found = (ProtocolSpan(version=one, first=first, last=last) for one, (first, last) in spans.items())
    return tuple(sorted(found, key=lambda span: (span.first, span.version))), len(known)
