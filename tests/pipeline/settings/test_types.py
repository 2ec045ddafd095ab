"""The types of keys: what each accepts, what that becomes, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from bronze.stellar import MAX_LEDGER
from tests.pipeline.settings.conftest import LOCAL, Errors, Load, value_at


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        # text stays as it is written, whatever YAML would make of it
        ("era: {version_label: 1}", "era.version_label", "1"),
        ("era: {version_label: 1.10}", "era.version_label", "1.10"),
        ("era: {era_id: 2023-01-01}", "era.era_id", "2023-01-01"),
        ("era: {era_id: on}", "era.era_id", "on"),
        ("era: {era_id: 0123}", "era.era_id", "0123"),
        ("active_eras: [1]\nera: {era_id: 1}", "active_eras", ("1",)),
        # numbers
        ("era: {ledger_end: 0}", "era.ledger_end", 0),
        ("era: {ledger_end: '25'}", "era.ledger_end", 25),
        ("era: {partition_size: 64_000}", "era.partition_size", 64000),
        ("era: {partition_size: 0x10}", "era.partition_size", 16),
        ("era: {ledger_start: 0}", "era.ledger_start", 0),
        ("era: {ledger_end: 4294967295}", "era.ledger_end", MAX_LEDGER),
        ("era: {protocol_min: 0, protocol_max: 22}", "era.protocol_max", 22),
        # booleans, as YAML 1.1 and Go know them
        ("catalog: {strict: yes}", "catalog.strict", True),
        ("checkpoint: {enabled: Off}", "checkpoint.enabled", False),
        # words in upper and lower case
        ("logging: {level: WARNING}", "logging.level", "warn"),
        ("bronze: {compression: Snappy}", "bronze.compression", "snappy"),
        # zero was the default in the Go copier
        ("perf: {max_in_flight_partitions: 0}", "perf.max_in_flight_partitions", 0),
        ("perf: {retry_attempts: 0}", "perf.retry_attempts", 3),
        ("perf: {retry_backoff_ms: 0}", "perf.retry_backoff_ms", 1000),
        # prefixes end with a slash, or are empty
        ("storage: {prefix: a/b}", "storage.prefix", "a/b/"),
        ("storage: {prefix: ./a//b/}", "storage.prefix", "a/b/"),
        ("storage: {prefix: ./}", "storage.prefix", ""),
        ("storage: {prefix: ''}", "storage.prefix", "bronze/"),
        # the metrics' address and port
        ("metrics: {address: '127.0.0.1:9100'}", "metrics.address", "127.0.0.1:9100"),
        ("metrics: {address: '[::1]:9100'}", "metrics.address", "[::1]:9100"),
        ("metrics: {address: ':0'}", "metrics.address", ":0"),
        ("metrics: {port: 9100}", "metrics.port", 9100),
        # connection strings
        ("catalog: {postgres_dsn: 'host=h dbname=d'}", "catalog.postgres_dsn", SecretStr("host=h dbname=d")),
        ("catalog: {postgres_dsn: 'postgresql:///d'}", "catalog.postgres_dsn", SecretStr("postgresql:///d")),
        ("catalog: {postgres_dsn: 'postgres://a:1,b:2/d'}", "catalog.postgres_dsn", SecretStr("postgres://a:1,b:2/d")),
        # a byte order mark before the first key
        ("\ufeffcopier_id: x", "copier_id", "x"),
    ],
)
def test_value_is_converted(load_text: Load, text: str, key: str, value: object) -> None:
    assert value_at(load_text(f"{text}\n{'' if 'source' in text else LOCAL}"), key) == value


def test_datastore_path_is_normalised(load_text: Load) -> None:
    settings = load_text("source: {mode: DATASTORE, datastore_type: gcs, datastore_path: bucket//a/./b/}")
    assert (settings.source.mode, settings.source.datastore_type) == ("datastore", "GCS")
    assert settings.source.datastore_path == "bucket/a/b"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        # numbers
        ("era: {partition_size: 0}", "era.partition_size (line 1): '0' must be a whole number from 1 to 4294967295"),
        ("era: {partition_size: -5}", "'-5' must be a whole number from 1"),
        ("era: {partition_size: ''}", "'' must be a whole number from 1"),
        ("era: {partition_size: 1.5}", "'1.5' must be a whole number from 1"),
        ("era: {ledger_start: 010}", "'010' must be a whole number"),  # octal or decimal?
        ("era: {ledger_end: 4294967296}", "'4294967296' must be a whole number from 0 to 4294967295"),
        ("perf: {max_in_flight_partitions: -1}", "perf.max_in_flight_partitions (line 1): '-1' must be"),
        ("perf: {workers: 99999}", "'99999' must be a whole number from 0 to 1024"),
        ("source: {local_path: x, max_object_mb: 0}", "'0' must be a whole number from 1 to"),
        ("metrics: {port: 65536}", "'65536' must be a whole number from 0 to 65535"),
        # booleans and words
        ("pas: {enabled: maybe}", "pas.enabled (line 1): 'maybe' must be true or false"),
        ("logging: {level: trace}", "logging.level (line 1): 'trace' must be one of debug, info, warn, error"),
        ("logging: {format: xml}", "'xml' must be one of text, json"),
        ("bronze: {compression: gzip}", "'gzip' must be one of zstd, snappy, none"),
        ("source: {mode: ftp}", "source.mode (line 1): 'ftp' must be one of local, gcs, s3, datastore"),
        ("source: {local_path: x, verify: none}", "'none' must be one of full, header"),
        # names that become path segments
        ("era: {era_id: ../x}", "era.era_id (line 1): '../x' must be a plain path segment"),
        ("era: {version_label: a/b}", "era.version_label (line 1): 'a/b' must be a plain path segment"),
        ("era: {network: 'pub net'}", "era.network (line 1): 'pub net' must be a plain path segment"),
        ("bronze: {primary_table: .x}", "bronze.primary_table (line 1): '.x' must be a plain path segment"),
        # prefixes that climb
        ("storage: {prefix: ../x}", "storage.prefix (line 1): '../x' must be a relative path"),
        ("storage: {prefix: a/../../x}", "must be a relative path"),
        ("storage: {prefix: /x}", "must be a relative path"),
        ("storage: {prefix: 'a\\b'}", "must be a relative path"),
        ('storage: {prefix: "a\\0b"}', "must be a relative path"),
        ("storage: {prefix: 'gs://b/x'}", "must be a path, not a URL"),
        ("source: {local_path: x, gcs_prefix: ../x}", "source.gcs_prefix (line 1): '../x' must be"),
        ("source: {local_path: x, s3_prefix: /x}", "source.s3_prefix (line 1): '/x' must be"),
        ("source: {local_path: x, datastore_path: bucket/../x}", "source.datastore_path (line 1)"),
        (
            "source: {mode: datastore, datastore_type: S3, datastore_path: 'gs://bucket/x'}",
            "'gs://bucket/x' is not of datastore_type S3",
        ),
        ("source: {local_path: x, datastore_path: 'ftp://bucket/x'}", "must be bucket/prefix, gs://bucket/prefix or"),
        ("source: {local_path: x, gcs_bucket: 's3://bucket/x'}", "must be the name of a bucket, or gs://bucket/prefix"),
        ("storage: {object_lock: {days: 3}}", "object_lock needs both a mode"),
        ("storage: {object_lock: {mode: forever}}", "storage.object_lock.mode"),
        ('checkpoint: {dir: "a\\0b"}', "checkpoint.dir (line 1): 'a\\x00b' must not contain control characters"),
        # buckets
        ("storage: {gcs_bucket: 'gs://b'}", "storage.gcs_bucket (line 1): 'gs://b' must be bucket/prefix"),
        ("storage: {s3_bucket: bucket/x}", "what follows the slash belongs in the prefix"),
        ("storage: {s3_bucket: b}", "must be the name of a bucket: 3 to 222"),
        # URLs
        ("pas: {endpoint: 'ftp://h/x'}", "pas.endpoint (line 1): 'ftp://h/x' must be a URL with http:// or https://"),
        ("pas: {endpoint: pas.example.org}", "must be a URL with http:// or https:// and a host"),
        ("pas: {endpoint: 'https:///x'}", "must be a URL with http:// or https:// and a host"),
        ("pas: {endpoint: 'https://h:x/'}", "must be a URL"),
        ("storage: {s3_endpoint: localhost:9000}", "storage.s3_endpoint (line 1): 'localhost:9000' must be a URL"),
        # the metrics' address
        ("metrics: {address: 9090}", "metrics.address (line 1): '9090' must be host:port or :port"),
        ("metrics: {address: ':70000'}", "must be host:port or :port"),
        ("metrics: {path: metrics}", "'metrics' must begin with /"),
        # an element of a list
        ("eras: [{era_id: a}, {era_id: b, partition_size: x}]", "eras[1].partition_size (line 1): 'x' must be"),
    ],
)
def test_invalid_value_is_an_error(errors: Errors, text: str, error: str) -> None:
    (found,) = errors(text if "source:" in text else f"{text}\n{LOCAL}")
    assert error in found
