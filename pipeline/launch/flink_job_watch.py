"""Waits for a job on Flink: until it ends, or until the cluster has lost it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from bronze.errors import BronzeError, RunnerError
from pipeline.launch.flink_cluster import FlinkCluster

_LOG = logging.getLogger(__name__)
#: Seconds between two looks at the state of the job.
_LOOK_S = 2.0
#: Seconds after which a cluster that does not answer, or does not know the job any more, is given up.
_LOST_S = 60.0
_ENDED = ("FINISHED", "FAILED", "CANCELED")


class JobWatch:
    """Waits for the job called `name`.

    The job server alone would wait for ever for a job whose JobManager was started anew.

    Args:
        cluster: where the job runs; None: within the job server, which nobody else can ask.
        alive: called whenever the job is known to run.
        look_s: seconds between two looks at it.
        lost_s: seconds after which a job is given up that the cluster does not tell of.
    """

    def __init__(
        self,
        cluster: FlinkCluster | None,
        name: str,
        alive: Callable[[], None],
        *,
        look_s: float = _LOOK_S,
        lost_s: float = _LOST_S,
    ) -> None:
        self._cluster = cluster
        self._name = name
        self._alive = alive
        self._look_s = look_s
        self._lost_s = lost_s
        self._job_id = ""
        self._last_answer = ""

    def wait(self, submit: Callable[[], Any]) -> str:
        """Submit the job and wait for its end; its last state.

        Args:
            submit: returns Beam's result of the job.

        Raises:
            RunnerError: the cluster lost the job.
            Exception: what Beam raises of a job that failed.
        """
        states: list[str] = []
        errors: list[Exception] = []

        def follow() -> None:
            try:
                states.append(submit().wait_until_finish())
            except Exception as error:
                errors.append(error)

        # Left alone when the job is lost: it ends with the job server.
        thread = threading.Thread(target=follow, name="flink", daemon=True)
        thread.start()
        heard_at = time.monotonic()
        while thread.is_alive():
            thread.join(self._look_s)
            if self._is_heard_of():
                heard_at = time.monotonic()
                self._alive()
            elif self._job_id and time.monotonic() - heard_at > self._lost_s and thread.is_alive():
                assert self._cluster is not None
                raise RunnerError(
                    f"Flink at {self._cluster.address} lost the job {self._name}: {self._last_answer} for"
                    f" {self._lost_s:.0f} s, and the job server tells no end of it; run again to resume"
                )
        if errors:
            raise errors[0]
        return states[0]

    def cancel(self) -> None:
        """Cancel the job, if it can be found: nobody waits for it any more."""
        if self._cluster is None:
            return
        with suppress(BronzeError):  # what it still does harms nobody
            found = self._cluster.job_state(self._name)
            if found is not None:
                self._cluster.cancel(found[0])

    def _is_heard_of(self) -> bool:
        if self._cluster is None:
            return True
        try:
            found = self._cluster.job_state(self._name)
        except BronzeError as error:
            self._last_answer = str(error)
            return False
        if found is None:
            self._last_answer = "it is not known there, as after a new start of the JobManager,"
            return False
        if found[0] != self._job_id:
            self._job_id = found[0]
            _LOG.info("Flink runs the job %s (%s)", self._name, found[0])
        self._last_answer = f"it is {found[1]} there"
        return found[1] not in _ENDED
