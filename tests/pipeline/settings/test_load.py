"""Loading: file, environment, defaults, and all problems at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from bronze.errors import ConfigError
from pipeline.settings import load
from pipeline.settings.load import VARIABLES
from tests.pipeline.settings.conftest import LOCAL, Errors, Load, value_at

TEMPLATES = Path(__file__).parents[3] / "templates"
SECRET = "correct-horse"


@pytest.mark.parametrize(
    "text",
    [
        # its example, as shipped
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
        # its runbook: Google Cloud to Google Cloud
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
        # S3 on another server
        """
source: {mode: S3, s3_bucket: b-u.cket, s3_prefix: ledgers/, s3_endpoint: "http://localhost:9000", s3_region: us-west-0}
storage: {backend: S3, s3_bucket: bucket, s3_endpoint: "https://s3.us-west-000.backblazeb2.com", s3_region: x}
""",
        # empty sections
        LOCAL
        + "era:\neras:\nactive_eras:\nstorage:\ncatalog:\npas: ~\ncheckpoint: null\nperf:\nlogging:\nmetrics: {}\n",
        # its zeros and empty texts, which meant the default
        """
copier_id: ""
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
        ("AUTHENTICITY_SIGNATURES", "Report", "report"),
        ("AUTHENTICITY_EVENTS", "off", "off"),
        ("AUTHENTICITY_VALIDATORS", "v.cfg", "v.cfg"),
        ("AUTHENTICITY_ATTESTATION", "OFF", "off"),
        ("BRONZE_PRIMARY_TABLE", "t", "t"),
        ("BRONZE_COMPRESSION", "none", "none"),
    ],
)
def test_environment_overrides_the_file(load_text: Load, variable: str, text: str, value: object) -> None:
    settings = load_text(LOCAL + "era: {ledger_start: 2, ledger_end: 100}\nperf: {workers: 3}\n", **{variable: text})
    assert value_at(settings, ".".join(VARIABLES[variable])) == value
    assert settings.perf.workers == 3  # other keys of the file stay


def test_every_variable_has_a_case_above() -> None:
    (rows,) = (mark.args[1] for mark in test_environment_overrides_the_file.pytestmark)  # type: ignore[attr-defined]
    assert {row[0] for row in rows} == set(VARIABLES)


def test_environment_alone_is_enough() -> None:
    assert load(environ={"SOURCE_LOCAL_PATH": "/lake", "ERA_ID": "x"}).active()[0].era_id == "x"


def test_empty_variable_counts_as_unset(load_text: Load) -> None:
    assert load_text(LOCAL + "era: {partition_size: 5}", PARTITION_SIZE="", CONFIG_FILE="").era.partition_size == 5


IDENTITIES = [("era_id", "ERA_ID"), ("version_label", "VERSION_LABEL"), ("network", "NETWORK")]


@pytest.mark.parametrize("key", [key for key, _ in IDENTITIES])
@pytest.mark.parametrize(
    "form", ["era: {%s: ''}", 'era:\n  %s: ""', "era:\n  %s:", "era: {%s: null}", "eras: [{era_id: a, %s: ''}]"]
)
def test_empty_identity_in_file_is_an_error(errors: Errors, key: str, form: str) -> None:
    text = form % key if "eras" not in form or key != "era_id" else "eras: [{era_id: ''}]"
    (error,) = [one for one in errors(LOCAL + text) if "is empty" in one]
    assert f"{key} (line " in error
    assert "the default is not taken for that" in error


@pytest.mark.parametrize("value", ["tcp://10.96.0.7:9090", "udp://10.96.0.7:53"])
def test_port_variable_of_kubernetes_is_ignored(load_text: Load, value: str) -> None:
    assert load_text(LOCAL, METRICS_PORT=value).metrics.port is None
    assert load_text(LOCAL + "metrics: {port: 3}", METRICS_PORT=value).metrics.port == 3


@pytest.mark.parametrize(("key", "variable"), IDENTITIES)
@pytest.mark.parametrize("file", ["", "era: {era_id: a, version_label: b, network: c}"])
def test_empty_identity_variable_is_an_error(errors: Errors, key: str, variable: str, file: str) -> None:
    (error,) = errors(LOCAL + file, **{variable: ""})
    assert error.startswith(f"era.{key} ({variable}): '' is empty, and the default is not taken for that")


def test_empty_identity_variable_is_ignored_beside_eras(load_text: Load) -> None:
    assert load_text(LOCAL + "eras: [{era_id: a, network: n}]", ERA_ID="", NETWORK="").eras[0].network == "n"


