"""What the runners have in common for which each execution of the graph is a job on a service or a cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bronze.job.connections import Connections
from bronze.xdr import is_compiled

#: Partitions of a wave, where the settings do not say: each wave is a job, which takes 15 s on Flink and minutes on
#: Dataflow to start.
_PER_WAVE = 1_000
#: Partitions that are handed out for each one that is encoded, so that no worker waits.
_AHEAD = 3


class JobOptions(Protocol):
    """What a job runner has to know of its options."""

    @property
    def is_streaming(self) -> bool:
        """Whether jobs are streaming ones."""
        ...

    @property
    def partitions_at_once(self) -> int:
        """Partitions that all workers can encode at once."""
        ...


@dataclass
class JobRunner:
    """The part of `pipeline.launch.runner.Runner` that is the same wherever jobs run.

    Args:
        connections: of the launching process.
        alive: called whenever the service has answered that the job works.
    """

    connections: Connections
    options: JobOptions
    alive: Callable[[], None] = lambda: None

    has_own_workers = True

    @property
    def copies_in_processes(self) -> bool:
        """See `Runner`."""
        return not is_compiled()

    @property
    def look_ahead(self) -> int | None:
        """See `Runner`."""
        return _AHEAD * self.options.partitions_at_once if self.options.is_streaming else None

    def default_wave(self, *, is_remote: bool) -> int:
        """See `Runner`."""
        return _PER_WAVE

    def threads_per_partition(self, partitions: int) -> int:
        """One: a worker has as many processes as cores, or how many cores its machine has is not known here."""
        return 1
