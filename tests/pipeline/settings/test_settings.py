"""The settings: what a file and the environment may say, what they mean, and what is refused."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bronze.errors import ConfigError
from bronze.stellar import MAX_LEDGER
from pipeline.settings import VARIABLES, Settings, check_places, known_keys, load, local_place
from pipeline.settings.document import MAX_BYTES, read_file

TEMPLATES = Path(__file__).parents[3] / "templates"
DOCUMENTATION = Path(__file__).parents[3] / "docs" / "configuration.md"

#: The least that loads.
LOCAL = "source: {local_path: ./lake}\n"

Load = Callable[..., Settings]


@pytest.fixture
def load_text(tmp_path: Path) -> Load:
    """Loads settings from the text of a file, and from variables."""

    def load_(text: str, **environ: str) -> Settings:
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return load(path, environ)

    return load_


@pytest.fixture
def errors(load_text: Load) -> Callable[..., list[str]]:
    """The errors of a file's text, one each, without what introduces them."""

    def errors_(text: str, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_text(text, **environ)
        head, *lines = str(caught.value).splitlines()
        assert head.endswith(f"the settings have {len(lines)} error{'' if len(lines) == 1 else 's'}")
        return [line.removeprefix("  - ") for line in lines]

    return errors_


Errors = Callable[..., list[str]]


def value_at(settings: Settings, key: str) -> Any:
    value: Any = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value


# What a configuration of the Go copier may look like -------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        # its example, as it was shipped
        """
copier_id: "bronze-copier-001"
era: {era_id: "pre_p23", version_label: "v1", network: "pubnet", ledger_start: 1, ledger_end: 0,
      partition_size: 10000, allow_overwrite: false}
source: {mode: "local", local_path: "./testdata/archive"}
storage: {backend: "local", prefix: "bronze/", local_dir: "./data"}
catalog: {postgres_dsn: "", namespace: "mainnet"}
pas: {enabled: false, endpoint: "", backup_dir: "./pas-backup"}
checkpoint: {enabled: true, dir: "./state"}
perf: {max_in_flight_partitions: 4}
""",
        # its runbook's: Google Cloud to Google Cloud
        """
era: {era_id: pre_p23, version_label: v1, network: pubnet, ledger_start: 1, ledger_end: 0, partition_size: 10000}
source: {mode: datastore, datastore_type: GCS, datastore_path: a-bucket-data/landing/ledgers/pubnet}
storage: {backend: gcs, gcs_bucket: obsrvr-bronze-output}
catalog: {postgres_dsn: "postgres://user:pass@localhost:5432/obsrvr"}
pas: {enabled: true, endpoint: "https://pas.obsrvr.io/v1/events", backup_dir: /data/pas-backup}
perf: {max_in_flight_partitions: 8}
""",
        # several eras, one of which names no network
        """
eras:
  - {era_id: pre_p23, version_label: v1, ledger_start: 1, ledger_end: 52345677, partition_size: 10000}
  - {era_id: p23_plus, version_label: v2, ledger_start: 52345678, ledger_end: 0, partition_size: 10000}
active_eras: ["pre_p23"]
"""
        + LOCAL,
        # S3 with another server
        """
source: {mode: S3, s3_bucket: b-u.cket, s3_prefix: ledgers/, s3_endpoint: "http://localhost:9000", s3_region: us-west-0}
storage: {backend: S3, s3_bucket: bucket, s3_endpoint: "https://s3.us-west-000.backblazeb2.com", s3_region: x}
""",
        # sections without anything in them
        LOCAL
        + "era:\neras:\nactive_eras:\nstorage:\ncatalog:\npas: ~\ncheckpoint: null\nperf:\nlogging:\nmetrics: {}\n",
        # its zeros and empty texts, which meant the default
        """
copier_id: ""
era: {era_id: "", version_label: "", network: ""}
source: {mode: "", local_path: x, datastore_type: "", s3_endpoint: ""}
storage: {backend: "", prefix: "", local_dir: ""}
pas: {backup_dir: ""}
checkpoint: {dir: ""}
perf: {max_in_flight_partitions: 0, workers: 0, queue_size: 0, retry_attempts: 0, retry_backoff_ms: 0}
logging: {format: "", level: ""}
metrics: {address: ""}
""",
        # anchors and merge keys
        "eras:\n- &first {era_id: a, ledger_end: 9}\n- {<<: *first, era_id: b, ledger_start: 10, ledger_end: 0}\n"
        + LOCAL,
    ],
)
def test_configurations_of_the_go_copier_load(load_text: Load, text: str) -> None:
    settings = load_text(text)
    assert settings.active()


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
        ("perf: {max_in_flight_partitions: 0}", "perf.max_in_flight_partitions", 4),
        ("perf: {retry_attempts: 0}", "perf.retry_attempts", 3),
        ("perf: {retry_backoff_ms: 0}", "perf.retry_backoff_ms", 1000),
        # prefixes end with a slash, or are empty
        ("storage: {prefix: a/b}", "storage.prefix", "a/b/"),
        ("storage: {prefix: ./a//b/}", "storage.prefix", "a/b/"),
        ("storage: {prefix: ./}", "storage.prefix", ""),
        ("storage: {prefix: ''}", "storage.prefix", "bronze/"),
        # the metrics' address and port
        ("metrics: {address: '127.0.0.1:9100'}", "metrics.listen", ("127.0.0.1", 9100)),
        ("metrics: {address: '[::1]:9100'}", "metrics.listen", ("::1", 9100)),
        ("metrics: {port: 9100}", "metrics.listen", ("", 9100)),
        ("metrics: {address: '127.0.0.1:1', port: 9100}", "metrics.listen", ("127.0.0.1", 9100)),
        # connection strings
        ("catalog: {postgres_dsn: 'host=h dbname=d'}", "catalog.postgres_dsn", SecretStr("host=h dbname=d")),
        ("catalog: {postgres_dsn: 'postgresql:///d'}", "catalog.postgres_dsn", SecretStr("postgresql:///d")),
        ("catalog: {postgres_dsn: 'postgres://a:1,b:2/d'}", "catalog.postgres_dsn", SecretStr("postgres://a:1,b:2/d")),
        # a byte order mark before the first key
        ("\ufeffcopier_id: x", "copier_id", "x"),
    ],
)
def test_values(load_text: Load, text: str, key: str, value: object) -> None:
    assert value_at(load_text(f"{text}\n{'' if 'source' in text else LOCAL}"), key) == value


