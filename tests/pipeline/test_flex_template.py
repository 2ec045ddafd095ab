"""The parameters of the Flex Template: every key of the settings is one or is left out, and what they become."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions

from bronze.errors import ConfigError
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
from pipeline import flex_template
from pipeline.exit_status import DONE, OUTSTANDING, UNDONE, USAGE
from pipeline.flex_template import LEFT_OUT, OWN, main, setting_parameters, settings_document, split_arguments
from pipeline.settings import load
from pipeline.settings.model import Section, Settings
from tests.support.gcs_server import gcs_bucket, gcs_server

__all__ = ["gcs_bucket", "gcs_server"]

PLACES = {"lake": "gs://lakes/pubnet", "output": "gs://out/bronze", "state": "gs://out/state"}


def keys(model: type[Section], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from keys(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.default


def test_every_setting_is_parameter_or_left_out() -> None:
    parameters = {".".join(map(str, one.path)) for one in setting_parameters()}
    known = dict(keys(Settings))
    lists = {name for name, default in known.items() if isinstance(default, tuple)}
    nested = {name for name in known if name.count(".") > 1}
    assert parameters | LEFT_OUT.keys() | lists | nested == known.keys()
    assert not parameters & (LEFT_OUT.keys() | lists | nested)


def test_no_parameter_is_an_option_of_beam() -> None:
    """Beam would take it: `--network` is the name of a VPC there."""
    beam = PipelineOptions([]).get_all_options()
    assert "network" in beam
    assert {*OWN, *(one.name for one in setting_parameters())} & beam.keys() == set()


def test_parameters_become_settings(tmp_path: Path) -> None:
    given = {
        **PLACES, "lake": "s3://aws-public-blockchain/v1.1/stellar/ledgers/pubnet", "source_anonymous": "true",
        "source_s3_region": "us-east-2", "era_era_id": "e1", "era_ledger_start": "2", "era_ledger_end": "10001",
        "pas_enabled": "true", "pas_events": "gs://out/pas", "copier_id": "df",
        "catalog_postgres_dsn_secret": "projects/p1/secrets/dsn/versions/latest",
    }  # fmt: skip
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(settings_document(given)))
    settings = load(path, {})
    assert (settings.source.datastore_type, settings.source.anonymous) == ("S3", True)
    assert settings.source.datastore_path == given["lake"]
    assert (settings.storage.backend, settings.storage.gcs_bucket) == ("gcs", "out/bronze")
    assert (settings.checkpoint.dir, settings.pas.backup_dir) == ("gs://out/state", "gs://out/pas")
    assert (settings.era.ledger_start, settings.era.ledger_end, settings.copier_id) == (2, 10_001, "df")
    assert settings.catalog.postgres_dsn_secret == given["catalog_postgres_dsn_secret"]


def test_parameters_win_over_configuration() -> None:
    config = {"era": {"era_id": "a", "partition_size": 5}, "storage": {"prefix": "x/"}, "pas": None}
    document = settings_document({**PLACES, "era_era_id": "b", "pas_strict": "true"}, config)
    assert document["era"] == {"era_id": "b", "partition_size": 5}
    assert document["storage"] == {"prefix": "x/", "backend": "gcs", "gcs_bucket": "gs://out/bronze"}
    assert document["pas"] == {"strict": "true"}
    assert config["era"]["era_id"] == "a"  # type: ignore[index]


def test_era_parameter_beside_several_eras_is_refused() -> None:
    with pytest.raises(ConfigError, match="era_era_id: the file of `config` has several eras"):
        settings_document({**PLACES, "era_era_id": "b"}, {"eras": [{"era_id": "a"}]})


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("url", ["/data", "file:///data", "https://host/x"])
def test_local_place_is_refused(name: str, url: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}|location"):
        settings_document({**PLACES, name: url})


def test_arguments_of_beam_pass_through() -> None:
    given, beam = split_arguments(
        ["--lake=gs://a/b=c", "--region=us-central1", "--experiments", "x", "--era_era_id=", "--streaming"]
    )
    assert given == {"lake": "gs://a/b=c"}
    assert beam == ["--region=us-central1", "--experiments", "x", "--streaming"]
    with pytest.raises(ConfigError, match="--lake=VALUE"):
        split_arguments(["--lake", "gs://a"])


@pytest.mark.parametrize(("ended", "status"), [(DONE, DONE), (OUTSTANDING, DONE), (UNDONE, UNDONE)])
def test_launcher_runs_program_with_merged_settings(
    ended: int, status: int, gcs_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(StorageLocation(f"gs://{gcs_bucket}/etc")).create("c.yaml", b"era: {era_id: a, network: testnet}\n")
    called: list[Any] = []

    def program(arguments: list[str]) -> int:
        called.extend([arguments, yaml.safe_load(Path(arguments[3]).read_text())])
        return ended

    monkeypatch.setattr("pipeline.main.main", program)
    monkeypatch.setenv("LOG_FORMAT", "text")
    places = [f"--{name}={url}" for name, url in PLACES.items()]
    arguments = [*places, f"--config=gs://{gcs_bucket}/etc/c.yaml", "--era_era_id=b", "--commit_while_encoding=true"]
    assert main([*arguments, "--project=p"]) == status
    command, document = called
    assert command[:3] == ["run", "--submit", "--config"]
    assert command[4:] == ["--", "--project=p", "--streaming", "--runner=DataflowRunner"]
    assert document["era"] == {"era_id": "b", "network": "testnet"}


@pytest.mark.parametrize(
    "wrong",
    ["--commit_while_encoding=maybe", "--config=/etc/passwd", "--output=/data", "--config=gs://BUCKET/list.yaml"],
)
def test_unusable_parameter_ends_launcher(wrong: str, gcs_bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    open_store(StorageLocation(f"gs://{gcs_bucket}")).create("list.yaml", b"[1, 2]\n")
    places = [f"--{name}={url}" for name, url in PLACES.items()]
    assert main([*places, wrong.replace("BUCKET", gcs_bucket)]) == USAGE
    assert wrong.removeprefix("--").partition("=")[0] in caplog.text
    assert flex_template.CONFIG in OWN
