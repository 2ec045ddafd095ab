"""The manifest of a partition: written last; a partition exists when its manifest does.

Format: ``_manifest.json`` beside the parquet file, 2-space JSON. Manifests of the older copier lack the
key ``ledgers``; readers ignore what they do not know.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from bronze.errors import StateError
from bronze.partitioning.partition import Partition
from bronze.producer import Producer

NAME = "_manifest.json"
_MAX_BYTES = 1 << 20
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class LedgerLinks:
    """What links a partition to its neighbours: its real first and last ledgers and their hashes (hex).

    `previous_hash` is the hash of the ledger before the first, as the first one states it.
    """

    first: int
    last: int
    previous_hash: str
    first_hash: str
    last_hash: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A partition as its manifest describes it; `ledgers` is None in the older copier's."""

    partition: Partition
    network: str
    era_id: str
    version_label: str
    table: str
    file: str
    checksum: str
    row_count: int
    byte_size: int
    producer: Producer
    created_at: str
    ledgers: LedgerLinks | None

    def to_bytes(self) -> bytes:
        """The manifest file."""
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
            "created_at": self.created_at,
        }
        if self.ledgers is not None:
            document["ledgers"] = {
                "first": self.ledgers.first,
                "last": self.ledgers.last,
                "previous_hash": self.ledgers.previous_hash,
                "first_hash": self.ledgers.first_hash,
                "last_hash": self.ledgers.last_hash,
            }
        return json.dumps(document, indent=2, ensure_ascii=False).encode()


def file_name(partition: Partition) -> str:
    """Name of the partition's parquet file."""
    return f"part-{partition}.parquet"


def parse_manifest(data: bytes, where: str, table: str) -> Manifest:
    """Read a manifest file.

    Args:
        where: the object's name, for errors.
        table: the table it must describe.

    Raises:
        StateError: it is no manifest, or holds a value that cannot be.
    """
    try:
        if len(data) > _MAX_BYTES:
            raise ValueError(f"{len(data)} bytes, expected at most {_MAX_BYTES}")
        document = json.loads(data)
        partition, entry = document["partition"], document["tables"][table]
        ledgers, producer = document.get("ledgers"), document.get("producer", {})
        manifest = Manifest(
            partition=Partition(_natural(partition, "start"), _natural(partition, "end")),
            network=_text(partition, "network"),
            era_id=_text(partition, "era_id"),
            version_label=_text(partition, "version"),
            table=table,
            file=_text(entry, "file"),
            checksum=_matching(entry, "checksum", _CHECKSUM),
            row_count=_natural(entry, "row_count"),
            byte_size=_natural(entry, "byte_size"),
            producer=Producer(*(str(producer.get(name, "unknown")) for name in ("name", "version", "git_sha"))),
            created_at=str(document.get("created_at", "")),
            ledgers=None if ledgers is None else parse_ledgers(ledgers),
        )
    except KeyError as error:
        raise StateError(f"manifest {where} lacks the key {error}") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise StateError(f"manifest {where} cannot be used: {error}") from error
    if manifest.file != file_name(manifest.partition):
        raise StateError(
            f"manifest {where} names the file {manifest.file!r}, expected {file_name(manifest.partition)!r}"
        )
    return manifest


def parse_ledgers(entry: dict[str, Any]) -> LedgerLinks:
    """Make `Ledgers` of a dict with its fields.

    Raises:
        KeyError, TypeError, ValueError: a field is missing, or its value is no ledger and no hash in hex.
    """
    return LedgerLinks(
        _natural(entry, "first"),
        _natural(entry, "last"),
        *(_matching(entry, name, _HASH) for name in ("previous_hash", "first_hash", "last_hash")),
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
