"""Audit events (PAS 1.1): their bytes and their hash, byte-compatible with the older Go copier.

The hash is taken over the compact JSON of the event with an empty ``event_hash``, as Go's
``encoding/json`` writes it: keys in a fixed order, ``&``, ``<``, ``>``, U+2028 and U+2029 escaped.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from bronze.errors import StateError
from bronze.outcomes import PartitionSummary
from bronze.partitioning.partition import Partition
from bronze.producer import Producer

VERSION = "1.1"
EVENT_TYPE = "bronze_partition"
_MAX_BYTES = 1 << 20
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_GO_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "&<>\u2028\u2029"}

#: Keys of each level in the order that the hash fixes.
_KEYS = ("version", "event_type", "event_id", "timestamp", "partition", "tables", "producer", "chain")
_PARTITION_KEYS = ("network", "era_id", "version_label", "ledger_start", "ledger_end")
_TABLE_KEYS = ("checksum", "row_count", "storage_path", "byte_size")
_PRODUCER_KEYS = ("name", "version", "git_sha")
_CHAIN_KEYS = ("prev_event_hash", "event_hash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of a chain, with the document it was made from or read from.

    Attributes:
        chain: ``network/era_id/version_label``.
        partition: the partition it announces.
        checksum: of the partition's parquet file, ``sha256:`` and hex.
        event_id: ``pas_evt_`` and 16 hex digits; the idempotency key of its delivery.
        prev_hash: hash of the event before; empty for the first.
        event_hash: its own hash.
        producer: the program that published the partition.
        document: the whole event, as its file has it.
    """

    chain: str
    partition: Partition
    checksum: str
    event_id: str
    prev_hash: str
    event_hash: str
    producer: Producer
    document: dict[str, Any]

    def to_bytes(self) -> bytes:
        """The backup file: 2-space JSON, escaped like the hashed form."""
        return json.dumps(self.document, indent=2, ensure_ascii=False).translate(_GO_ESCAPES).encode()

    def delivery_body(self) -> bytes:
        """The body it is delivered with: the hashed form with its hash in it, no spaces, keys in their order."""
        return _compact(_canonical(self.document, self.event_hash))


def make_event(summary: PartitionSummary, table: str, prev_hash: str, producer: Producer, timestamp: str) -> Event:
    """The event of a published partition that follows the event with `prev_hash`.

    `timestamp` is RFC 3339. The event's id depends on what it says and what it follows, not on the clock.
    """
    network, era_id, version_label = summary.chain.split("/")
    seed = "\n".join((summary.chain, str(summary.partition), table, summary.checksum, prev_hash))
    document: dict[str, Any] = {
        "version": VERSION,
        "event_type": EVENT_TYPE,
        "event_id": f"pas_evt_{hashlib.sha256(seed.encode()).hexdigest()[:16]}",
        "timestamp": timestamp,
        "partition": {
            "network": network,
            "era_id": era_id,
            "version_label": version_label,
            "ledger_start": summary.partition.start,
            "ledger_end": summary.partition.end,
        },
        "tables": {
            table: {
                "checksum": summary.checksum,
                "row_count": summary.row_count,
                "storage_path": summary.storage_path,
                "byte_size": summary.byte_size,
            }
        },
        "producer": producer.as_json(),
        "chain": {"prev_event_hash": prev_hash, "event_hash": ""},
    }
    document["chain"]["event_hash"] = hash_document(document)
    return _event(document)


def parse_event(data: bytes, where: str) -> Event:
    """Read an event file and check its hash.

    Raises:
        StateError: it is no event of this version, or its hash is not the hash of its content.
    """
    try:
        if len(data) > _MAX_BYTES:
            raise ValueError(f"{len(data)} bytes, expected at most {_MAX_BYTES}")
        document = json.loads(data)
        if document["version"] != VERSION:
            raise ValueError(f"version is {document['version']!r}, expected {VERSION!r}")
        stated, computed = document["chain"]["event_hash"], hash_document(document)
        if stated != computed:
            raise ValueError(f"event_hash is {stated}, but its content hashes to {computed}")
        event = _event(_canonical(document, stated))
        # The hash is of what a file says; a reader of another kind might take other bytes for something else.
        written = event.to_bytes()
        if data != written:
            at = next((at for at, pair in enumerate(zip(data, written, strict=False)) if pair[0] != pair[1]), None)
            at = min(len(data), len(written)) if at is None else at
            raise ValueError(f"its {len(data)} bytes differ at byte {at} from the {len(written)} it was written with")
        return event
    except KeyError as error:
        raise StateError(f"event {where} lacks the key {error}") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise StateError(f"event {where} cannot be used: {error}") from error


def hash_document(document: dict[str, Any]) -> str:
    """``sha256:`` and the hex digest of the event's canonical form.

    Raises:
        KeyError, TypeError, ValueError: it has not exactly the keys of an event.
    """
    return f"sha256:{hashlib.sha256(_compact(_canonical(document, ''))).hexdigest()}"


def _compact(canonical: dict[str, Any]) -> bytes:
    return json.dumps(canonical, separators=(",", ":"), ensure_ascii=False).translate(_GO_ESCAPES).encode()


def _canonical(document: dict[str, Any], event_hash: str) -> dict[str, Any]:
    """The event's keys in their order, with `event_hash` as its hash."""
    return {
        **_picked(document, _KEYS),
        "partition": _picked(document["partition"], _PARTITION_KEYS),
        "tables": {name: _picked(document["tables"][name], _TABLE_KEYS) for name in sorted(document["tables"])},
        "producer": _picked(document["producer"], _PRODUCER_KEYS),
        "chain": _picked(document["chain"], _CHAIN_KEYS) | {"event_hash": event_hash},
    }


def _picked(entry: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    # A key that the hash does not cover could be changed without anyone noticing: none is accepted.
    unknown = set(entry) - set(keys)
    if unknown:
        raise ValueError(f"unknown keys: {', '.join(sorted(unknown))}")
    return {key: entry[key] for key in keys}


def _event(document: dict[str, Any]) -> Event:
    partition, chain = document["partition"], document["chain"]
    start, end = partition["ledger_start"], partition["ledger_end"]
    if type(start) is not int or type(end) is not int or not 0 <= start <= end:
        raise ValueError(f"ledger range is {start!r}-{end!r}")
    prev_hash, event_hash = str(chain["prev_event_hash"]), str(chain["event_hash"])
    if not _HASH.fullmatch(event_hash) or (prev_hash and not _HASH.fullmatch(prev_hash)):
        raise ValueError(f"chain hashes are {prev_hash!r} and {event_hash!r}, expected sha256: and 64 hex digits")
    if len(document["tables"]) != 1:
        raise ValueError(f"it names {len(document['tables'])} tables, expected 1")
    (entry,) = document["tables"].values()
    return Event(
        chain=f"{partition['network']}/{partition['era_id']}/{partition['version_label']}",
        partition=Partition(start, end),
        checksum=str(entry["checksum"]),
        event_id=str(document["event_id"]),
        prev_hash=prev_hash,
        event_hash=event_hash,
        producer=Producer(**document["producer"]),
        document=document,
    )
