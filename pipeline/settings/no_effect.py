"""Keys that are given, and that nothing reads because of what other keys say: almost always a mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeline.settings.model import Section, Settings

_SOURCE_KEYS = {
    "local": {"local_path"},
    "gcs": {"gcs_bucket", "gcs_prefix"},
    "s3": {"s3_bucket", "s3_prefix", "s3_endpoint", "s3_region"},
    "datastore": {"datastore_type", "datastore_path", "s3_endpoint", "s3_region"},
}
_STORAGE_KEYS = {
    "local": {"local_dir"},
    "gcs": {"gcs_bucket"},
    "s3": {"s3_bucket", "s3_endpoint", "s3_region"},
}


def keys_without_effect(settings: Settings, *, needs_lake: bool) -> Iterator[str]:
    """A sentence for each key that was given another value than its default, and has no effect.

    Args:
        needs_lake: whether the settings of the lake were read.
    """
    if settings.eras and settings.model_fields_set >= {"era", "eras"}:
        yield "the settings give both `eras` and `era`: `era` is not used"
    source, storage, perf = settings.source, settings.storage, settings.perf
    if needs_lake:
        yield from _of_other_places("source", source, _SOURCE_KEYS, source.mode, "mode")
        if source.mode == "local":
            yield from _unused("perf", perf, {"queue_size"}, "source.mode is local, and files are read one by one")
    yield from _of_other_places("storage", storage, _STORAGE_KEYS, storage.backend, "backend")
    if source.mode == "datastore" and source.datastore_type == "GCS":
        yield from _unused("source", source, {"s3_endpoint", "s3_region"}, "source.datastore_type is GCS")
    if not settings.pas.enabled:
        keys = {"endpoint", "endpoint_secret", "backup_dir", "strict"}
        yield from _unused("pas", settings.pas, keys, "pas.enabled is false")
    elif not (settings.pas.endpoint or settings.pas.endpoint_secret):
        yield from _unused("pas", settings.pas, {"strict"}, "pas.endpoint is empty")
    if not settings.checkpoint.enabled:
        yield from _unused("checkpoint", settings.checkpoint, {"dir"}, "checkpoint.enabled is false")
    if not (settings.catalog.postgres_dsn.get_secret_value() or settings.catalog.postgres_dsn_secret):
        yield from _unused("catalog", settings.catalog, {"strict", "namespace"}, "catalog.postgres_dsn is empty")
    if not settings.metrics.enabled:
        served = {"address", "port", "path", "stalled_after_seconds"}
        yield from _unused("metrics", settings.metrics, served, "metrics.enabled is false")
    if perf.max_in_flight_partitions and perf.workers > perf.max_in_flight_partitions:
        limit = perf.max_in_flight_partitions
        yield f"perf.workers is {perf.workers}, but perf.max_in_flight_partitions lets only {limit} work"
    if settings.bronze.publish_partial and all(era.ledger_end for era in settings.eras or (settings.era,)):
        reason = "every era has a ledger_end, and only the last partition of an era without one can be partial"
        yield from _unused("bronze", settings.bronze, {"publish_partial"}, reason)
    if settings.authenticity.attestation != "require":
        reason = f"authenticity.attestation is {settings.authenticity.attestation}"
        yield from _unused("authenticity", settings.authenticity, {"attestation_lag"}, reason)


def _of_other_places(
    section: str, given: Section, keys: Mapping[str, set[str]], chosen: str, switch: str
) -> Iterator[str]:
    others = set().union(*keys.values()) - keys[chosen]
    yield from _unused(section, given, others, f"{section}.{switch} is {chosen}")


def _unused(section: str, given: Section, keys: set[str], reason: str) -> Iterator[str]:
    fields = type(given).model_fields
    for key in fields:
        if key in keys and key in given.model_fields_set and getattr(given, key) != fields[key].default:
            yield f"{section}.{key} has no effect: {reason}"
