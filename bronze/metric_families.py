"""The metric families of the program, and what one measurement adds to which of them.

The same figures go to Prometheus (`pipeline.telemetry`) and to Beam's own metrics (`transforms.beam_metrics`). Every
family has the labels of a chain (`CHAIN_LABELS`) but those that describe the whole process; no label holds a ledger
number or an id.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bronze import measurements as m

PREFIX = "bronze_copier_"
#: The labels that name a chain; `version` is the era's version label.
CHAIN_LABELS = ("network", "era_id", "version")
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
_SHORT_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0)
_ROWS = (1, 10, 64, 100, 500, 1000, 2500, 5000, 10_000, 25_000, 64_000, 100_000)
_BYTES = tuple(float(10**power * step) for power in range(4, 11) for step in (1, 3))


class Kind(enum.StrEnum):
    """How the values of a family are taken together."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family.

    Attributes:
        name: without `PREFIX`, and without ``_total`` for counters.
        labels: those beside `CHAIN_LABELS`.
        buckets: upper bounds of a histogram's buckets.
        of_process: whether it describes the whole process, without `CHAIN_LABELS`.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    of_process: bool = False

    @property
    def full_name(self) -> str:
        """The name as it is exported."""
        return f"{PREFIX}{self.name}" + ("_total" if self.kind is Kind.COUNTER else "")


def _counter(name: str, help: str, *labels: str) -> Family:
    return Family(name, Kind.COUNTER, help, labels)


def _gauge(name: str, help: str, *labels: str, of_process: bool = False) -> Family:
    return Family(name, Kind.GAUGE, help, labels, of_process=of_process)


def _histogram(name: str, help: str, buckets: tuple[float, ...], *labels: str) -> Family:
    return Family(name, Kind.HISTOGRAM, help, labels, buckets)


FAMILIES = {
    family.name: family
    for family in (
        _counter("ledgers_processed", "Ledgers read, verified and encoded by this run."),
        _counter("raw_bytes_processed", "Bytes of the close metas of these ledgers, uncompressed."),
        _counter("partitions_published", "Partitions encoded and in place: written, replaced or unchanged."),
        _counter("partitions_skipped", "Partitions that existed and were not read."),
        _counter("partition_errors", "Partitions that failed, or that their chain refused.", "error_type"),
        _counter("pas_events_emitted", "Audit events created."),
        _counter("pas_errors", "Audit events that could not be delivered, after all attempts."),
        _counter("retry_attempts", "Operations that were tried again after a failure.", "operation"),
        _counter("source_errors", "Reads of lake objects that failed."),
        _counter("storage_errors", "Writes to the destination that failed."),
        _counter("metadata_errors", "Writes to the catalog that failed."),
        _gauge("last_committed_ledger", "Last ledger that is committed to the chain."),
        _gauge("attested_ledger", "Last ledger that the configured validators stand behind."),
        _gauge("anchored_ledger", "Last ledger of a partition that enough history archives have confirmed."),
        _gauge("lake_latest_ledger", "Newest ledger of the lake."),
        _gauge("worker_queue_depth", "Planned partitions that no worker has begun."),
        _gauge("active_workers", "Workers that are copying a partition of the chain."),
        _gauge("sequencer_pending", "Published partitions that wait for their commit."),
        _gauge("ledgers_per_second", "Ledgers read a second, over the last half minute."),
        _gauge("checkpoint_age_seconds", "Seconds since the chain's checkpoint was written."),
        _gauge("storage_free_bytes", "Free bytes of the file system that is published to.", of_process=True),
        _gauge("build_info", "Always 1.", "program_version", "git_sha", "reader", of_process=True),
        _histogram("partition_duration_seconds", "From the start of a partition to its publication.", _SECONDS),
        _histogram("partition_upload_duration_seconds", "Publication of an encoded partition.", _SECONDS),
        _histogram("partition_commit_duration_seconds", "Commit of a partition: event, catalog, delivery.", _SECONDS),
        _histogram("partition_rows", "Ledgers of a partition.", _ROWS),
        _histogram("parquet_bytes", "Bytes of a parquet file.", _BYTES, "table"),
        _histogram("source_read_seconds", "Reading of one lake object.", _SHORT_SECONDS),
    )
}  # fmt: skip


class Figure(NamedTuple):
    """What a measurement adds to a family.

    Attributes:
        labels: the values of `Family.labels`.
    """

    family: str
    value: float
    labels: tuple[str, ...] = ()


#: Measurements that count one, or are observed, as they are.
_COUNTED = {
    m.EVENT_EMITTED: "pas_events_emitted",
    m.EVENT_FAILED: "pas_errors",
    m.SOURCE_ERROR: "source_errors",
    m.STORAGE_ERROR: "storage_errors",
    m.METADATA_ERROR: "metadata_errors",
}
_OBSERVED = {
    m.UPLOAD: "partition_upload_duration_seconds",
    m.SOURCE_READ: "source_read_seconds",
}


def figures(measurement: m.Measurement) -> Iterator[Figure]:
    """What `measurement` adds to the counters and histograms, and sets gauges to."""
    name, value, fields = measurement
    if name in _OBSERVED:
        yield Figure(_OBSERVED[name], value)
    elif name in _COUNTED:
        yield Figure(_COUNTED[name], 1)
    elif name == m.RETRY:
        yield Figure("retry_attempts", 1, (str(fields["operation"]),))
    elif name == m.PARTITION_FAILED:
        yield Figure("partition_errors", 1, (str(fields["error_type"]),))
    elif name == m.PARTITION_COMMITTED:
        yield Figure("partition_commit_duration_seconds", value)
        yield Figure("last_committed_ledger", fields["committed_up_to"])
        if fields.get("attested_through") is not None:
            yield Figure("attested_ledger", fields["attested_through"])
    elif name == m.LEDGER_ANCHORED:
        yield Figure("anchored_ledger", value)
    elif name == m.PARTITION_DONE:
        yield from _of_done(value, fields)


def _of_done(seconds: float, fields: m.Fields) -> Iterator[Figure]:
    if fields["outcome"] == "skipped":
        yield Figure("partitions_skipped", 1)
        return
    if fields["outcome"] != "measured":
        yield Figure("partitions_published", 1)
    yield Figure("ledgers_processed", fields["rows"])
    yield Figure("raw_bytes_processed", fields["raw_bytes"])
    yield Figure("partition_duration_seconds", seconds)
    yield Figure("partition_rows", fields["rows"])
    yield Figure("parquet_bytes", fields["parquet_bytes"], (str(fields["table"]),))


def chain_of(fields: m.Fields) -> tuple[str, str, str]:
    """The values of `CHAIN_LABELS`; empty texts where no chain is named."""
    return str(fields.get("network", "")), str(fields.get("era_id", "")), str(fields.get("version_label", ""))
