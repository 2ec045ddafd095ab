"""The graph: ledger batch files → partitions → parquet → the chain.

::

    files ─▶ key by (era, partition) ─▶ GroupByKey ─▶ encode + publish ─▶ Reshuffle ─▶ sequence ─▶ report

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
from transforms.outcome_files import WriteReport
from transforms.sequence import PENDING, REFUSED, SequencePartitions


class CopyPartitions(beam.PTransform):
    """Copies `keys` (partitions in ledger order) and reports what became of each below `report_folder`."""

    def __init__(self, job: CopyJob, keys: Sequence[PartitionKey], report_folder: str) -> None:
        super().__init__()
        self._job = job
        self._keys = keys
        self._report_folder = report_folder

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Wire the stages."""
        job, layout = self._job, self._job.layout
        assert layout is not None
        # Kept in order: GroupByKey then hands out neighbouring partitions in turn.
        files = begin | "ReadBatchFiles" >> beam.Create(list(batch_files(self._keys, layout)), reshuffle=False)
        encoded = (
            files
            | "KeyByPartition" >> beam.ParDo(KeyByPartition(self._keys, layout))
            | "GroupByPartition" >> beam.GroupByKey()
            | "EncodeAndPublish" >> beam.ParDo(EncodePartition(job)).with_outputs(FAILED, main="published")
        )
        outcomes = [encoded.published | "Summaries" >> beam.Values(), encoded[FAILED]]
        if not job.dry_run:
            sequenced = (
                encoded.published
                | "OfChain" >> beam.Map(lambda keyed: keyed).with_output_types(tuple[str, PartitionSummary])
                | "ToChain" >> beam.Reshuffle()
                | "Sequence" >> beam.ParDo(SequencePartitions(job)).with_outputs(PENDING, REFUSED, main="commits")
            )
            outcomes += [sequenced.commits, sequenced[PENDING], sequenced[REFUSED]]
        return outcomes | "AllOutcomes" >> beam.Flatten() | "Report" >> beam.ParDo(WriteReport(self._report_folder))
