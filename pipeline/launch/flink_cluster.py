"""What a Flink cluster says of itself over its REST service, and whether a run is safe there."""

from __future__ import annotations

import http.client
import json
import logging
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from bronze.errors import ConfigError, RunnerError
from pipeline.launch.dataflow_options import DataflowOptions
from pipeline.launch.flink_options import FlinkOptions

_LOG = logging.getLogger(__name__)
_TIMEOUT_S = 20.0
#: A cluster's configuration is a few hundred lines.
_MAX_BYTES = 4 << 20
_RESTARTS = frozenset(
    {"fixed-delay", "fixeddelay", "failure-rate", "failurerate", "exponential-delay", "exponentialdelay"}
)
#: How often a job is restarted by strategies that count that, and Flink's default.
_ATTEMPTS = {
    "fixed-delay": ("restart-strategy.fixed-delay.attempts", "1"),
    "fixeddelay": ("restart-strategy.fixed-delay.attempts", "1"),
    "failure-rate": ("restart-strategy.failure-rate.max-failures-per-interval", "1"),
    "failurerate": ("restart-strategy.failure-rate.max-failures-per-interval", "1"),
}
_ENOUGH_ATTEMPTS = 3


def check_cluster(options: FlinkOptions | DataflowOptions | None) -> None:
    """Check that the cluster of a run on Flink is safe and large enough; one within the job server always is.

    Args:
        options: of a distributed run, as `pipeline.launch.beam_options` returns them; nothing else names a cluster.

    Raises:
        ConfigError, RunnerError: as `FlinkCluster.check`.
    """
    if isinstance(options, FlinkOptions) and not options.is_embedded:
        version = FlinkCluster(options.master).check(options.parallelism)
        _LOG.info("Flink %s at %s, parallelism %d", version, options.master, options.parallelism)


class FlinkCluster:
    """The cluster whose REST service is at `address` (``host:port``)."""

    def __init__(self, address: str) -> None:
        self.address = address

    def check(self, parallelism: int) -> str:
        """Check that a job of `parallelism` can run, outlives the death of a TaskManager and ends; the Flink version.

        What would be better otherwise is logged as a warning.

        Raises:
            ConfigError: it has too few slots, restarts no job, or has jobs take checkpoints.
            RunnerError: it does not answer as Flink does.
        """
        overview = self._get_object("/overview")
        version, slots = str(overview.get("flink-version", "?")), overview.get("slots-total")
        if not isinstance(slots, int):
            raise RunnerError(f"Flink at {self.address}: its answer names no slots-total: is it Flink's REST service?")
        if slots < parallelism:
            raise ConfigError(
                f"Flink at {self.address} has {slots} slots, but --parallelism (perf.workers) is {parallelism}: start"
                " more TaskManagers, or ask for fewer"
            )
        settings = self._settings()
        strategy = settings.get("restart-strategy.type", settings.get("restart-strategy", ""))
        if strategy.lower() not in _RESTARTS:
            raise ConfigError(
                f"Flink at {self.address} has restart-strategy.type {strategy or 'unset'!r}: a job would fail with the"
                " first TaskManager that dies; set it to fixed-delay or exponential-delay in its configuration"
            )
        interval = settings.get("execution.checkpointing.interval", "")
        if interval and not interval.startswith(("0", "-")):
            raise ConfigError(
                f"Flink at {self.address} has execution.checkpointing.interval {interval}: a job with checkpoints does"
                " not end by itself when all is copied; leave it out of the cluster's configuration"
            )
        for advice in _advice(settings, strategy.lower(), overview.get("taskmanagers")):
            _LOG.warning("Flink at %s: %s", self.address, advice)
        return version

    def job_state(self, name: str) -> tuple[str, str] | None:
        """The id and the state of the newest job of this name; None when Flink knows none."""
        jobs = self._get_object("/jobs/overview").get("jobs")
        found = [
            job for job in (jobs if isinstance(jobs, list) else ()) if isinstance(job, dict) and job.get("name") == name
        ]
        if not found:
            return None
        newest = max(found, key=lambda job: job.get("start-time", 0))
        return str(newest.get("jid", "")), str(newest.get("state", ""))

    def cancel(self, job_id: str) -> None:
        """Ask Flink to cancel a job; nothing happens to one that has ended.

        Raises:
            RunnerError: the cluster does not answer.
        """
        self._ask("PATCH", f"/jobs/{job_id}?mode=cancel", good=(202, 404, 409))

    def _settings(self) -> dict[str, str]:
        listed = self._get("/jobmanager/config")
        if not isinstance(listed, list):
            raise RunnerError(f"Flink at {self.address}: its configuration is not the list that Flink gives")
        entries = [one for one in listed if isinstance(one, dict)]
        return {str(one.get("key")): str(one.get("value", "")).strip("'\" ") for one in entries}

    def _get_object(self, path: str) -> dict[str, Any]:
        found = self._get(path)
        return found if isinstance(found, dict) else {}

    def _get(self, path: str) -> Any:
        return self._ask("GET", path)

    def _ask(self, method: str, path: str, good: Collection[int] = (200,)) -> Any:
        host, _, port = self.address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=_TIMEOUT_S)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read(_MAX_BYTES + 1)
            if answer.status not in good or len(body) > _MAX_BYTES:
                raise RunnerError(
                    f"Flink at {self.address}{path} answers with status {answer.status}, {len(body)} bytes"
                )
            return json.loads(body or b"null")
        except (OSError, http.client.HTTPException) as error:
            raise RunnerError(f"Flink at {self.address} does not answer: {error or type(error).__name__}") from error
        except ValueError as error:
            raise RunnerError(f"Flink at {self.address}{path}: the answer is not JSON") from error
        finally:
            connection.close()


def _advice(settings: Mapping[str, str], strategy: str, taskmanagers: object) -> Iterator[str]:
    """What a cluster with these settings does less well than it could, a sentence each."""
    name, default = _ATTEMPTS.get(strategy, ("", "1"))
    attempts = settings.get(name, default)
    if name and attempts.isdecimal() and int(attempts) < _ENOUGH_ATTEMPTS:
        yield f"{name} is {attempts}: a job fails when TaskManagers die that often and once more; set it to 10"
    is_spread = settings.get("taskmanager.load-balance.mode", "none").lower() == "slots"
    is_spread = is_spread or settings.get("cluster.evenly-spread-out-slots", "false").lower() == "true"
    if not is_spread and isinstance(taskmanagers, int) and taskmanagers > 1:
        yield (
            "neither taskmanager.load-balance.mode: SLOTS nor cluster.evenly-spread-out-slots is set: all work may lie"
            f" on one of its {taskmanagers} TaskManagers"
        )
