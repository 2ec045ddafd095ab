"""The local Beam runner, built explicitly.

Beam's ``DirectRunner`` is a switch that first tries to download another runner; here it means the FnApiRunner itself
(measured with Beam 2.77). Its workers are always embedded in this process, a thread each: in its other modes it opens
ports on all interfaces, to which anybody may connect. The compiled reader releases the GIL; with the interpreted one
each worker has a process of its own copy its partitions (`bronze.job.copier_process`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, PortableOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner

from bronze.errors import ConfigError
from bronze.job.secrets import Secrets
from bronze.storage.location import StorageLocation
from bronze.xdr import is_compiled
from pipeline.launch.beam_parser import unknown_to_beam

#: Partitions of a wave for each worker, at least: the runner deals partitions out once and for all.
PER_WORKER = 4
#: The same where partitions are published to another machine: nothing is encoded while the last ones of a wave are
#: published, which takes a tenth of a partition's time and more.
PER_WORKER_REMOTE = 12
_LOG = logging.getLogger(__name__)
#: What the interpreted reader costs: a ledger of 372 KB walks in 9.6 ms instead of 0.15 ms (docs/performance.md).
_INTERPRETED_FACTOR = 60
#: The one running mode of Beam's runner in which it opens no port.
_MODE = "in_memory"
#: Where Beam warns that several workers without ports would not run in parallel; they do.
_RUNNER_LOGGER = "apache_beam.runners.portability.fn_api_runner.fn_runner"


class LocalRunner:
    """Runs graphs on this machine, with workers that are threads; no port is opened.

    Args:
        secrets: of the launching process; workers get them.
        run_id: names the run among those of this process.
        workers: how many, at least 1.
        processes: whether several workers copy in a process of their own each; None: whether the reader is interpreted.
        beam_arguments: further Beam options, which win over the others.

    Raises:
        ConfigError: the Beam options would have the runner open ports, or are none of Beam's.
    """

    is_distributed = False
    has_own_workers = False
    look_ahead = None

    def __init__(
        self,
        secrets: Secrets,
        run_id: str,
        *,
        workers: int,
        processes: bool | None = None,
        beam_arguments: Sequence[str] = (),
    ) -> None:
        self._secrets = secrets
        self._run_id = run_id
        self._workers = workers
        self._compiled = is_compiled()
        self.options = local_options(beam_arguments, workers=workers)
        several = self.options.view_as(DirectOptions).direct_num_workers != 1
        self.copies_in_processes = several and (not self._compiled if processes is None else processes)
        if not self._compiled:
            _LOG.warning(
                "the XDR reader is interpreted (no compiled module was built, or BRONZE_READER says so): walking a"
                " ledger takes about %d times as long",
                _INTERPRETED_FACTOR,
            )

    def default_wave(self, *, is_remote: bool) -> int:
        """See `Runner`."""
        return (PER_WORKER_REMOTE if is_remote else PER_WORKER) * self._workers

    def threads_per_partition(self, partitions: int) -> int:
        """Cores without a partition of their own help with the others', where the reader releases the GIL."""
        return -(-self._workers // partitions) if self._compiled and 0 < partitions < self._workers else 1

    def control_location(self, scratch: Path) -> StorageLocation:
        """The temporary directory, which all workers share."""
        return StorageLocation(str(scratch))

    def run(self, graph: beam.PTransform) -> None:
        """See `Runner`."""
        with ExitStack() as stack:
            stack.enter_context(self._secrets.held_for(self._run_id))
            stack.enter_context(_quiet_beam())
            pipeline = beam.Pipeline(runner=fn_runner.FnApiRunner(), options=self.options)
            pipeline | graph
            pipeline.run().wait_until_finish()


def local_options(beam_arguments: Sequence[str], *, workers: int) -> PipelineOptions:
    """The options of a local run: Beam's own, which win over the others.

    Raises:
        ConfigError: they would have the runner open ports, or are none of Beam's.
    """
    _refuse_unknown(beam_arguments)
    options = PipelineOptions([f"--direct_num_workers={workers}", f"--direct_running_mode={_MODE}", *beam_arguments])
    _refuse_ports(options)
    return options


@contextmanager
def _quiet_beam() -> Iterator[None]:
    """Leave out how Beam sets itself up, which it reports at length; what goes wrong is a warning or an error."""
    everything, runner = logging.getLogger("apache_beam"), logging.getLogger(_RUNNER_LOGGER)
    before = everything.level
    everything.setLevel(max(logging.WARNING, logging.getLogger().level))
    runner.addFilter(_concerns_this_run)
    try:
        yield
    finally:
        runner.removeFilter(_concerns_this_run)
        everything.setLevel(before)


def _concerns_this_run(record: logging.LogRecord) -> bool:
    """False for the warning that several embedded workers would not run in parallel."""
    return "If direct_num_workers is not equal to 1" not in record.getMessage()


def _refuse_unknown(arguments: Sequence[str]) -> None:
    """Refuse options that Beam does not know, or cannot have their values; it would go on without the former.

    Raises:
        ConfigError: there is one, or a word that is no option's value.
    """
    unknown = unknown_to_beam(arguments) if arguments else []
    named = [
        word.partition("=")[0] if word.startswith("-") else word
        for before, word in zip(("", *unknown), unknown, strict=False)
        if word.startswith("-") or "=" in before or not before.startswith("--")
    ]
    if named:
        raise ConfigError(f"{', '.join(named)}: Beam knows no such option; leave it out, or correct it")


def _refuse_ports(options: PipelineOptions) -> None:
    """Refuse options with which workers would be reached over ports, or run elsewhere.

    Raises:
        ConfigError: there is one.
    """
    mode = options.view_as(DirectOptions).direct_running_mode
    if mode != _MODE:
        raise ConfigError(
            f"--direct_running_mode={mode}: Beam would open ports that anybody can connect to; leave it out: the"
            f" workers run in parallel without ports ({_MODE})"
        )
    given = options.view_as(PortableOptions).get_all_options(drop_default=True, current_only=True)
    if given:
        raise ConfigError(
            f"--{', --'.join(sorted(given))}: this version runs on this machine alone, without ports; leave it out"
        )
