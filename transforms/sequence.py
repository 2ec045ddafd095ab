"""Commits partitions to their chain in ledger order: the single-key stateful step at the graph's end.

A partition that continues the chain is committed at once, and with it all that wait directly after it; one that lies
after a gap waits in the state. Partitions that still wait when the input ends are reported as pending.

What waits is kept in two bags, since a bag can only be read whole: one for the next few partitions, which is read when
there is something to commit, and one for all others, which is read when the chain has come to its end of the first. So
a commit reads some dozens of those that wait, however many there are.
"""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import apache_beam as beam
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindow

from bronze.commit.position import ChainPosition
from bronze.commit.sequencer import Sequencer
from bronze.errors import (
    BronzeError,
    ConfigError,
    DeliveryError,
    RunStoppedError,
    StoreError,
    is_transient,
    stops_run,
)
from bronze.job.connections import Connections
from bronze.job.outage import OutageWait
from bronze.job.spec import CopyJob
from bronze.job.stop_signal import StopSignal
from bronze.log_fields import error_fields, log_fields, partition_fields, worker_name
from bronze.measurements import (
    PARTITION_COMMITTED,
    PARTITION_FAILED,
    PARTITION_STOPPED,
    Measurement,
    collected_in,
    report,
)
from bronze.outcomes import CommittedPartition, PartitionFailure, PartitionSummary, PendingPartition
from bronze.partitioning.partition import Partition
from transforms.beam_metrics import pass_to_beam
from transforms.elements import PartitionSummaryCoder
from transforms.worker_logs import set_up_worker_logs

PENDING = "pending"
REFUSED = "refused"
#: Partitions of the grid that are near the chain's next ledger: about the root of what waits in a run of pubnet.
NEAR = 64
_LOG = logging.getLogger(__name__)

Result = TypeVar("Result")


def _is_retryable(error: BaseException) -> bool:
    """Whether to retry a commit; the delivery of an event has retried by itself."""
    return is_transient(error) and not isinstance(error, DeliveryError)


