"""What the program measures while it works, and who is told of it.

A room reports a measurement where it happens: `report` hands it to every observer of this process, with the fields that
name the piece of work (`bronze.log_fields`). Without an observer that costs next to nothing. A process that copies
partitions for another one sends what it measures there; so do workers on other machines, through the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

from bronze.log_fields import current_fields

#: A worker has begun the partition.
PARTITION_STARTED: Final = "partition_started"
#: Last ledger of the partition that was read (value), and ``raw_bytes`` of it so far.
LEDGER_READ: Final = "ledger_read"
#: Seconds that a partition took that ended well (value), with ``outcome``, ``rows``, ``raw_bytes``, ``parquet_bytes``,
#: ``table``.
PARTITION_DONE: Final = "partition_done"
#: Seconds until a partition failed for good (value), with ``error_type``, ``error``, and ``is_published``.
PARTITION_FAILED: Final = "partition_failed"
#: Seconds until a partition was given up because the run stops.
PARTITION_STOPPED: Final = "partition_stopped"
#: Seconds that the publication of an encoded partition took.
UPLOAD: Final = "upload"
#: Seconds that the commit of a partition took (value); the chain is then committed up to ledger ``committed_up_to`` and
#: attested up to ``attested_through`` (None: nothing is, or nobody's attestation is asked for).
PARTITION_COMMITTED: Final = "partition_committed"
#: Seconds that reading one lake object took.
SOURCE_READ: Final = "source_read"
#: One audit event was created.
EVENT_EMITTED: Final = "event_emitted"
#: One audit event could not be delivered, after all attempts, because of ``error``.
EVENT_FAILED: Final = "event_failed"
#: One audit event was delivered.
EVENT_DELIVERED: Final = "event_delivered"
#: One operation (``operation``) is tried again.
RETRY: Final = "retry"
#: A lake object could not be read.
SOURCE_ERROR: Final = "source_error"
#: What is published could not be written.
STORAGE_ERROR: Final = "storage_error"
#: Last ledger of a partition that enough history archives have confirmed (value).
LEDGER_ANCHORED: Final = "ledger_anchored"
#: The catalog could not be written to, because of ``error``.
METADATA_ERROR: Final = "metadata_error"
#: The catalog was written to, or has all that it should have.
METADATA_RECORDED: Final = "metadata_recorded"
#: A store (``store``) does not answer since this Unix time (value), because of ``error``; it is waited for.
STORE_UNREACHABLE: Final = "store_unreachable"
#: A store (``store``) answers again.
STORE_REACHABLE: Final = "store_reachable"


Fields = Mapping[str, Any]


class Measurement(NamedTuple):
    """One measurement.

    Attributes:
        name: one of the constants of this module, which say what `value` is.
        fields: of `bronze.log_fields`, and those that belong to the measurement.
    """

    name: str
    value: float
    fields: Fields


Observer = Callable[[Measurement], object]

_OBSERVERS: list[Observer] = []
_COLLECTED: ContextVar[list[Measurement] | None] = ContextVar("collected_measurements", default=None)


def report(name: str, value: float = 1.0, **fields: object) -> None:
    """Tell every observer of a measurement of the current piece of work."""
    collected = _COLLECTED.get()
    if not _OBSERVERS and collected is None:
        return
    known = current_fields()
    pass_on(Measurement(name, value, {**known, **fields} if fields else known))


def pass_on(measurement: Measurement) -> None:
    """Tell every observer of a measurement that another process made."""
    collected = _COLLECTED.get()
    if collected is not None:
        collected.append(measurement)
    for observer in tuple(_OBSERVERS):
        observer(measurement)


@contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Inside the block `observer` is told of every measurement of this process, in the thread that makes it."""
    _OBSERVERS.append(observer)
    try:
        yield
    finally:
        _OBSERVERS.remove(observer)


@contextmanager
def collected_in(collected: list[Measurement]) -> Iterator[None]:
    """Append the measurements that are made inside the block, and by threads that run in a copy of its context."""
    token = _COLLECTED.set(collected)
    try:
        yield
    finally:
        _COLLECTED.reset(token)
