"""The manifest of a partition: written last, so a partition exists when its manifest does.

It is the file ``_manifest.json`` beside the parquet file, JSON with an indent of two spaces. Manifests of the older Go
copier lack the key ``ledgers``. Readers ignore keys that they do not know.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from bronze.authenticity.findings import PartitionAuthenticity, parse_authenticity
from bronze.checksums import CHECKSUM
from bronze.partitioning.partition import Partition
from bronze.producer import Producer

MANIFEST_NAME = "_manifest.json"
#: A manifest has about 1 KB; what is larger than this is not read.
MAX_MANIFEST_BYTES = 1 << 20

_LEDGER_HASH = re.compile(r"[0-9a-f]{64}")
_LINK_HASHES = ("previous_hash", "first_hash", "last_hash")
_KEYS = {"partition", "tables", "producer", "made_with", "created_at", "ledgers", "authenticity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerLinks:
    """Links a partition to its neighbours.

    Attributes:
        first, last: the ledgers (inclusive) that it really holds.
        previous_hash: hash of the ledger before `first`, as ledger `first` states it.
        first_hash, last_hash: hashes of the two ledgers. All hashes are in hex.
    """

    first: int
    last: int
    previous_hash: str
    first_hash: str
    last_hash: str

    def as_json(self) -> dict[str, int | str]:
        """The links as the manifest has them."""
        return {
            "first": self.first,
            "last": self.last,
            "previous_hash": self.previous_hash,
            "first_hash": self.first_hash,
            "last_hash": self.last_hash,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeWith:
    """What decided the bytes of a partition besides its ledgers and the producer.

    Attributes:
        pyarrow: version of the library that wrote the parquet file.
        reader_table: version of stellar-sdk that the table of the XDR reader was compiled from.
        verification: which hashes of each ledger were recomputed: ``full`` or ``header``.
    """

    pyarrow: str
    reader_table: str
    verification: str

    def as_json(self) -> dict[str, str]:
        """The value of the manifest's key ``made_with``."""
        return {"pyarrow": self.pyarrow, "reader_table": self.reader_table, "verification": self.verification}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A published partition as its manifest describes it.

    Attributes:
        checksum, row_count, byte_size: of the parquet file.
        created_at: when the manifest was made, RFC 3339.
        ledgers: None in a manifest of the older copier.
        authenticity: what was proven of the ledgers; None where nothing was checked, and in older manifests.
        made_with: versions and verification; None in manifests of version 0.1 and of the older copier.
        unknown_keys: those of the document that this version does not know, sorted; `to_bytes` does not write them.

    >>> manifest = Manifest(
    ...     partition=Partition(2, 11), network="pubnet", era_id="e1", version_label="v1", table="ledgers_lcm_raw",
    ...     checksum="sha256:" + "0" * 64, row_count=10, byte_size=524288,
    ...     producer=Producer("bronze-copier", "v1.0.0", "abc123"), created_at="2026-01-15T10:30:00Z", ledgers=None)
    >>> print(manifest.to_bytes().decode())
    {
      "partition": {
        "start": 2,
        "end": 11,
        "era_id": "e1",
        "version": "v1",
        "network": "pubnet"
      },
      "tables": {
        "ledgers_lcm_raw": {
          "file": "part-2-11.parquet",
          "checksum": "sha256:0000000000000000000000000000000000000000000000000000000000000000",
          "row_count": 10,
          "byte_size": 524288
        }
      },
      "producer": {
        "name": "bronze-copier",
        "version": "v1.0.0",
        "git_sha": "abc123"
      },
      "created_at": "2026-01-15T10:30:00Z"
    }
    """

    partition: Partition
    network: str
    era_id: str
    version_label: str
    table: str
    checksum: str
    row_count: int
    byte_size: int
    producer: Producer
    created_at: str
    ledgers: LedgerLinks | None
    authenticity: PartitionAuthenticity | None = None
    made_with: MadeWith | None = None
    unknown_keys: tuple[str, ...] = field(default=(), compare=False)

    @property
    def file(self) -> str:
        """Name of the parquet file."""
        return parquet_file_name(self.partition)

    def to_bytes(self) -> bytes:
        """The content of the manifest file."""
        document: dict[str, Any] = {
            "partition": {
                "start": self.partition.start,
                "end": self.partition.end,
                "era_id": self.era_id,
                "version": self.version_label,
                "network": self.network,
            },
            "tables": {
                self.table: {
                    "file": self.file,
                    "checksum": self.checksum,
                    "row_count": self.row_count,
                    "byte_size": self.byte_size,
                }
            },
            "producer": self.producer.as_json(),
        }
        if self.made_with is not None:
            document["made_with"] = self.made_with.as_json()
        document["created_at"] = self.created_at
        if self.ledgers is not None:
            document["ledgers"] = self.ledgers.as_json()
        if self.authenticity is not None:
            document["authenticity"] = self.authenticity.as_json()
        return json.dumps(document, indent=2, ensure_ascii=False).encode()


def parquet_file_name(partition: Partition) -> str:
    """Name of the partition's parquet file.

    >>> parquet_file_name(Partition(2, 11))
    'part-2-11.parquet'
    """
    return f"part-{partition}.parquet"


def parse_manifest(document: dict[str, Any], table: str) -> Manifest:
    """Make a manifest of the JSON object that `Manifest.to_bytes` wrote.

    Args:
        table: the table that it must describe.

    Raises:
        KeyError: a key is missing.
        TypeError, ValueError, AttributeError: a value is of the wrong type, or cannot be right.
    """
    partition, entry = document["partition"], document["tables"][table]
    ledgers, producer = document.get("ledgers"), document.get("producer", {})
    authenticity, made_with = document.get("authenticity"), document.get("made_with")
    manifest = Manifest(
        partition=Partition(_natural(partition, "start"), _natural(partition, "end")),
        network=_text(partition, "network"),
        era_id=_text(partition, "era_id"),
        version_label=_text(partition, "version"),
        table=table,
        checksum=_matching(entry, "checksum", CHECKSUM),
        row_count=_natural(entry, "row_count"),
        byte_size=_natural(entry, "byte_size"),
        producer=Producer(*(str(producer.get(name, "unknown")) for name in ("name", "version", "git_sha"))),
        created_at=str(document.get("created_at", "")),
        ledgers=None if ledgers is None else parse_ledger_links(ledgers),
        authenticity=None if authenticity is None else parse_authenticity(authenticity),
        made_with=None if made_with is None else _parse_made_with(made_with),
        unknown_keys=tuple(sorted(set(document) - _KEYS)),
    )
    for node, ledger in manifest.authenticity.signers if manifest.authenticity else ():
        if not manifest.partition.first_ledger <= ledger <= manifest.partition.end:
            raise ValueError(f"signers: {node} has ledger {ledger}, which is not in the partition {manifest.partition}")
    file = _text(entry, "file")
    if file != manifest.file:
        raise ValueError(f"file is {file!r}, expected {manifest.file!r}")
    return manifest


def parse_ledger_links(entry: dict[str, Any]) -> LedgerLinks:
    """Make ledger links of a dict with the fields of `LedgerLinks`.

    Raises:
        KeyError, TypeError, ValueError: a field is missing, or its value is not a ledger, or not a hash in hex.
    """
    return LedgerLinks(
        first=_natural(entry, "first"),
        last=_natural(entry, "last"),
        **{name: _matching(entry, name, _LEDGER_HASH) for name in _LINK_HASHES},
    )


def _parse_made_with(entry: dict[str, Any]) -> MadeWith:
    return MadeWith(
        pyarrow=_text(entry, "pyarrow"),
        reader_table=_text(entry, "reader_table"),
        verification=_text(entry, "verification"),
    )


def _natural(entry: dict[str, Any], name: str) -> int:
    value = entry[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} is {value!r}, expected a whole number")
    return value


def _text(entry: dict[str, Any], name: str) -> str:
    value = entry[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}, expected text")
    return value


def _matching(entry: dict[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = _text(entry, name)
    if not pattern.fullmatch(value):
        raise ValueError(f"{name} is {value!r}, expected {pattern.pattern}")
    return value
