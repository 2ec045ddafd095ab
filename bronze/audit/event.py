"""Audit events (PAS 1.1): their bytes and their hash, byte-compatible with the older Go copier.

The hash is the SHA-256 of the event's compact JSON with an empty ``event_hash``, as Go's ``encoding/json`` writes it:
keys in a fixed order, ``&``, ``<``, ``>``, U+2028 and U+2029 escaped. `hash_document` has an example.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass
from typing import Any

from bronze.checksums import is_checksum
from bronze.outcomes import PartitionSummary
from bronze.partitioning.partition import Partition
from bronze.producer import Producer
from bronze.storage.json_object import load_json_object, unusable_object_error

VERSION = "1.1"
EVENT_TYPE = "bronze_partition"
#: Largest event file that is accepted, in bytes.
MAX_EVENT_BYTES = 1 << 20
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

    @property
    def timestamp(self) -> str:
        """When the event was made, RFC 3339."""
        return str(self.document["timestamp"])

    def to_bytes(self) -> bytes:
        """The event file: 2-space JSON, escaped like the hashed form."""
        return json.dumps(self.document, indent=2, ensure_ascii=False).translate(_GO_ESCAPES).encode()

    def delivery_body(self) -> bytes:
        """The body of its delivery: the hashed form, with ``event_hash`` filled in."""
        return _compact_json(_canonical(self.document, self.event_hash))


def make_event(summary: PartitionSummary, table: str, prev_hash: str, producer: Producer, timestamp: str) -> Event:
    """Make the event of a published partition.

    Its id depends on the partition, its checksum and `prev_hash`, not on the clock.

    Args:
        table: name of the table that the parquet file is of.
        prev_hash: hash of the event before it in the chain; empty for the first.
        producer: the program that makes the event.
        timestamp: RFC 3339, as `bronze.timestamps.rfc3339` writes it.
    """
    network, era_id, version_label = summary.chain.split("/")
    document: dict[str, Any] = {
        "version": VERSION,
        "event_type": EVENT_TYPE,
        "event_id": _event_id(summary.chain, summary.partition, table, summary.checksum, prev_hash),
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


def is_of_older_copier(event: Event) -> bool:
    """Whether the older copier made the event; its ids are not derived as `make_event` derives them."""
    table = next(iter(event.document["tables"]))
    return event.event_id != _event_id(event.chain, event.partition, table, event.checksum, event.prev_hash)


def _event_id(chain: str, partition: Partition, table: str, checksum: str, prev_hash: str) -> str:
    seed = "\n".join((chain, str(partition), table, checksum, prev_hash))
    return f"pas_evt_{hashlib.sha256(seed.encode()).hexdigest()[:16]}"


def parse_event(data: bytes, where: str) -> Event:
    """Read an event file and check its hash.

    Args:
        where: the file's name, for errors.

    Raises:
        StateError: it is not an event of this version, its hash is not the hash of its content, or its bytes are not
            those that an event with this content is written with.
    """
    with unusable_object_error(f"event {where}"):
        document = load_json_object(data, MAX_EVENT_BYTES)
        if document["version"] != VERSION:
            raise ValueError(f"version is {document['version']!r}, expected {VERSION!r}")
        stated, computed = document["chain"]["event_hash"], hash_document(document)
        if stated != computed:
            raise ValueError(f"event_hash is {stated}, but its content hashes to {computed}")
        event = _event(_canonical(document, stated))
        # The hash covers the parsed content: other bytes, such as a key twice, might be parsed otherwise elsewhere.
        canonical = event.to_bytes()
        if data != canonical:
            pairs = itertools.zip_longest(data, canonical)
            at = next(at for at, (found, expected) in enumerate(pairs) if found != expected)
            raise ValueError(
                f"its {len(data)} bytes differ at byte {at} from the {len(canonical)} of its canonical form"
            )
        return event


def hash_document(document: dict[str, Any]) -> str:
    """``sha256:`` and the hex digest of the event's canonical form.

    For an event without characters to escape, ``printf %s TEXT | sha256sum`` prints the same digest:

    >>> text = (
    ...     '{"version":"1.1","event_type":"bronze_partition","event_id":"pas_evt_0123456789abcdef",'
    ...     '"timestamp":"2026-01-01T00:00:00Z","partition":{"network":"pubnet","era_id":"e1",'
    ...     '"version_label":"v1","ledger_start":2,"ledger_end":11},"tables":{"ledgers_lcm_raw":{'
    ...     '"checksum":"sha256:00","row_count":10,"storage_path":"p","byte_size":1000}},'
    ...     '"producer":{"name":"bronze-copier","version":"v1.0.0","git_sha":"unknown"},'
    ...     '"chain":{"prev_event_hash":"","event_hash":""}}'
    ... )
    >>> hashlib.sha256(text.encode()).hexdigest()
    '880cdf2957010c96c4bbbfed29b27bf4f80ce218e832d4cbde5b88eda13d2a65'
    >>> hash_document(json.loads(text))
    'sha256:880cdf2957010c96c4bbbfed29b27bf4f80ce218e832d4cbde5b88eda13d2a65'

    Raises:
        KeyError, TypeError, ValueError: its keys are not exactly those of an event.
    """
    return f"sha256:{hashlib.sha256(_compact_json(_canonical(document, ''))).hexdigest()}"


def _compact_json(canonical: dict[str, Any]) -> bytes:
    return json.dumps(canonical, separators=(",", ":"), ensure_ascii=False).translate(_GO_ESCAPES).encode()


def _canonical(document: dict[str, Any], event_hash: str) -> dict[str, Any]:
    """The event with its keys in the order that the hash fixes, and with `event_hash` as its hash."""
    return {
        **_select(document, _KEYS),
        "partition": _select(document["partition"], _PARTITION_KEYS),
        "tables": {name: _select(document["tables"][name], _TABLE_KEYS) for name in sorted(document["tables"])},
        "producer": _select(document["producer"], _PRODUCER_KEYS),
        "chain": _select(document["chain"], _CHAIN_KEYS) | {"event_hash": event_hash},
    }


def _select(entry: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    # A key that the hash does not cover could be changed unnoticed: none is accepted.
    unknown = set(entry) - set(keys)
    if unknown:
        raise ValueError(f"unknown keys: {', '.join(sorted(unknown))}")
    return {key: entry[key] for key in keys}


def _event(document: dict[str, Any]) -> Event:
    """The event of a canonical document; `ValueError` when a value is invalid."""
    partition, chain = document["partition"], document["chain"]
    start, end = partition["ledger_start"], partition["ledger_end"]
    if type(start) is not int or type(end) is not int or not 0 <= start <= end:
        raise ValueError(f"ledger range is {start!r}-{end!r}")
    prev_hash, event_hash = str(chain["prev_event_hash"]), str(chain["event_hash"])
    if not is_checksum(event_hash) or (prev_hash and not is_checksum(prev_hash)):
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
        producer=Producer(*(str(document["producer"][key]) for key in _PRODUCER_KEYS)),
        document=document,
    )