def test_datastore_path(load_text: Load) -> None:
    settings = load_text("source: {mode: DATASTORE, datastore_type: gcs, datastore_path: bucket//a/./b/}")
    assert (settings.source.mode, settings.source.datastore_type) == ("datastore", "GCS")
    assert settings.source.datastore_path == "bucket/a/b"


# The environment -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("COPIER_ID", "c2", "c2"),
        ("ERA_ID", "p23", "p23"),
        ("VERSION_LABEL", "2", "2"),
        ("NETWORK", "testnet", "testnet"),
        ("LEDGER_START", "5", 5),
        ("LEDGER_END", "99", 99),
        ("PARTITION_SIZE", "10", 10),
        ("ALLOW_OVERWRITE", "true", True),
        ("SOURCE_MODE", "LOCAL", "local"),
        ("SOURCE_LOCAL_PATH", "/lake", "/lake"),
        ("SOURCE_GCS_BUCKET", "bucket", "bucket"),
        ("SOURCE_GCS_PREFIX", "a", "a/"),
        ("SOURCE_S3_BUCKET", "bucket", "bucket"),
        ("SOURCE_S3_PREFIX", "a/", "a/"),
        ("SOURCE_S3_ENDPOINT", "http://h:9000", "http://h:9000"),
        ("SOURCE_S3_REGION", "us-east-2", "us-east-2"),
        ("SOURCE_DATASTORE_TYPE", "s3", "S3"),
        ("SOURCE_DATASTORE_PATH", "bucket/a", "bucket/a"),
        ("STORAGE_BACKEND", "local", "local"),
        ("STORAGE_LOCAL_DIR", "/out", "/out"),
        ("STORAGE_GCS_BUCKET", "bucket", "bucket"),
        ("STORAGE_S3_BUCKET", "bucket", "bucket"),
        ("STORAGE_S3_ENDPOINT", "https://h", "https://h"),
        ("STORAGE_S3_REGION", "auto", "auto"),
        ("STORAGE_PREFIX", "x", "x/"),
        ("CATALOG_DSN", "postgresql://h/d", SecretStr("postgresql://h/d")),
        ("CATALOG_NAMESPACE", "n", "n"),
        ("CATALOG_STRICT", "1", True),
        ("PAS_ENABLED", "TRUE", True),
        ("PAS_ENDPOINT", "https://h/events", "https://h/events"),
        ("PAS_BACKUP_DIR", "/pas", "/pas"),
        ("PAS_STRICT", "yes", True),
        ("CHECKPOINT_ENABLED", "false", False),
        ("CHECKPOINT_DIR", "/state", "/state"),
        ("MAX_IN_FLIGHT_PARTITIONS", "8", 8),
        ("LOG_FORMAT", "JSON", "json"),
        ("LOG_LEVEL", "debug", "debug"),
        ("METRICS_ENABLED", "true", True),
        ("METRICS_ADDRESS", "h:1", "h:1"),
        ("METRICS_PORT", "9100", 9100),
        ("BRONZE_PRIMARY_TABLE", "t", "t"),
        ("BRONZE_COMPRESSION", "none", "none"),
    ],
)
def test_environment_wins_over_the_file(load_text: Load, variable: str, text: str, value: object) -> None:
    settings = load_text(LOCAL + "era: {ledger_start: 2, ledger_end: 100}\nperf: {workers: 3}\n", **{variable: text})
    assert value_at(settings, ".".join(VARIABLES[variable])) == value
    assert settings.perf.workers == 3  # what the file says beside it stays