class SequencePartitions(beam.DoFn):
    """``(chain, PartitionSummary)`` to `CommittedPartition`; `PENDING` outputs what waits, `REFUSED` what fails.

    The state only orders. What is committed is decided by the files (`bronze.commit.sequencer`), so a retried bundle
    commits nothing twice.
    """

    WAITING = BagStateSpec("waiting", PartitionSummaryCoder())
    FAR = BagStateSpec("far", PartitionSummaryCoder())
    #: The first ledger that is far.
    HORIZON = ReadModifyWriteStateSpec("horizon", beam.coders.VarIntCoder())
    NEXT = ReadModifyWriteStateSpec("next", beam.coders.VarIntCoder())
    BLOCKED = ReadModifyWriteStateSpec("blocked", beam.coders.StrUtf8Coder())
    END = TimerSpec("end", TimeDomain.WATERMARK)

    def __init__(self, job: CopyJob) -> None:
        self._job = job
        self._connections: Connections | None = None
        self._unusable: ConfigError | None = None
        self._sequencers: dict[str, Sequencer] = {}
        self._measured: list[Measurement] = []
        self._outages: OutageWait | None = None

    def setup(self) -> None:
        """Open the chains; what they contain is read from their files."""
        set_up_worker_logs(self._job.run.run_id)
        self._sequencers = {}
        self._outages = OutageWait(self._job)
        try:
            self._connections = Connections.of_worker(self._job)
        except ConfigError as error:
            if not self._job.run.build:
                raise
            self._unusable = error  # as in `transforms.encode`

    def process(
        self,
        element: tuple[str, PartitionSummary],
        waiting: Any = beam.DoFn.StateParam(WAITING),
        far: Any = beam.DoFn.StateParam(FAR),
        horizon: Any = beam.DoFn.StateParam(HORIZON),
        next_ledger: Any = beam.DoFn.StateParam(NEXT),
        blocked: Any = beam.DoFn.StateParam(BLOCKED),
        end: Any = beam.DoFn.TimerParam(END),
    ) -> Iterator[Any]:
        """Commit the partition and those that waited for it, or let it wait."""
        chain, summary = element
        if self._unusable is not None:
            failure = PartitionFailure.of(chain, summary.partition, self._unusable, published=True)
            yield beam.pvalue.TaggedOutput(REFUSED, failure)
            return
        end.set(GlobalWindow().max_timestamp())
        known = next_ledger.read()
        if blocked.read() or (known is not None and summary.partition.start > known):
            (waiting if summary.partition.start < (horizon.read() or 0) else far).add(summary)
            return
        sequencer = self._sequencer(chain)
        # The first commit takes the position that is read here, any later one reads it: on object stores it costs four
        # requests.
        try:
            position = (
                None
                if known == summary.partition.start
                else self._patiently(f"position of {chain}", sequencer.position)
            )
        except (StoreError, OSError, RunStoppedError) as error:
            self._report_failure(summary, error, 0.0)
            yield self._refused(summary, error, blocked)
            return
        at = known if position is None else position.next_ledger
        ends = horizon.read() or 0
        queue = sorted([*waiting.read(), summary], key=_by_ledger)
        while True:
            if at >= ends:
                ends = at + NEAR * self._job.era(chain).partition_size
                queue = _nearer(queue, far, ends)
            if not queue or queue[0].partition.start > at:
                break
            try:
                commit = self._commit(sequencer, queue[0], position, at)
            except (BronzeError, OSError) as error:
                yield self._refused(queue.pop(0), error, blocked)
                break
            position = None
            at = max(at, queue.pop(0).partition.end + 1)
            yield commit
        waiting.clear()
        for left in queue:
            (waiting if left.partition.start < ends else far).add(left)
        horizon.write(ends)
        next_ledger.write(at)

    @on_timer(END)
    def report_waiting(
        self,
        waiting: Any = beam.DoFn.StateParam(WAITING),
        far: Any = beam.DoFn.StateParam(FAR),
        next_ledger: Any = beam.DoFn.StateParam(NEXT),
        blocked: Any = beam.DoFn.StateParam(BLOCKED),
    ) -> Iterator[Any]:
        """Report the partitions that the chain did not reach."""
        reason = blocked.read() or ""
        for left in sorted([*waiting.read(), *far.read()], key=_by_ledger):
            pending = PendingPartition(
                chain=left.chain, partition=left.partition, blocked_at=next_ledger.read() or 0, reason=reason
            )
            yield beam.pvalue.TaggedOutput(PENDING, pending)

    def teardown(self) -> None:
        """Close the connection to the catalog."""
        if self._connections is not None:
            self._connections.close()

    def _patiently(self, what: str, function: Callable[[], Result]) -> Result:
        """Call `function`; wait for stores, and call it again as the retry policy allows."""
        outages = self._outages
        assert outages is not None
        return self._job.run.retry.call(
            what, lambda: outages.call(what, function), _is_retryable, operation="commit", stops=True
        )

    def _refused(self, summary: PartitionSummary, error: Exception, blocked: Any) -> beam.pvalue.TaggedOutput:
        """The output for a published partition that cannot be committed, and nothing after it."""
        blocked.write(str(error))
        pass_to_beam(self._measured)
        failure = PartitionFailure.of(summary.chain, summary.partition, error, published=True)
        return beam.pvalue.TaggedOutput(REFUSED, failure)

    def _commit(
        self, sequencer: Sequencer, summary: PartitionSummary, position: ChainPosition | None, next_ledger: int
    ) -> CommittedPartition:
        """Commit `summary`; `position` serves the first attempt, any other one reads it anew.

        Args:
            next_ledger: the next ledger that the chain needs.
        """
        positions, partition = [position], summary.partition
        started = time.monotonic()
        named = partition_fields(self._job.run.run_id, summary.chain, partition.start, partition.end)
        with log_fields(**named, worker=worker_name()), collected_in(self._measured):
            try:
                committed = self._patiently(
                    f"commit of {summary.chain} {partition}",
                    lambda: sequencer.commit(summary, positions.pop() if positions else None),
                )
            except (BronzeError, OSError) as error:
                self._report_failure(summary, error, time.monotonic() - started)
                raise
            seconds = time.monotonic() - started
            report(
                PARTITION_COMMITTED,
                seconds,
                committed_up_to=max(next_ledger - 1, partition.end),
                attested_through=committed.attested_through,
            )
            _LOG.debug(
                "partition %s %s: committed", summary.chain, partition,
                extra={"duration_ms": round(seconds * 1000), "event_hash": committed.event_hash},
            )  # fmt: skip
        pass_to_beam(self._measured)
        return committed

    def _report_failure(self, summary: PartitionSummary, error: Exception, seconds: float) -> None:
        is_stopped = isinstance(error, RunStoppedError)
        if is_stopped:
            report(PARTITION_STOPPED, seconds)
        else:
            report(PARTITION_FAILED, seconds, is_published=True, **error_fields(error))
        _LOG.log(
            logging.DEBUG if is_stopped else logging.ERROR,
            "partition %s %s is published, but not committed: %s: %s",
            summary.chain, summary.partition, type(error).__name__, error,
            extra=error_fields(error, duration_ms=round(seconds * 1000)),
        )  # fmt: skip
        # Nothing more can be committed: what is encoded meanwhile could only wait.
        if isinstance(error, (StoreError, OSError)) and stops_run(error) and self._job.run.stop is not None:
            StopSignal(self._job.run.stop).request_from_worker()

    def _sequencer(self, chain: str) -> Sequencer:
        if chain not in self._sequencers:
            assert self._connections is not None
            self._sequencers[chain] = self._connections.sequencer(self._job.era(chain))
        return self._sequencers[chain]


def _by_ledger(summary: PartitionSummary) -> Partition:
    return summary.partition


def _nearer(queue: list[PartitionSummary], far: Any, ends: int) -> list[PartitionSummary]:
    """Take what begins before the ledger `ends` from the bag `far` into the sorted `queue`."""
    waits = far.read()
    far.clear()
    for one in waits:
        if one.partition.start < ends:
            queue.append(one)
        else:
            far.add(one)
    return sorted(queue, key=_by_ledger)
