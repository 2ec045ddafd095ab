"""The telemetry of one run: observes it, serves and writes its metrics, and shows how far it is until it ends."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from bronze.errors import BronzeError
from bronze.measurements import observed_by
from pipeline.settings.model import Settings
from pipeline.telemetry.logs import is_structured, program_handler
from pipeline.telemetry.progress_line import progress_fields, progress_line
from pipeline.telemetry.run_progress import ChainProgress
from pipeline.telemetry.run_state import RunState

#: Seconds between two pictures of the live display.
_LIVE_INTERVAL_S = 0.25
#: Seconds between two writes of the metrics to a file or a Pushgateway, and between two looks at the lake's end.
_EXPORT_INTERVAL_S, _LAKE_INTERVAL_S = 15.0, 60.0
#: Seconds between two progress lines of a run that waits for its lake.
_WAITING_LINE_INTERVAL_S = 600.0
_LOG = logging.getLogger(__name__)


class Telemetry:
    """What a run tells of itself while it lasts.

    Attributes:
        state: how far the run is.
    """

    def __init__(self, settings: Settings, *, is_quiet: bool = False) -> None:
        self.state = RunState()
        self._metrics_settings = settings.metrics
        self._is_quiet = is_quiet
        self._line_interval = settings.logging.progress_seconds
        self._tasks: list[_Task] = []
        self._newest: Callable[[], int | None] | None = None
        self._begin_metrics: Callable[[Sequence[ChainProgress], str, str | None], None] | None = None
        self._ending = threading.Event()
        self._waiting_line_due = 0.0

    @property
    def wants_lake_end(self) -> bool:
        """Whether somebody is shown the newest ledger of the lake."""
        return self._metrics_settings.is_wanted

    def begin(
        self,
        chains: Sequence[ChainProgress],
        *,
        table: str,
        storage: str | None = None,
        reader: str = "",
        newest: Callable[[], int | None] | None = None,
    ) -> None:
        """The run is planned, and begins to copy.

        Args:
            table: of the dataset.
            storage: the local directory that is published to; None on object stores.
            reader: ``compiled`` or ``interpreted``.
            newest: finds the newest ledger of the lake; called now and then when `wants_lake_end`.
        """
        self._newest = newest if self.wants_lake_end else None
        self.state.plan(chains, table=table)
        self._look_at_lake()
        if self._begin_metrics is not None:
            self._begin_metrics(chains, reader, storage)

    @contextmanager
    def running(self, instance: str = "") -> Iterator[None]:
        """Observe, serve and show until the block ends.

        Args:
            instance: what a Pushgateway knows the metrics by.
        """
        with ExitStack() as stack:
            stack.enter_context(observed_by(self.state))
            if self._metrics_settings.is_wanted:
                self._open_metrics(stack, instance)
            self._open_progress(stack)
            thread = threading.Thread(target=self._run_tasks, name="telemetry", daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(self._ending.set)
            yield

    def _open_metrics(self, stack: ExitStack, instance: str) -> None:
        from pipeline.telemetry.export import Exporter
        from pipeline.telemetry.prometheus import PrometheusMetrics

        settings = self._metrics_settings
        metrics = PrometheusMetrics(self.state)
        stack.enter_context(observed_by(metrics))

        def begin(chains: Sequence[ChainProgress], reader: str, storage: str | None) -> None:
            metrics.reader, metrics.storage = reader, storage
            metrics.begin([one.chain for one in chains])

        self._begin_metrics = begin
        if settings.textfile or settings.pushgateway:
            exporter = Exporter(
                metrics.registry, textfile=settings.textfile, pushgateway=settings.pushgateway, instance=instance
            )
            self._tasks.append(_Task(_EXPORT_INTERVAL_S, exporter.export))
            stack.callback(exporter.export)
        if settings.enabled:
            from pipeline.telemetry.server import serve

            host, port = settings.listen_at
            served = serve(
                host,
                port,
                path=settings.path,
                registry=metrics.registry,
                state=self.state,
                stalled_after_s=settings.stalled_after_seconds,
            )
            at = stack.enter_context(served)
            _LOG.info("metrics, /health, /live and /ready are served at http://%s:%d%s", at[0], at[1], settings.path)
        self._tasks.append(_Task(_LAKE_INTERVAL_S, self._look_at_lake))

    def _open_progress(self, stack: ExitStack) -> None:
        if self._is_quiet:
            return
        handler = program_handler()
        if _is_terminal() and not is_structured():
            from pipeline.telemetry.live_display import LiveDisplay

            display = LiveDisplay(sys.stderr, handler)
            display.open()
            stack.callback(display.close)
            self._tasks.append(_Task(_LIVE_INTERVAL_S, lambda: display.show(self.state.snapshot())))
        elif self._line_interval:
            self._tasks.append(_Task(self._line_interval, self._log_progress))
            stack.callback(self._log_end)

    def _log_end(self) -> None:
        if self.state.snapshot().planned:
            self.state.enter("")
            self._log_progress()

    def _log_progress(self) -> None:
        found = self.state.snapshot()
        if not found.is_waiting:
            self._waiting_line_due = 0.0
        elif time.monotonic() < self._waiting_line_due:
            return
        else:
            self._waiting_line_due = time.monotonic() + _WAITING_LINE_INTERVAL_S
        _LOG.info("%s", progress_line(found), extra=progress_fields(found))

    def _look_at_lake(self) -> None:
        if self._newest is None or not self.state.is_planned:
            return
        try:
            latest = self._newest()
        except (BronzeError, OSError) as error:
            _LOG.debug("the newest ledger of the lake is not known: %s", error)
            return
        if latest is not None:
            self.state.update_lake(latest)

    def _run_tasks(self) -> None:
        while not self._ending.wait(min((task.wait_s() for task in self._tasks), default=3600.0)):
            for task in self._tasks:
                task.run_when_due()


class _Task:
    """Something that is done again and again, the first time after `interval_s` seconds."""

    def __init__(self, interval_s: float, act: Callable[[], object]) -> None:
        self._interval_s = interval_s
        self._act = act
        self._due = time.monotonic() + interval_s

    def wait_s(self) -> float:
        """Seconds until it is due."""
        return max(0.0, self._due - time.monotonic())

    def run_when_due(self) -> None:
        """Do it when it is due; an error must not end the run's other signs of life."""
        if self.wait_s() > 0:
            return
        self._due = time.monotonic() + self._interval_s
        try:
            self._act()
        except Exception:
            _LOG.exception("the run goes on without one of its reports")
            self._due = float("inf")


def _is_terminal() -> bool:
    if sys.stderr is None or not sys.stderr.isatty():
        return False
    from rich.console import Console  # where it is not needed it would only delay the start

    console = Console(file=sys.stderr)
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def start_telemetry(settings: Settings, *, verbosity: int = 0) -> Iterator[Telemetry]:
    """Begin the telemetry of a run, until the block ends.

    Args:
        verbosity: below 0 (``--quiet``): warnings only, and no progress; above 0 (``--verbose``): level debug.

    Raises:
        ConfigError: the address of the metrics is in use.
    """
    if verbosity:
        logging.getLogger().setLevel(logging.DEBUG if verbosity > 0 else logging.WARNING)
    telemetry = Telemetry(settings, is_quiet=verbosity < 0)
    with telemetry.running(settings.copier_id):
        yield telemetry
