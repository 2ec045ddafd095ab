"""The secrets of a run, and how they reach its workers. They are never pickled and never logged.

The process that launches a run holds its `Secrets` as a value. Where a worker finds them depends on where it runs:

* in a thread of the same process: the launcher registers them under the run's id (`held_for`), in a table of this
  process that nothing else can see. Stages of the graph are pickled even for threads, so they can carry the id only;
* on another machine: whoever deploys the workers sets two variables there; or the job names versions of secrets in
  Google's Secret Manager, which each worker reads itself.

A process on this machine that copies partitions for a worker needs none, and gets none. Nothing here writes secrets to
the environment.

`for_worker` looks in the table first, then in the environment, then in Secret Manager.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from bronze.job.secret_manager import read_secret

DSN_VARIABLE = "BRONZE_WORKER_CATALOG_DSN"
ENDPOINT_VARIABLE = "BRONZE_WORKER_PAS_ENDPOINT"

_HELD: dict[str, Secrets] = {}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Secrets:
    """Connection strings that hold credentials; empty where there is none.

    Attributes:
        dsn: of the catalog.
        endpoint: URL that audit events are delivered to.
    """

    dsn: str = ""
    endpoint: str = ""

    @classmethod
    def from_environment(cls) -> Secrets:
        """The secrets that the environment of this worker process names."""
        return cls(dsn=os.environ.get(DSN_VARIABLE, ""), endpoint=os.environ.get(ENDPOINT_VARIABLE, ""))

    @classmethod
    def for_worker(cls, run_id: str, *, dsn_secret: str = "", endpoint_secret: str = "") -> Secrets:
        """The secrets of the run for one of its workers: those that this process holds for it, or its environment's.

        Args:
            dsn_secret, endpoint_secret: versions of secrets in Secret Manager, for those that the environment lacks.

        Raises:
            ConfigError: one of these cannot be read.
        """
        held = _HELD.get(run_id)
        if held is not None:
            return held
        found = cls.from_environment()
        return cls(
            dsn=found.dsn or (read_secret(dsn_secret) if dsn_secret else ""),
            endpoint=found.endpoint or (read_secret(endpoint_secret) if endpoint_secret else ""),
        )

    @contextmanager
    def held_for(self, run_id: str) -> Iterator[None]:
        """Let workers in this process find the secrets of the run, until the block ends."""
        before = _HELD.get(run_id)
        _HELD[run_id] = self
        try:
            yield
        finally:
            if before is None:
                del _HELD[run_id]
            else:
                _HELD[run_id] = before

    def __repr__(self) -> str:
        return f"Secrets(dsn={_masked(self.dsn)}, endpoint={_masked(self.endpoint)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled: a worker gets them with Secrets.for_worker")


def _masked(secret: str) -> str:
    return "'***'" if secret else "''"
