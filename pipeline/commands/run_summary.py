"""The machine-readable summary of a run, also of one that fails, is stopped by a signal or finds nothing to do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bronze.errors import ConfigError
from bronze.producer import this_producer
from bronze.redact import redact
from pipeline.commands.output import check_writable, write_atomically
from pipeline.early_signals import before_exit
from pipeline.exit_status import DONE, GAP, LOCKED, OUTSTANDING, UNDONE, USAGE, status_of

if TYPE_CHECKING:
    from pipeline.telemetry.totals import Totals

RUN_SCHEMA = "bronze-copier/run/1"
_RESULTS = {
    DONE: "done", UNDONE: "incomplete", USAGE: "usage", LOCKED: "locked", OUTSTANDING: "outstanding", GAP: "gap"
}  # fmt: skip


class RunSummary:
    """The document of one run, and the file that it is written to when the run ends. For any number of threads.

    Args:
        path: the file; None: it is not written.

    Attributes:
        totals: of the partitions so far; None while nothing is copied.
    """

    def __init__(self, path: Path | None, *, dry_run: bool) -> None:
        producer = this_producer()
        self._path = path
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._is_final = False
        self.totals: Totals | None = None
        self._document: dict[str, Any] = {
            "schema": RUN_SCHEMA,
            "exit_status": UNDONE,
            "result": _RESULTS[UNDONE],
            "error": None,
            "version": producer.version,
            "git_sha": producer.git_sha,
            "run_id": None,
            "dry_run": dry_run,
            "started_at": _now(),
            "ended_at": None,
            "seconds": 0.0,
            "places": None,
            "eras": [],
            "missing": [],
        }

    def add(self, part: Mapping[str, Any]) -> None:
        """Take what is known by now."""
        with self._lock:
            self._document.update(part)

    def end(self, status: int, error: BaseException | None = None) -> dict[str, Any]:
        """The document of a run that ends with that exit status, and because of `error`; the first call decides."""
        from pipeline.commands.run_document import totals_part
        from pipeline.telemetry.totals import Totals

        with self._lock:
            if not self._is_final:
                self._is_final = True
                self._document |= totals_part(self.totals or Totals())
                result = "stopped" if status > 128 else _RESULTS.get(status, _RESULTS[UNDONE])
                self._document |= {"exit_status": status, "result": result, "ended_at": _now()}
                self._document["seconds"] = round(time.monotonic() - self._began, 3)
                if error is not None:
                    self._document["error"] = {"type": type(error).__name__, "message": redact(str(error))}
            return self._document

    def begin(self) -> None:
        """Remove the summary of an earlier run: one that is killed must not leave it as its own.

        Raises:
            ConfigError: no file can be written there.
        """
        if self._path is None:
            return
        check_writable("--summary", self._path)
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"--summary {self._path}: no file can be written there: {error.strerror}") from error

    def write(self) -> None:
        """Write the file, complete or not at all; nothing without one. Raises `OSError`."""
        if self._path is None:
            return
        write_atomically(self._path, json.dumps(self._document, indent=2, ensure_ascii=False) + "\n")

    def end_by_signal(self, status: int) -> None:
        """Write the summary of a run that a signal ends at once."""
        self.end(status)
        self.write()


@contextmanager
def summarized(path: Path | None, *, dry_run: bool) -> Iterator[RunSummary]:
    """The summary of the run in the block; written to `path` however the block ends, by `os._exit` for a signal too.

    The block calls `RunSummary.end` when it comes to its end.

    Raises:
        ConfigError: no file can be written at `path`.
    """
    summary = RunSummary(path, dry_run=dry_run)
    summary.begin()
    with before_exit(summary.end_by_signal):
        try:
            yield summary
        except BaseException as error:
            summary.end(status_of(error), error)
            with suppress(OSError):  # the error that ended the run is the one to tell
                summary.write()
            raise
        summary.write()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
