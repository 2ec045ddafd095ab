"""Keys that are given and have no effect are told; keys with an effect, defaults and templates are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.settings.no_effect import keys_without_effect
from tests.pipeline.settings.conftest import LOCAL, TWO_ERAS, Load

TEMPLATES = sorted((Path(__file__).parents[3] / "templates").glob("config.*.yaml"))
VERSION = "projects/p/secrets/s/versions/1"
S3 = "source: {mode: s3, s3_bucket: bucket, s3_region: r}\n"


def told(text: str, load_text: Load, *, needs_lake: bool = True) -> list[str]:
    return list(keys_without_effect(load_text(text), needs_lake=needs_lake))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TWO_ERAS + "era: {era_id: x}", "the settings give both `eras` and `era`: `era` is not used"),
        ("source: {local_path: x, s3_region: r}", "source.s3_region has no effect: source.mode is local"),
        (S3.replace("}", ", local_path: x}"), "source.local_path has no effect: source.mode is s3"),
        (
            "source: {mode: datastore, datastore_type: GCS, datastore_path: bucket/b, s3_region: r}",
            "source.s3_region has no effect: source.datastore_type is GCS",
        ),
        (LOCAL + "storage: {s3_bucket: bucket}", "storage.s3_bucket has no effect: storage.backend is local"),
        (LOCAL + "pas: {backup_dir: /x}", "pas.backup_dir has no effect: pas.enabled is false"),
        (LOCAL + "pas: {endpoint: 'http://127.0.0.1:1'}", "pas.endpoint has no effect: pas.enabled is false"),
        (LOCAL + f"pas: {{endpoint_secret: {VERSION}}}", "pas.endpoint_secret has no effect: pas.enabled is false"),
        (LOCAL + "pas: {enabled: true, strict: true}", "pas.strict has no effect: pas.endpoint is empty"),
        (LOCAL + "checkpoint: {enabled: false, dir: /x}", "checkpoint.dir has no effect: checkpoint.enabled is false"),
        (LOCAL + "catalog: {strict: true}", "catalog.strict has no effect: catalog.postgres_dsn is empty"),
        (LOCAL + "metrics: {port: 1}", "metrics.port has no effect: metrics.enabled is false"),
        (LOCAL + "perf: {queue_size: 9}", "perf.queue_size has no effect: source.mode is local, and files are read"),
        (
            LOCAL + "perf: {workers: 8, max_in_flight_partitions: 4}",
            "perf.workers is 8, but perf.max_in_flight_partitions lets only 4 work",
        ),
        (
            LOCAL + "era: {ledger_end: 9}\nbronze: {publish_partial: true}",
            "bronze.publish_partial has no effect: every era has a ledger_end",
        ),
        (
            LOCAL + "authenticity: {attestation_lag: 5}",
            "authenticity.attestation_lag has no effect: authenticity.attestation is report",
        ),
    ],
    ids=lambda value: value.split()[0] if "effect" in value else "",
)
def test_key_without_effect_is_told(text: str, expected: str, load_text: Load) -> None:
    (sentence,) = told(text, load_text)
    assert sentence.startswith(expected)


@pytest.mark.parametrize(
    "text",
    [
        LOCAL,
        TWO_ERAS,
        LOCAL + "metrics: {enabled: true, port: 1}",
        LOCAL + "metrics: {port: null, address: '127.0.0.1:9090'}",
        LOCAL + "pas: {enabled: true, backup_dir: /x}",
        LOCAL + f"pas: {{enabled: true, strict: true, endpoint_secret: {VERSION}}}",
        LOCAL + f"catalog: {{strict: true, namespace: n, postgres_dsn_secret: {VERSION}}}",
        LOCAL + "perf: {workers: 4, max_in_flight_partitions: 8}",
        LOCAL + "bronze: {publish_partial: true}",
        S3 + "perf: {queue_size: 9}",
    ],
)
def test_key_with_effect_is_not_told(text: str, load_text: Load) -> None:
    assert told(text, load_text) == []


def test_unread_lake_says_nothing(load_text: Load) -> None:
    assert told(LOCAL + "perf: {queue_size: 9}", load_text, needs_lake=False) == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_have_effect_throughout(template: Path, load_text: Load) -> None:
    assert told(template.read_text(encoding="utf-8"), load_text) == []
