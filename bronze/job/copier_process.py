"""A process of its own that copies partitions for one worker: the interpreted reader keeps the GIL while it reads.

Worker and process exchange pickled messages over a pair of connected sockets that have no name and do not listen, so
nobody else can reach either end. The process gets the job and no secrets: catalog and endpoint are not its matter. It
ends with its worker, at the latest when that process does.

Messages to the process: the job and the log level, then one ``(method, era, partition, files, fields)`` for each
partition, with the fields of `bronze.log_fields`. Messages from it: any number of ``(LOG, record)`` and
``(MEASURED, measurements)``, then ``(DONE, summary)`` or ``(FAILED, error)``.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from bronze.errors import RunStoppedError, WorkerError
from bronze.job.spec import CopyJob
from bronze.log_fields import current_fields
from bronze.measurements import pass_on
from bronze.outcomes import PartitionSummary
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.waiting import is_stopping

LOG, MEASURED, DONE, FAILED = "log", "measured", "done", "failed"
#: Seconds between two looks whether the run was asked to stop.
_LOOK_S = 0.25
#: Seconds that the process has to give up its partition by itself after the run was asked to stop.
_STOP_GRACE_S = 5.0
#: Seconds that the process has to end by itself when it is closed.
_END_GRACE_S = 2.0


class CopierProcess:
    """Copies partitions as `bronze.ingest.copier.PartitionCopier` does, one at a time, in a process of its own.

    The process is started when it is first needed, and again when it was killed. For one thread at a time, but for
    `close`.
    """

    def __init__(self, job: CopyJob) -> None:
        # Without what needs secrets: these stay with the process that holds them.
        self._job = replace(job, chain=replace(job.chain, has_catalog=False, has_endpoint=False))
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._closing = threading.Lock()

    @property
    def process_id(self) -> int | None:
        """The id of the process; None while there is none."""
        return None if self._process is None else self._process.pid

    def copy(self, era: Era, partition: Partition, files: Iterable[int]) -> PartitionSummary:
        """As `PartitionCopier.copy`.

        Raises:
            WorkerError: the process was killed, or could not be started.
        """
        return self._call("copy", era, partition, files)

    def dry_run(self, era: Era, partition: Partition, files: Iterable[int]) -> PartitionSummary:
        """As `PartitionCopier.dry_run`.

        Raises:
            WorkerError: the process was killed, or could not be started.
        """
        return self._call("dry_run", era, partition, files)

    def close(self) -> None:
        """End the process; a partition that it works on is given up."""
        with self._closing:
            process, self._process = self._process, None
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()  # which ends it
        if process is not None:
            try:
                process.wait(_END_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _call(self, method: str, era: Era, partition: Partition, files: Iterable[int]) -> PartitionSummary:
        try:
            connection = self._connection or self._start()
            connection.send((method, era, partition, list(files), dict(current_fields())))
            kind, value = self._answer(connection, f"partition {era.chain} {partition}")
        except (EOFError, OSError) as error:
            raise WorkerError(f"the process that copies partitions ended: {self._end()}") from error
        if kind == FAILED:
            raise value
        summary: PartitionSummary = value
        return summary

    def _answer(self, connection: Connection, what: str) -> tuple[str, Any]:
        """The outcome of the current partition; hands log records on until it arrives."""
        stopping_since: float | None = None
        while True:
            if connection.poll(_LOOK_S):
                kind, value = connection.recv()
                if kind == MEASURED:
                    for measurement in value:
                        pass_on(measurement)
                    continue
                if kind != LOG:
                    return kind, value
                logger = logging.getLogger(value.name)
                if logger.isEnabledFor(value.levelno):
                    logger.handle(value)
            elif is_stopping():
                stopping_since = stopping_since or time.monotonic()
                if time.monotonic() - stopping_since >= _STOP_GRACE_S:
                    self.close()
                    raise RunStoppedError(f"{what} was not finished: the run was asked to stop")

    def _start(self) -> Connection:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                # -P: the working directory is no place for modules unless this process's path says so.
                [sys.executable, "-P", "-m", "bronze.job.copier_child", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},  # noqa: PTH109
            )
        self._connection = connection = Connection(ours.detach())
        connection.send((self._job, logging.getLogger().getEffectiveLevel()))
        return connection

    def _end(self) -> str:
        """End what is left of the process; how it ended."""
        process = self._process
        self.close()
        if process is None:
            return "it could not be started"
        status = process.returncode
        return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