def test_every_variable_is_tested_above() -> None:
    (rows,) = (mark.args[1] for mark in test_environment_wins_over_the_file.pytestmark)  # type: ignore[attr-defined]
    assert {row[0] for row in rows} == set(VARIABLES)


def test_environment_alone_is_enough() -> None:
    assert load(environ={"SOURCE_LOCAL_PATH": "/lake", "ERA_ID": "x"}).active()[0].era_id == "x"


def test_an_empty_variable_is_not_set(load_text: Load) -> None:
    assert load_text(LOCAL + "era: {partition_size: 5}", PARTITION_SIZE="", CONFIG_FILE="").era.partition_size == 5


def test_config_file_is_used_unless_a_path_is_given(tmp_path: Path) -> None:
    for name in ("named", "given"):
        (tmp_path / name).write_text(f"{LOCAL}copier_id: {name}", encoding="utf-8")
    environ = {"CONFIG_FILE": str(tmp_path / "named")}
    assert load(None, environ).copier_id == "named"
    assert load(tmp_path / "given", environ).copier_id == "given"


def test_a_variable_for_one_era_does_not_go_with_eras(errors: Errors) -> None:
    text = LOCAL + "eras: [{era_id: a, ledger_end: 9}, {era_id: b, ledger_start: 10}]"
    (error,) = errors(text, LEDGER_START="5")
    assert error.startswith("LEDGER_START is set in the environment, but the file has `eras`")


