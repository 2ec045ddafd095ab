"""The metric families: all that operators are promised, and no label that could grow without bound."""

from __future__ import annotations

from bronze.metric_families import CHAIN_LABELS, FAMILIES, Kind

COUNTERS = (
    "ledgers_processed partitions_published partitions_skipped partition_errors pas_events_emitted pas_errors"
    " retry_attempts source_errors storage_errors metadata_errors"
)
GAUGES = (
    "last_committed_ledger lake_latest_ledger worker_queue_depth active_workers sequencer_pending ledgers_per_second"
    " checkpoint_age_seconds build_info attested_ledger anchored_ledger"
)
HISTOGRAMS = (
    "partition_duration_seconds partition_upload_duration_seconds partition_commit_duration_seconds partition_rows"
    " parquet_bytes source_read_seconds"
)


def test_promised_families_have_their_kinds() -> None:
    for names, kind in ((COUNTERS, Kind.COUNTER), (GAUGES, Kind.GAUGE), (HISTOGRAMS, Kind.HISTOGRAM)):
        assert {name: FAMILIES[name].kind for name in names.split()} == dict.fromkeys(names.split(), kind)
    assert {family.full_name for family in FAMILIES.values() if family.kind is Kind.COUNTER} >= {
        f"bronze_copier_{name}_total" for name in COUNTERS.split()
    }


def test_labels_have_few_values() -> None:
    assert CHAIN_LABELS == ("network", "era_id", "version")
    labels = {name: family.labels for name, family in FAMILIES.items() if family.labels}
    assert labels == {
        "partition_errors": ("error_type",),
        "retry_attempts": ("operation",),
        "parquet_bytes": ("table",),
        "build_info": ("program_version", "git_sha", "reader"),
    }


def test_histograms_have_ascending_buckets() -> None:
    for family in FAMILIES.values():
        assert (len(family.buckets) > 3) == (family.kind is Kind.HISTOGRAM)
        assert list(family.buckets) == sorted(set(family.buckets))