def test_given_path_overrides_config_file_variable(tmp_path: Path) -> None:
    for name in ("named", "given"):
        (tmp_path / name).write_text(f"{LOCAL}copier_id: {name}", encoding="utf-8")
    environ = {"CONFIG_FILE": str(tmp_path / "named")}
    assert load(None, environ).copier_id == "named"
    assert load(tmp_path / "given", environ).copier_id == "given"


def test_era_variable_beside_eras_is_an_error(errors: Errors) -> None:
    text = LOCAL + "eras: [{era_id: a, ledger_end: 9}, {era_id: b, ledger_start: 10}]"
    (error,) = errors(text, LEDGER_START="5")
    assert error.startswith("era.ledger_start (LEDGER_START): is set in the environment, but the file has `eras`")


@pytest.mark.parametrize(
    ("file", "environ", "expected"),
    [
        # the address of the file stays
        ("{address: 'h:1'}", {"METRICS_PORT": "2"}, ("h:1", 2)),
        # an address replaces the address and port of the file
        ("{address: 'h:1', port: 3}", {"METRICS_ADDRESS": ":4"}, (":4", None)),
        ("{port: 3}", {"METRICS_ADDRESS": ":4", "METRICS_PORT": "5"}, (":4", 5)),
    ],
)
def test_metrics_variables_override_address_and_port(
    load_text: Load, file: str, environ: dict[str, str], expected: object
) -> None:
    metrics = load_text(f"{LOCAL}metrics: {file}", **environ).metrics
    assert (metrics.address, metrics.port) == expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        # unknown keys
        ("eraa: {}", "eraa (line 1): is not a key: did you mean era?"),
        ("era: {partition_sise: 1}", "era.partition_sise (line 1): is not a key: did you mean era.partition_size?"),
        ("era: {local_dir: x}", "era.local_dir (line 1): is not a key: did you mean storage.local_dir?"),
        (
            "pas: {qqq: 1}",
            "pas.qqq (line 1): is not a key: known are enabled, endpoint, endpoint_secret, backup_dir, strict",
        ),
        ("bronze: {compression_level: 3}", "is not a key: did you mean bronze.compression?"),
        # forms
        ("perf: 5", "perf (line 1): must be a section of keys and values"),
        ("eras: pre_p23", "eras (line 1): must be a list"),
        ("active_eras: pre_p23", "active_eras (line 1): must be a list"),
        ("eras: [x]", "eras[0] (line 1): must be a section"),
        ("copier_id: [x]", "copier_id (line 1): a section or list must be text"),
    ],
)
def test_unknown_key_or_wrong_form_is_an_error(errors: Errors, text: str, error: str) -> None:
    (found,) = errors(text if "source:" in text else f"{text}\n{LOCAL}")
    assert error in found


def test_error_names_the_variable(errors: Errors) -> None:
    (error,) = errors(LOCAL, PARTITION_SIZE="many")
    assert error == "era.partition_size (PARTITION_SIZE): 'many' must be a whole number from 1 to 4294967295"


def test_long_value_is_truncated_in_error(errors: Errors) -> None:
    (error,) = errors(f"{LOCAL}logging: {{level: {'x' * 5000}}}")
    assert len(error) < 300


def test_all_errors_are_listed(errors: Errors) -> None:
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
        "logging (line 4)",  # given twice
        "era.partition_size (line 2)",
        "logging.format (LOG_FORMAT)",
        "logging.level (line 3)",
        "sauce (line 6)",
        "era.ledger_end (line 2)",
        "source.local_path",
        "storage.s3_bucket",
    ]


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
def test_errors_mask_secrets(load_text: Load, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(f"{text}\n{LOCAL}")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_import_loads_no_slow_package() -> None:
    program = "import sys, pipeline.settings, pipeline.telemetry.logs; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"apache_beam", "pyarrow", "google.cloud.logging_v2", "stellar_sdk", "psycopg2", "obstore"} & set(loaded)


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("config.*.yaml")), ids=lambda path: path.name)
def test_templates_load(path: Path) -> None:
    assert load(path, {}).active()


def test_unused_section_is_neither_read_nor_checked(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("source: {mode: tape, mode: disk}\ncopier_id: x\n", encoding="utf-8")
    settings = load(path, {"SOURCE_MODE": "tape"}, unused={"source"})
    assert (settings.copier_id, settings.source.mode) == ("x", "local")


def test_missing_file_name_is_told() -> None:
    with pytest.raises(
        ConfigError, match=r"^no file is named \(--config FILE or CONFIG_FILE; .*the settings have 1 error"
    ):
        load(None, {})