@pytest.mark.parametrize(
    ("file", "environ", "listen"),
    [
        # the port replaces that of the file's address; its host stays
        ("{address: 'h:1'}", {"METRICS_PORT": "2"}, ("h", 2)),
        # an address replaces all of it
        ("{address: 'h:1', port: 3}", {"METRICS_ADDRESS": ":4"}, ("", 4)),
        ("{port: 3}", {"METRICS_ADDRESS": ":4", "METRICS_PORT": "5"}, ("", 5)),
    ],
)
def test_metrics_address_and_port(load_text: Load, file: str, environ: dict[str, str], listen: object) -> None:
    assert load_text(f"{LOCAL}metrics: {file}", **environ).metrics.listen == listen


# Errors of one key -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error"),
    [
        # unknown keys
        ("eraa: {}", "eraa (line 1): is not a key: did you mean era?"),
        ("era: {partition_sise: 1}", "era.partition_sise (line 1): is not a key: did you mean era.partition_size?"),
        ("era: {local_dir: x}", "era.local_dir (line 1): is not a key: did you mean storage.local_dir?"),
        ("pas: {qqq: 1}", "pas.qqq (line 1): is not a key: known are enabled, endpoint, backup_dir, strict"),
        ("bronze: {compression_level: 3}", "is not a key: did you mean bronze.compression?"),
        # forms
        ("perf: 5", "perf (line 1): must be a section of keys and values"),
        ("eras: pre_p23", "eras (line 1): must be a list"),
        ("active_eras: pre_p23", "active_eras (line 1): must be a list"),
        ("eras: [x]", "eras[0] (line 1): must be a section"),
        ("copier_id: [x]", "copier_id (line 1): a section or list must be text"),
        # numbers
        ("era: {partition_size: 0}", "era.partition_size (line 1): '0' must be a whole number from 1 to 4294967295"),
        ("era: {partition_size: -5}", "'-5' must be a whole number from 1"),
        ("era: {partition_size: ''}", "'' must be a whole number from 1"),
        ("era: {partition_size: 1.5}", "'1.5' must be a whole number from 1"),
        ("era: {ledger_start: 010}", "'010' must be a whole number"),  # 8 or 10, depending on whom one asks
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
        ("source: {local_path: x, gcs_bucket: 's3://bucket/x'}", "must be a bucket's bare name, or gs://bucket/prefix"),
        ("storage: {object_lock: {days: 3}}", "object_lock needs both a mode"),
        ("storage: {object_lock: {mode: forever}}", "storage.object_lock.mode"),
        ('checkpoint: {dir: "a\\0b"}', "checkpoint.dir (line 1): 'a\\x00b' must not hold control characters"),
        # buckets
        ("storage: {gcs_bucket: 'gs://b'}", "storage.gcs_bucket (line 1): 'gs://b' must be bucket/prefix"),
        ("storage: {s3_bucket: bucket/x}", "what follows the slash belongs in the prefix"),
        ("storage: {s3_bucket: b}", "must be a bucket's name: 3 to 222"),
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
def test_error_of_a_key(errors: Errors, text: str, error: str) -> None:
    (found,) = errors(text if "source:" in text else f"{text}\n{LOCAL}")
    assert error in found


def test_an_error_names_the_variable_it_comes_from(errors: Errors) -> None:
    (error,) = errors(LOCAL, PARTITION_SIZE="many")
    assert error == "era.partition_size (PARTITION_SIZE): 'many' must be a whole number from 1 to 4294967295"


def test_a_very_long_value_is_cut(errors: Errors) -> None:
    (error,) = errors(f"{LOCAL}logging: {{level: {'x' * 5000}}}")
    assert len(error) < 300


def test_all_errors_are_listed_at_once(errors: Errors) -> None:
    found = errors(
        """
era: {partition_size: 0, ledger_start: 9, ledger_end: 5}
logging: {level: loud}
logging: {format: xml}
storage: {backend: s3}
sauce: {mode: local}
""",
        LOG_FORMAT="yaml",
    )
    assert [error.split(":")[0] for error in found] == [
        "line 4",  # `logging` is given twice
        "era.partition_size (line 2)",
        "logging.format (LOG_FORMAT)",
        "logging.level (line 3)",
        "sauce (line 6)",
        "era.ledger_end (line 2)",
        "source.local_path",
        "storage.s3_bucket",
    ]


# Errors of keys beside each other --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (f"{LOCAL}era: {{ledger_start: 9, ledger_end: 8}}", "era.ledger_end (line 2): 8 is before ledger_start, 9"),
        (
            f"{LOCAL}era: {{protocol_min: 23, protocol_max: 22}}",
            "era.protocol_max (line 2): 22 is below protocol_min, 23",
        ),
        ("source: {mode: local}", "source.local_path: is missing: source.mode local needs it"),
        ("source: {mode: gcs, gcs_prefix: x}", "source.gcs_bucket: is missing: source.mode gcs needs it"),
        ("source: {mode: s3, s3_bucket: ''}", "source.s3_bucket (line 1): is missing: source.mode s3 needs it"),
        ("source: {mode: datastore, datastore_type: S3}", "source.datastore_path: is missing"),
        ("source: {mode: datastore, datastore_path: bucket/x}", "source.datastore_type: is missing"),
        (f"{LOCAL}storage: {{backend: gcs}}", "storage.gcs_bucket: is missing: storage.backend gcs needs it"),
        (f"{LOCAL}storage: {{backend: s3}}", "storage.s3_bucket: is missing: storage.backend s3 needs it"),
        (f"{LOCAL}eras: [{{era_id: a, ledger_end: 9}}, {{ledger_start: 10}}]", "eras[1].era_id: is missing"),
        (
            f"{LOCAL}eras: [{{era_id: a, ledger_end: 9}}, {{era_id: b, ledger_start: 9}}]",
            "eras (line 2): eras 'a' (1-9) and 'b' (9-) overlap",
        ),
        (
            f"{LOCAL}eras: [{{era_id: a}}, {{era_id: b, ledger_start: 9}}]",
            "era 'a' has no end (ledger_end 0) and comes before era 'b'",
        ),
        (
            f"{LOCAL}active_eras: [pre_p24]",
            "active_eras[0] (line 2): there is no era 'pre_p24': did you mean 'pre_p23'? configured are pre_p23",
        ),
    ],
)
def test_error_between_keys(errors: Errors, text: str, error: str) -> None:
    (found,) = errors(text)
    assert error in found


