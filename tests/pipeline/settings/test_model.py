"""The settings themselves: eras, workers, secrets, warnings, and that documentation and templates name every key."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from bronze.errors import ConfigError
from pipeline.settings import Settings, load
from pipeline.settings.document import read_file
from pipeline.settings.load import VARIABLES
from pipeline.settings.model import Section
from tests.pipeline.settings.conftest import LOCAL, TWO_ERAS, Load

TEMPLATES = Path(__file__).parents[3] / "templates"
DOCUMENTATION = Path(__file__).parents[3] / "docs" / "configuration.md"
SECRET = "correct-horse"


def known_keys() -> Iterator[str]:
    """Every key, such as ``era.era_id``; those of an element of ``eras`` are those of ``era``."""
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from (f"{name}.{key}" for key in kind.model_fields)
        else:
            yield name


@pytest.mark.parametrize(
    ("text", "chosen", "expected"),
    [
        (LOCAL, None, ["pre_p23"]),
        (TWO_ERAS, None, ["a", "b"]),  # in ledger order
        (TWO_ERAS + "active_eras: []", None, ["a", "b"]),
        (TWO_ERAS + "active_eras: [b]", None, ["b"]),
        (TWO_ERAS + "active_eras: [b]", ["a"], ["a"]),  # --eras overrides it
        (TWO_ERAS, ["b", "a"], ["a", "b"]),
    ],
)
def test_active_eras(load_text: Load, text: str, chosen: list[str] | None, expected: list[str]) -> None:
    assert [era.era_id for era in load_text(text).active(chosen)] == expected


def test_unknown_chosen_era_is_a_config_error(load_text: Load) -> None:
    with pytest.raises(ConfigError, match="there is no era 'c': configured are a, b"):
        load_text(TWO_ERAS).active(["c"])


def test_each_era_has_its_own_keys(load_text: Load) -> None:
    first, second = load_text(TWO_ERAS).all_eras()
    assert (first.allow_overwrite, first.protocol_max) == (False, 22)
    assert (second.allow_overwrite, second.protocol_max) == (True, None)


def test_eras_override_era(load_text: Load) -> None:
    settings = load_text(TWO_ERAS + "era: {era_id: x}")
    assert [era.era_id for era in settings.all_eras()] == ["a", "b"]


@pytest.mark.parametrize(
    ("metrics", "listen_at"),
    [
        ("{}", ("127.0.0.1", 9090)),
        ("{port: 9100}", ("127.0.0.1", 9100)),
        ("{address: ':9090'}", ("", 9090)),
        ("{address: '[::1]:9100', port: 0}", ("::1", 0)),
    ],
)
def test_metrics_listen_on_loopback_by_default(metrics: str, listen_at: tuple[str, int], load_text: Load) -> None:
    assert load_text(f"{LOCAL}metrics: {metrics}").metrics.listen_at == listen_at


@pytest.mark.parametrize(("key", "wanted"), [("enabled: true", True), ("textfile: a.prom", True), ("port: 1", False)])
def test_metrics_are_wanted_where_they_go(key: str, wanted: bool, load_text: Load) -> None:
    assert load_text(f"{LOCAL}metrics: {{{key}}}").metrics.is_wanted is wanted


def test_workers_default_to_the_cores(load_text: Load) -> None:
    assert load_text(LOCAL + "perf: {workers: 3}").workers == 3
    assert load_text(LOCAL).workers >= 1
    assert load_text(LOCAL + "perf: {workers: 3, max_in_flight_partitions: 2}").workers == 2


def test_settings_can_be_pickled(load_text: Load) -> None:
    settings = load_text(TWO_ERAS)
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_repr_masks_secrets(load_text: Load) -> None:
    settings = load_text(
        f"{LOCAL}pas: {{endpoint: 'https://u:{SECRET}2@h/?token={SECRET}3'}}",
        CATALOG_DSN=f"postgresql://u:{SECRET}@h/d",
    )
    for shown in (repr(settings), str(settings), repr(settings.pas)):
        assert SECRET not in shown
    assert "https://u:***@h/?token=***" in repr(settings)
    # the values themselves are available
    assert settings.catalog.postgres_dsn.get_secret_value() == f"postgresql://u:{SECRET}@h/d"
    assert {SECRET, f"{SECRET}3"} <= settings.secrets()


def test_secrets_include_those_of_the_environment() -> None:
    settings = load(environ={"SOURCE_LOCAL_PATH": "x"})
    assert settings.secrets({"AWS_SECRET_ACCESS_KEY": SECRET, "HOME": "/root"}) == {SECRET}
    assert settings.secrets() == frozenset()


def test_reference_template_lists_every_default() -> None:
    written = read_file(TEMPLATES / "config.reference.yaml").values
    listed = {
        f"{name}.{key}" if key else name
        for name, value in written.items()
        for key in (value if isinstance(value, dict) else [None])
    }
    assert listed == set(known_keys())
    least = load(environ={"SOURCE_LOCAL_PATH": "./ledgers"})  # the one key without a default
    assert load(TEMPLATES / "config.reference.yaml", {}) == least


def test_documentation_names_every_key() -> None:
    text = DOCUMENTATION.read_text(encoding="utf-8")
    assert [key for key in known_keys() if f"`{key}`" not in text] == []
    assert [variable for variable in VARIABLES if f"`{variable}`" not in text] == []
    reference = (TEMPLATES / "config.reference.yaml").read_text(encoding="utf-8")
    assert [variable for variable in VARIABLES if f"[{variable}]" not in reference] == []
