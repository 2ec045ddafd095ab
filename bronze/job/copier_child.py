"""The program of the process that `bronze.job.copier_process` starts: copies what it is asked to, until nobody asks.

It takes no signals: whoever started it passes the request to stop on (`StopSignal`), and ends it.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

from bronze.errors import BronzeError
from bronze.job.connections import Connections
from bronze.job.copier_process import DONE, FAILED, LOG, MEASURED
from bronze.job.secrets import Secrets
from bronze.log_fields import current_fields, log_fields, set_process_fields, worker_name
from bronze.measurements import Measurement, observed_by

#: Seconds between two messages with measurements.
_SEND_INTERVAL_S = 0.25


class _Messages:
    """Both directions of the connection; ends this process as soon as the other end is closed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._received: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._receive, name="receive", daemon=True).start()

    def receive(self) -> Any:
        return self._received.get()

    def send(self, kind: str, value: object) -> None:
        with self._sending:
            self._connection.send((kind, value))

    def _receive(self) -> None:
        try:
            while True:
                self._received.put(self._connection.recv())
        except (EOFError, OSError):
            os._exit(0)  # also in the middle of a partition: it is nobody's any more


class _SendingHandler(logging.handlers.QueueHandler):
    """Sends log records to the process that asks; they are filtered, masked and written there."""

    def __init__(self, messages: _Messages) -> None:
        super().__init__(queue.Queue())
        self._messages = messages

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        prepared: logging.LogRecord = super().prepare(record)
        for name, value in current_fields().items():
            prepared.__dict__.setdefault(name, value)
        return prepared

    def enqueue(self, record: logging.LogRecord) -> None:
        self._messages.send(LOG, record)


class _SendingObserver:
    """Sends measurements to the process that asks, many in one message: there is one for each lake object."""

    def __init__(self, messages: _Messages) -> None:
        self._messages = messages
        self._kept: list[Measurement] = []
        self._sent_at = time.monotonic()
        self._lock = threading.Lock()

    def __call__(self, measurement: Measurement) -> None:
        with self._lock:
            self._kept.append(measurement)
            if time.monotonic() - self._sent_at >= _SEND_INTERVAL_S:
                self._send()

    def flush(self) -> None:
        """Send what is kept."""
        with self._lock:
            self._send()

    def _send(self) -> None:
        kept, self._kept = self._kept, []
        self._sent_at = time.monotonic()
        if kept:
            self._messages.send(MEASURED, kept)


def serve(connection: Connection) -> None:
    """Copy partitions until the other end of `connection` is closed."""
    messages = _Messages(connection)
    job, level = messages.receive()
    logging.basicConfig(level=level, handlers=[_SendingHandler(messages)], force=True)
    set_process_fields(run_id=job.run.run_id)
    measured = _SendingObserver(messages)
    copier = None
    while True:
        method, era, partition, files, fields = messages.receive()
        with log_fields(**fields | {"worker": worker_name()}), observed_by(measured):
            try:
                copier = copier or Connections(job, Secrets()).copier()
                kind, value = DONE, getattr(copier, method)(era, partition, files)
            except BaseException as error:
                kind, value = FAILED, _picklable(error)
        measured.flush()
        messages.send(kind, value)


def _picklable(error: BaseException) -> Exception:
    """`error`, or what says the same, for another process; where a fault of the program was raised is in its notes."""
    if not isinstance(error, (BronzeError, OSError)):
        error.add_note("".join(traceback.format_exception(error)).rstrip())
    try:
        if isinstance(error, Exception) and str(pickle.loads(pickle.dumps(error))) == str(error):
            return error
    except Exception:
        logging.getLogger(__name__).debug("%s cannot be pickled", type(error).__name__)
    return RuntimeError(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    serve(Connection(int(sys.argv[1])))