@pytest.mark.parametrize(
    "text",
    [
        # what is missing depends on the mode
        "source: {mode: ftp}",
        # a bad bucket is not a missing one
        "source: {mode: gcs, gcs_bucket: /}",
        # whether eras overlap depends on the end that is no number
        f"{LOCAL}eras: [{{era_id: a, ledger_end: x}}, {{era_id: b, ledger_start: 10}}]",
        # whether the active era exists depends on the name that is none
        f"{LOCAL}era: {{era_id: ../x}}\nactive_eras: [x]",
    ],
)
def test_nothing_is_said_that_depends_on_a_broken_key(errors: Errors, text: str) -> None:
    assert len(errors(text)) == 1


# YAML ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("era: {era_id: a", "line 1, column 16: this is not YAML: while parsing a flow mapping"),
        ("era:\n\tera_id: a", "line 2, column 1: this is not YAML"),
        ("a: b: c", "line 1, column 5: this is not YAML: mapping values are not allowed here"),
        ("just words", "line 1: the file must consist of keys and values"),
        ("- a\n- b", "line 1: the file must consist of keys and values"),
        ("? [a]\n: b", "line 1, column 3: this is not YAML: a key must be a plain word"),
        ("a: *b", "line 1, column 4: this is not YAML: found undefined alias"),
        (f"{LOCAL}---\n{LOCAL}", "this is not YAML: expected a single document"),
        ("copier_id: \x01", "this is not YAML"),
        # safe loading: no tag makes an object
        ("copier_id: !!python/object/apply:os.system [ls]", "the tag tag:yaml.org,2002:python/object/apply:os.system"),
        ("copier_id: !!python/name:os.system x", "the tag tag:yaml.org,2002:python/name:os.system is not allowed"),
        # what grows or never ends
        ("a: &a [*a]", "holds itself"),
        ("a: " + "[" * 50_000, "nested deeper than"),
        ("a: " + "[" * 40 + "]" * 40, "nested deeper than"),
    ],
)
def test_yaml_that_is_none(errors: Errors, text: str, error: str) -> None:
    assert any(error in found for found in errors(text))


