"""The graph of an audit: partitions in, a report file of each out; partitions are checked in parallel.

::

    partitions ─▶ Reshuffle ─▶ check ─▶ report files

Report files are how reports come back to the launching process, wherever the workers run, and what is left of an audit
that was interrupted. A bundle that is retried writes the same files again.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import apache_beam as beam

from bronze.errors import RunStoppedError
from bronze.job.audit_spec import AuditSpec
from bronze.job.stop_signal import StopSignal
from bronze.partitioning.partition import Partition
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
from bronze.verify.partition_check import PartitionCheck, PartitionReport

#: A report has a few findings of a few hundred bytes each.
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """The report files of one graph. Picklable.

    Attributes:
        location: a place that the launching process and all workers can reach; also where the stop object appears.
        prefix: key prefix of the files there.
    """

    location: StorageLocation
    prefix: str

    def write(self, report: PartitionReport) -> None:
        """Write one report, or write it again."""
        open_store(self.location).replace(f"{self.prefix}/{report.partition}.json", report.to_json().encode())

    def names(self) -> list[str]:
        """The names of the report files that are there so far, each of them whole."""
        return [entry.name for entry in open_store(self.location).list_children(self.prefix) if not entry.is_prefix]

    def read(self, name: str) -> PartitionReport:
        """The report in the file `name`."""
        return PartitionReport.from_json(open_store(self.location).read(f"{self.prefix}/{name}", _MAX_BYTES).decode())


class CheckPartitions(beam.DoFn):
    """Checks partitions, given as pairs of ledgers, and writes a report of each; none once it is asked to stop."""

    def __init__(self, spec: AuditSpec, files: ReportFiles) -> None:
        self._spec = spec
        self._files = files
        self._check: PartitionCheck | None = None

    def setup(self) -> None:
        """Connect."""
        self._check = self._spec.open()

    def process(self, element: tuple[int, int]) -> None:
        """Check one partition."""
        assert self._check is not None
        if not StopSignal(self._files.location).is_requested():
            with suppress(RunStoppedError):
                self._files.write(self._check.check(Partition(*element)))


class VerifyPartitions(beam.PTransform):
    """Checks `partitions` as `spec` says, and writes their reports to `files`."""

    def __init__(self, spec: AuditSpec, partitions: Sequence[Partition], files: ReportFiles) -> None:
        super().__init__()
        self._spec = spec
        self._partitions = partitions
        self._files = files

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Wire the stages."""
        ranges = [(partition.start, partition.end) for partition in self._partitions]
        return (
            begin
            | "Partitions" >> beam.Create(ranges, reshuffle=False)
            | "Spread" >> beam.Reshuffle()
            | "Check" >> beam.ParDo(CheckPartitions(self._spec, self._files))
        )
