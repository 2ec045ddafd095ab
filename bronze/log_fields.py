"""The fields that every log record and every measurement of a piece of work carries: run, chain, ledgers, worker.

Whoever begins a piece of work names it with `log_fields`; whatever is logged or measured inside carries that, also by
libraries. Threads do not inherit it: hand them ``contextvars.copy_context().run``. A process that works for another one
is sent the fields with its work.

The fields, all of them optional: ``run_id``, ``correlation_id``, ``network``, ``era_id``, ``version_label``,
``ledger_start``, ``ledger_end``, ``worker``, ``attempt``.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

#: Attributes of every log record; all others are fields.
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OF_PROCESS: dict[str, object] = {}
_CURRENT: ContextVar[Mapping[str, object]] = ContextVar("log_fields", default=_OF_PROCESS)


@contextmanager
def log_fields(**fields: object) -> Iterator[None]:
    """Add `fields` to whatever is logged or measured inside the block; None leaves a field as it is."""
    given = {name: value for name, value in fields.items() if value is not None}
    token = _CURRENT.set({**_CURRENT.get(), **given})
    try:
        yield
    finally:
        _CURRENT.reset(token)


def set_process_fields(**fields: object) -> None:
    """Add `fields` to whatever this process logs outside of every `log_fields` block from now on."""
    _OF_PROCESS.update(fields)


def current_fields() -> Mapping[str, object]:
    """The fields that hold here; not to be changed."""
    return _CURRENT.get()


def partition_fields(run_id: str, chain: str, start: int, end: int) -> dict[str, object]:
    """The fields that name one partition in one run.

    Args:
        chain: ``network/era_id/version_label``.
        start, end: first and last ledger of the partition's name, inclusive.
    """
    return {
        "run_id": run_id,
        "correlation_id": correlation_id(run_id, chain, start, end),
        **chain_fields(chain),
        "ledger_start": start,
        "ledger_end": end,
    }


def chain_fields(chain: str) -> dict[str, object]:
    """The fields that name a chain (``network/era_id/version_label``)."""
    return dict(zip(("network", "era_id", "version_label"), chain.split("/", 2), strict=True))


def correlation_id(run_id: str, chain: str, start: int, end: int) -> str:
    """32 hex digits, the same for a partition in all processes of one run: from its plan to its commit."""
    return hashlib.sha256(f"{run_id} {chain} {start}-{end}".encode()).hexdigest()[:32]


def error_fields(error: BaseException, **others: object) -> dict[str, object]:
    """The fields of a record about `error`, to be given as its ``extra``."""
    return {"error": str(error), "error_type": type(error).__name__, **others}


def extra_fields(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    """The fields of a record that were given as ``extra``, or that a handler added."""
    return ((name, value) for name, value in list(vars(record).items()) if name not in _STANDARD_FIELDS)


def worker_name() -> str:
    """The machine, process and thread that work here: ``host/4711/Thread-3``."""
    return f"{_host_name()}/{os.getpid()}/{threading.current_thread().name.replace(' ', '_')}"


@functools.cache
def _host_name() -> str:
    return socket.gethostname()