def test_aliases_of_aliases_do_not_explode(errors: Errors) -> None:
    rows = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    assert any("more than" in error for error in errors("\n".join(rows)))


def test_duplicate_keys_are_errors(errors: Errors) -> None:
    (error,) = errors("source:\n  local_path: a\n  local_path: b\n")
    assert error == "line 3: source.local_path is given twice (first in line 2)"


def test_a_syntax_error_is_not_followed_by_what_is_missing(errors: Errors) -> None:
    assert len(errors("source: {")) == 1


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "missing.yaml", {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load("a\0b", {})
    path = tmp_path / "config.yaml"
    path.write_bytes(b"copier_id: \xff\n")
    with pytest.raises(ConfigError, match="is not UTF-8: byte 11"):
        load(path, {})
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="is larger than"):
        load(path, {})


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~"])
def test_a_file_may_be_empty(load_text: Load, text: str) -> None:
    assert load_text(text, SOURCE_LOCAL_PATH="x").copier_id == "bronze-copier-001"


# Secrets ---------------------------------------------------------------------------------------------------------

SECRET = "correct-horse"


@pytest.mark.parametrize(
    "text",
    [
        f"catalog: {{postgres_dsn: 'postgresqll://u:{SECRET}@h/d'}}",
        f"catalog: {{postgres_dsn: 'postgresql://u:{SECRET}@h:port/d'}}",
        f"catalog: {{postgres_dsn: 'postgresql://u:x@{SECRET}/y@h/d'}}",
        f"catalog: {{postgres_dsn: {SECRET}}}",  # the password alone
        f"catalog: {{postgres_dsn: 'host=h password {SECRET}'}}",
        f"pas: {{endpoint: 'ftp://u:{SECRET}@h'}}",
        f"pas: {{endpoint: 'ftp://h/?token={SECRET}'}}",
        f"storage: {{s3_endpoint: 'https://u:{SECRET}@h'}}",
        f"storage: {{password: {SECRET}}}",  # an unknown key is named without its value
        f"catalog: {{postgres_dsn: {{password: {SECRET}}}}}",
    ],
)
def test_no_error_shows_a_secret(load_text: Load, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(f"{text}\n{LOCAL}")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_settings_show_no_secret(load_text: Load) -> None:
    settings = load_text(
        f"{LOCAL}pas: {{endpoint: 'https://u:{SECRET}2@h/?token={SECRET}3'}}",
        CATALOG_DSN=f"postgresql://u:{SECRET}@h/d",
    )
    for shown in (repr(settings), str(settings), repr(settings.pas), str(settings.redacted())):
        assert SECRET not in shown
    assert settings.redacted()["catalog"]["postgres_dsn"] == "postgresql://u:***@h/d"
    assert settings.redacted()["pas"]["endpoint"] == "https://u:***@h/?token=***"
    # they are there for those who need them
    assert settings.catalog.postgres_dsn.get_secret_value() == f"postgresql://u:{SECRET}@h/d"
    assert {SECRET, f"{SECRET}3"} <= settings.secrets()


def test_secrets_of_the_environment_are_known() -> None:
    settings = load(environ={"SOURCE_LOCAL_PATH": "x"})
    assert settings.secrets({"AWS_SECRET_ACCESS_KEY": SECRET, "HOME": "/root"}) == {SECRET}
    assert settings.secrets() == frozenset()


# What the settings mean ------------------------------------------------------------------------------------------

TWO = (
    LOCAL
    + "eras: [{era_id: b, ledger_start: 10, allow_overwrite: true}, {era_id: a, ledger_end: 9, protocol_max: 22}]\n"
)


@pytest.mark.parametrize(
    ("text", "chosen", "expected"),
    [
        (LOCAL, None, ["pre_p23"]),
        (TWO, None, ["a", "b"]),  # in ledger order
        (TWO + "active_eras: []", None, ["a", "b"]),
        (TWO + "active_eras: [b]", None, ["b"]),
        (TWO + "active_eras: [b]", ["a"], ["a"]),  # --eras wins
        (TWO, ["b", "a"], ["a", "b"]),
    ],
)
def test_active_eras(load_text: Load, text: str, chosen: list[str] | None, expected: list[str]) -> None:
    assert [era.era_id for era in load_text(text).active(chosen)] == expected


def test_choosing_an_era_that_is_none(load_text: Load) -> None:
    with pytest.raises(ConfigError, match="there is no era 'c': configured are a, b"):
        load_text(TWO).active(["c"])


def test_each_era_has_its_own_keys(load_text: Load) -> None:
    first, second = load_text(TWO).all_eras()
    assert (first.allow_overwrite, first.protocol_max) == (False, 22)
    assert (second.allow_overwrite, second.protocol_max) == (True, None)


def test_eras_win_over_era_as_they_did_in_the_go_copier(load_text: Load) -> None:
    settings = load_text(TWO + "era: {era_id: x}")
    assert [era.era_id for era in settings.all_eras()] == ["a", "b"]
    assert settings.warnings == ["the settings give both `eras` and `era`: `era` is not used"]
    assert load_text(TWO).warnings == []


def test_workers(load_text: Load) -> None:
    assert load_text(LOCAL + "perf: {workers: 3}").workers == 3
    assert load_text(LOCAL).workers >= 1


def test_settings_can_be_sent_to_other_processes(load_text: Load) -> None:
    settings = load_text(TWO)
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_importing_the_settings_does_not_import_what_is_slow() -> None:
    program = "import sys, pipeline.settings, pipeline.telemetry.logs; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"apache_beam", "pyarrow", "google.cloud.logging_v2", "stellar_sdk", "psycopg2", "obstore"} & set(loaded)


# The places they name --------------------------------------------------------------------------------------------


@pytest.fixture
def places(tmp_path: Path) -> Callable[..., list[str]]:
    """What `check_places` says of local settings under a directory, with some of them changed."""
    (tmp_path / "lake").mkdir()
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")

    def check(**changed: str) -> list[str]:
        given = {
            "SOURCE_LOCAL_PATH": f"{tmp_path}/lake",
            "STORAGE_LOCAL_DIR": f"{tmp_path}/out",
            "CHECKPOINT_DIR": f"{tmp_path}/state",
            "PAS_BACKUP_DIR": f"{tmp_path}/pas",
            "PAS_ENABLED": "true",
        }
        before = sorted(tmp_path.rglob("*"))
        found = check_places(load(environ=given | {key: value.format(tmp=tmp_path) for key, value in changed.items()}))
        assert sorted(tmp_path.rglob("*")) == before  # nothing is made
        return [str(problem).replace(str(tmp_path), "") for problem in found]

    return check


@pytest.mark.parametrize(
    ("changed", "problems"),
    [
        ({}, []),
        ({"STORAGE_LOCAL_DIR": "{tmp}/a/b/c"}, []),  # can be made, and its parents
        ({"SOURCE_LOCAL_PATH": "file://{tmp}/lake", "CHECKPOINT_DIR": "file://{tmp}/state"}, []),
        ({"SOURCE_LOCAL_PATH": "{tmp}/none"}, ["source.local_path: '/none' does not exist"]),
        ({"SOURCE_LOCAL_PATH": "{tmp}/file"}, ["source.local_path: '/file' is not a directory"]),
        ({"STORAGE_LOCAL_DIR": "{tmp}/file"}, ["storage.local_dir: '/file' is not a directory"]),
        (
            {"CHECKPOINT_DIR": "{tmp}/file/x/y"},
            ["checkpoint.dir: '/file/x/y' cannot be made: its parent '/file' is not a directory"],
        ),
        ({"PAS_BACKUP_DIR": "{tmp}/nowhere"}, ["pas.backup_dir: '/nowhere' is not a directory"]),  # a broken link
        ({"CHECKPOINT_DIR": "{tmp}/" + "x" * 300}, ["cannot be looked at: File name too long"]),
        # what is switched off is not looked at
        ({"PAS_BACKUP_DIR": "{tmp}/file", "PAS_ENABLED": "false"}, []),
        ({"CHECKPOINT_DIR": "{tmp}/file", "CHECKPOINT_ENABLED": "false"}, []),
        # what later versions will do
        ({"CHECKPOINT_DIR": "gs://bucket/state"}, []),
        ({"CHECKPOINT_DIR": "gs://b/state"}, ["checkpoint.dir: 'gs://b/state' does not name a bucket"]),
        ({"PAS_BACKUP_DIR": "s3://bucket/../pas"}, ["pas.backup_dir: 's3://bucket/../pas' has empty, '.' or '..'"]),
        ({"PAS_BACKUP_DIR": "ftp://bucket/pas"}, ["pas.backup_dir: 'ftp://bucket/pas' is no place"]),
        ({"PAS_BACKUP_DIR": "file://host/pas"}, ["'file://host/pas' names a host"]),
        ({"SOURCE_MODE": "gcs", "SOURCE_GCS_BUCKET": "bucket"}, []),
        ({"STORAGE_BACKEND": "s3", "STORAGE_S3_BUCKET": "s3://bucket/a"}, []),
        # all at once
        (
            {"SOURCE_LOCAL_PATH": "{tmp}/none", "STORAGE_LOCAL_DIR": "{tmp}/file"},
            ["source.local_path", "storage.local_dir"],
        ),
    ],
)
def test_places(places: Callable[..., list[str]], changed: dict[str, str], problems: list[str]) -> None:
    found = places(**changed)
    assert len(found) == len(problems)
    assert all(problem in sentence for problem, sentence in zip(problems, found, strict=True))


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs /proc, where the superuser may not write either")
def test_a_directory_that_nobody_can_make_is_found(places: Callable[..., list[str]]) -> None:
    (problem,) = places(STORAGE_LOCAL_DIR="/proc/version/out")
    assert "is not a directory" in problem


@pytest.mark.parametrize(
    ("location", "path"),
    [("./a b", "a b"), ("/a", "/a"), ("file:///a%20b", "/a b"), ("file://localhost/a", "/a")],
)
def test_local_place(location: str, path: str) -> None:
    assert local_place(location) == Path(path)


# Templates and documentation -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("config.*.yaml")), ids=lambda path: path.name)
def test_templates_load(path: Path) -> None:
    assert load(path, {}).active()


def test_the_reference_lists_every_key_with_its_default() -> None:
    written = read_file(TEMPLATES / "config.reference.yaml").values
    listed = {
        f"{name}.{key}" if key else name
        for name, value in written.items()
        for key in (value if isinstance(value, dict) else [None])
    }
    assert listed == set(known_keys())
    least = load(environ={"SOURCE_LOCAL_PATH": "./ledgers"})  # the one key without a default
    assert load(TEMPLATES / "config.reference.yaml", {}) == least


def test_the_documentation_names_every_key_and_variable() -> None:
    text = DOCUMENTATION.read_text(encoding="utf-8")
    assert [key for key in known_keys() if f"`{key}`" not in text] == []
    assert [variable for variable in VARIABLES if f"`{variable}`" not in text] == []
    reference = (TEMPLATES / "config.reference.yaml").read_text(encoding="utf-8")
    assert [variable for variable in VARIABLES if f"[{variable}]" not in reference] == []
