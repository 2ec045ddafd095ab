"""The graph: ledger batch files → partitions → parquet → the chain.

::

    files ─▶ key by (era, partition) ─▶ GroupByKey ─▶ encode + publish ─▶ Reshuffle ─▶ sequence ─▶ outcome files

The Reshuffle keeps the stateful step from being fused into the heavy one before it, which would make
that serial.
"""

from collections.abc import Sequence

import apache_beam as beam

from bronze.job.spec import CopyJob
from bronze.outcomes import PartitionSummary
from transforms.elements import PartitionKey
from transforms.encode import FAILED, EncodePartition
from transforms.key_by_partition import KeyByPartition, batch_files
from transforms.outcome_files import OutcomeFiles, WriteOutcomes
from transforms.sequence import PENDING, REFUSED, SequencePartitions


class CopyPartitions(beam.PTransform):
    """Copies partitions and writes their outcomes to files.

    Args:
        keys: the partitions, in ledger order.
        outcomes: where the outcome of each is written.
    """

    def __init__(self, job: CopyJob, keys: Sequence[PartitionKey], outcomes: OutcomeFiles) -> None:
        super().__init__()
        self._job = job
        self._keys = keys
        self._outcomes = outcomes

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Wire the stages."""
        job, source = self._job, self._job.source
        if source is None:
            raise ValueError("a job without a lake copies nothing")
        layout = source.layout
        # Kept in order: GroupByKey then hands out neighbouring partitions in turn.
        files = begin | "ReadBatchFiles" >> beam.Create(list(batch_files(self._keys, layout)), reshuffle=False)
        encoded = (
            files
            | "KeyByPartition" >> beam.ParDo(KeyByPartition(self._keys, layout))
            | "GroupByPartition" >> beam.GroupByKey()
            | "EncodeAndPublish" >> beam.ParDo(EncodePartition(job)).with_outputs(FAILED, main="published")
        )
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


def _identity(keyed: tuple[str, PartitionSummary]) -> tuple[str, PartitionSummary]:
    """Its argument. Only the type hint counts: the main output of a stage with tags has none, and so no coder."""
    return keyed
