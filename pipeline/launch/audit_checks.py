"""Has partitions checked: in threads or as a Beam graph, with progress, and with an end when a signal asks for one.

The checks run beside the main thread, which takes their reports as they come. So what was found survives a request to
stop even where a service does not answer at all: after a few seconds the main thread goes on without it.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from bronze.errors import RunStoppedError
from bronze.job.audit_spec import AuditSpec
from bronze.job.secrets import Secrets
from bronze.job.stop_signal import StopSignal
from bronze.partitioning.partition import Partition
from bronze.storage.location import StorageLocation
from bronze.verify.finding import Level
from bronze.verify.partition_check import PartitionCheck, PartitionReport
from pipeline.telemetry.progress_line import format_duration

_LOG = logging.getLogger(__name__)
#: Manifests that are asked for at once: each is one or two small requests.
_REQUESTS = 16
#: Partitions of one graph for each worker. They are dealt out once and for all: at its end workers wait for each other.
_PER_WORKER = 64
_PROGRESS_S = 5.0
#: Seconds between two looks at what workers have reported.
_POLL_S = 0.25
#: Seconds after a request to stop that are granted to what is being checked; below `pipeline.launch.signals.GRACE_S`.
_PATIENCE_S = 5.0
_abandoned: list[threading.Thread] = []
_Item = TypeVar("_Item")


class AuditChecks:
    """Has the partitions of one era checked.

    Args:
        control: a directory that workers reach; the stop object appears there.
        workers: partitions that are checked at once, at least 1.
    """

    def __init__(self, spec: AuditSpec, control: StorageLocation, workers: int) -> None:
        self._spec = spec
        self._control = control
        self._workers = workers
        self._is_stopped = StopSignal(control).is_requested

    def __call__(self, check: PartitionCheck, partitions: Sequence[Partition]) -> Iterator[PartitionReport]:
        """The reports, in any order; one for each partition unless the audit is asked to stop."""
        if check.level is Level.MANIFESTS and check.dataset.is_remote:
            reports = self._in_threads(check, partitions)
        elif self._workers > 1 and check.level is not Level.MANIFESTS and len(partitions) > 1:
            reports = self._in_graph(partitions)
        else:
            reports = self._one_by_one(check, partitions)
        progress = Progress(self._spec.era.chain, check.level, len(partitions))
        for report in until_stopped(reports, self._is_stopped):
            progress.add(report)
            yield report

    def _one_by_one(self, check: PartitionCheck, partitions: Sequence[Partition]) -> Iterator[PartitionReport]:
        for partition in partitions:
            if self._is_stopped():
                return
            try:
                yield check.check(partition)
            except RunStoppedError:
                return

    def _in_threads(self, check: PartitionCheck, partitions: Sequence[Partition]) -> Iterator[PartitionReport]:
        with ThreadPoolExecutor(_REQUESTS, thread_name_prefix="manifest") as pool:
            found = pool.map(lambda one: None if self._is_stopped() else check.check(one), partitions)
            yield from (report for report in found if report is not None)

    def _in_graph(self, partitions: Sequence[Partition]) -> Iterator[PartitionReport]:
        # Loading Beam takes seconds, which an audit by one worker need not spend.
        from pipeline.launch.beam_import import import_beam

        import_beam()
        from pipeline.launch.local_runner import LocalRunner
        from transforms.verify import ReportFiles, VerifyPartitions

        runner = LocalRunner(Secrets(), f"audit-{secrets.token_hex(8)}", workers=self._workers)
        step = self._workers * _PER_WORKER
        for number, at in enumerate(range(0, len(partitions), step)):
            files = ReportFiles(self._control, f"reports-{self._spec.era.file_prefix}-{number}")
            graph = VerifyPartitions(self._spec, partitions[at : at + step], files)
            with ThreadPoolExecutor(1, thread_name_prefix="graph") as pool:
                running = pool.submit(runner.run, graph)
                seen = set[str]()
                is_over = False
                while not is_over:
                    is_over = bool(wait([running], _POLL_S).done)
                    for name in files.names():
                        if name not in seen:
                            seen.add(name)
                            yield files.read(name)
                running.result()
            if self._is_stopped():
                return


class Progress:
    """Logs how far an audit is: every few seconds, and at its end.

    Args:
        total: partitions to be checked.
        clock: seconds, monotonic.
    """

    def __init__(self, chain: str, level: Level, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._chain = chain
        self._level = level
        self._total = total
        self._clock = clock
        self._began = self._shown = clock()
        self._number = self._bytes = 0

    def add(self, report: PartitionReport) -> None:
        """Count a partition that was checked."""
        self._number += 1
        self._bytes += report.byte_size
        now = self._clock()
        if self._number < self._total and now - self._shown < _PROGRESS_S:
            return
        self._shown, passed = now, max(now - self._began, 1e-6)
        left = passed / self._number * (self._total - self._number)
        _LOG.info(
            "%s: %d of %d partitions checked at the level %s, %.1f MB/s%s",
            self._chain,
            self._number,
            self._total,
            self._level,
            self._bytes / passed / 1e6,
            f", {format_duration(left)} left" if left else "",
        )


def until_stopped(
    items: Iterable[_Item], is_stopped: Callable[[], bool], patience_s: float = _PATIENCE_S
) -> Iterator[_Item]:
    """`items` as they come, made in a thread of their own, whose errors are raised here.

    Where that thread still waits for a service `patience_s` seconds after a request to stop, it is left behind.
    """
    found: queue.SimpleQueue[tuple[_Item] | Exception | None] = queue.SimpleQueue()

    def follow() -> None:
        try:
            for item in items:
                found.put((item,))
            found.put(None)
        except Exception as error:
            found.put(error)

    thread = threading.Thread(target=follow, name="checks", daemon=True)
    thread.start()
    deadline: float | None = None
    while True:
        try:
            one = found.get(timeout=_POLL_S)
        except queue.Empty:
            if deadline is None and is_stopped():
                deadline = time.monotonic() + patience_s
            if deadline is not None and time.monotonic() >= deadline:
                _LOG.warning(
                    "%.0f s after the signal a service still does not answer: the result is without it", patience_s
                )
                _abandoned.append(thread)
                return
            continue
        if one is None:
            return
        if isinstance(one, Exception):
            raise one
        yield one[0]


def is_something_left_behind() -> bool:
    """Whether a thread still waits for a service that the audit no longer waits for: it would keep the process."""
    return any(thread.is_alive() for thread in _abandoned)
