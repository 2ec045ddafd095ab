"""The graph: ledger batch files → partitions → parquet → the chain.

::

    files ─▶ key by (era, partition) ─▶ GroupByKey ─▶ encode + publish ─▶ Reshuffle ─▶ sequence ─▶ outcome files

In a streaming job partitions are handed out a few at a time instead (`transforms.hand_out`), and the rest is the same.

The Reshuffle keeps the stateful step from being fused into the heavy one before it, which would make
that serial.
"""

from collections.abc import Sequence

import apache_beam as beam
from apache_beam.transforms.window import FixedWindows, GlobalWindows

from bronze.job.spec import CopyJob
from bronze.lake.layout import LakeLayout
from bronze.outcomes import PartitionSummary
from transforms.elements import PartitionKey
from transforms.encode import FAILED, EncodePartition
from transforms.growth import Growth
from transforms.hand_out import HAND_OUT_TYPE, HandOutPartitions
from transforms.key_by_partition import KeyByPartition, batch_files
from transforms.outcome_files import OutcomeFiles, WriteOutcomes
from transforms.sequence import PENDING, REFUSED, SequencePartitions


class CopyPartitions(beam.PTransform):
    """Copies partitions and writes their outcomes to files.

    Args:
        keys: the partitions, in ledger order.
        outcomes: where the outcome of each is written.
        look_ahead: None in batch; in a streaming job the partitions that are handed out and not done yet, at most.
        growth: what a streaming job copies behind `keys`, as the lake completes it; None: nothing.
    """

    def __init__(
        self,
        job: CopyJob,
        keys: Sequence[PartitionKey],
        outcomes: OutcomeFiles,
        look_ahead: int | None = None,
        growth: Growth | None = None,
    ) -> None:
        super().__init__()
        self._growth = growth
        self._look_ahead = look_ahead
        self._job = job
        self._keys = keys
        self._outcomes = outcomes

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Wire the stages."""
        job, source = self._job, self._job.source
        if source is None:
            raise ValueError("a job without a lake copies nothing")
        layout = source.layout
        keyed = self._handed_out(begin) if self._look_ahead else self._all_at_once(begin, layout)
        encoded = keyed | "EncodeAndPublish" >> beam.ParDo(EncodePartition(job)).with_outputs(FAILED, main="published")
        outcomes = [encoded.published | "Summaries" >> beam.Values(), encoded[FAILED]]
        if not job.run.dry_run:
            sequenced = (
                encoded.published
                | "OfChain" >> beam.Map(_identity).with_output_types(tuple[str, PartitionSummary])
                | "ToChain" >> beam.Reshuffle()
                | "Sequence" >> beam.ParDo(SequencePartitions(job)).with_outputs(PENDING, REFUSED, main="commits")
            )
            outcomes += [sequenced.commits, sequenced[PENDING], sequenced[REFUSED]]
        return outcomes | "AllOutcomes" >> beam.Flatten() | "WriteOutcomes" >> beam.ParDo(WriteOutcomes(self._outcomes))

    def _all_at_once(self, begin: beam.pvalue.PBegin, layout: LakeLayout) -> beam.PCollection:
        # Kept in order: GroupByKey then hands out neighbouring partitions in turn.
        files = begin | "ReadBatchFiles" >> beam.Create(list(batch_files(self._keys, layout)), reshuffle=False)
        return (
            files
            | "KeyByPartition" >> beam.ParDo(KeyByPartition(self._keys, layout))
            | "GroupByPartition" >> beam.GroupByKey()
        )

    def _handed_out(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        assert self._look_ahead is not None
        source = HandOutPartitions(self._job, self._keys, self._outcomes, self._look_ahead, self._growth)
        most = max(len(self._keys), self._growth.limit if self._growth else 0)
        return (
            begin
            | "CountPartitions" >> beam.Create([most], reshuffle=False)
            | "HandOut" >> beam.ParDo(source).with_output_types(HAND_OUT_TYPE)
            | "OneAtATime" >> beam.WindowInto(FixedWindows(1))
            | "GroupByPartition" >> beam.GroupByKey()
            | "AllTogether" >> beam.WindowInto(GlobalWindows())
        )


def _identity(keyed: tuple[str, PartitionSummary]) -> tuple[str, PartitionSummary]:
    """Its argument. Only the type hint counts: the main output of a stage with tags has none, and so no coder."""
    return keyed
