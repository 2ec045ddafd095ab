"""The command `config`: every key, its value, what it means here, and where it comes from; no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.settings.model import Section, Settings
from tests.e2e.conftest import Copier, call


def shown(copy: Copier, *options: str) -> dict[str, dict[str, Any]]:
    """The settings that the command prints, by key."""
    ran = copy.run("config", "--json", *options)
    assert ran.status == 0
    assert [line for line in ran.err.splitlines() if " has no effect: " not in line and " lets only " not in line] == []
    return {one["key"]: one for one in json.loads(ran.out)["settings"]}


def all_keys(section: type[Section], prefix: str = "") -> set[str]:
    """The keys of a section and of those in it."""
    found = set()
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            found |= all_keys(kind, f"{prefix}{name}.")
        else:
            found.add(prefix + name)
    return found


def test_every_key_is_shown_with_origin(copy: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAS_STRICT", "yes")
    monkeypatch.setenv("LEDGER_END", "0x17")
    found = shown(copy, "-v")
    assert set(found) == all_keys(Settings)
    lines = copy.config.read_text().splitlines()
    for key in ("era.ledger_start", "source.local_path", "storage.local_dir"):
        one = found[key]
        assert one["origin"] == "file"
        assert lines[one["line"] - 1].strip() == f"{key.split('.')[1]}: {one['value']}"
    expected = {
        "pas.strict": (True, "environment", "PAS_STRICT"),
        "era.ledger_end": (23, "environment", "LEDGER_END"),
        "logging.level": ("debug", "command line", "--verbose"),
        "perf.retry_attempts": (3, "default", None),
    }
    for key, (value, origin, name) in expected.items():
        assert (found[key]["value"], found[key]["origin"], found[key]["name"]) == (value, origin, name)


def test_meaning_of_relative_and_zero_shown(copy: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy.root)
    copy.settings["storage"]["local_dir"] = "out/../there"
    copy.settings["perf"] = {"workers": 7, "max_in_flight_partitions": 3}
    copy.settings["metrics"] = {"address": "[::1]:9090", "port": 9}
    copy.settings["era"]["network"] = "mainnet"
    found = shown(copy, "--eras", "e1", "--publish-partial")
    here = {key: one["in_effect"] for key, one in found.items() if one["in_effect"] != one["value"]}
    assert here == {
        "storage.local_dir": str(copy.root / "there"),
        "perf.workers": 3,
        "metrics.address": "[::1]:9",
        "source.network_passphrase": "Public Global Stellar Network ; September 2015",
    }
    assert (found["active_eras"]["value"], found["bronze.publish_partial"]["value"]) == (["e1"], True)


def test_secrets_are_masked_everywhere(copy: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOG_DSN", "postgresql://me:hush1@db.example:5432/lineage")
    copy.settings["pas"]["endpoint"] = "https://key:hush2@log.example:444/hush3?token=hush4"
    copy.settings["metrics"] = {"pushgateway": "http://push.example:9091/hush5"}
    found = shown(copy)
    values = [found[key]["value"] for key in ("catalog.postgres_dsn", "pas.endpoint", "metrics.pushgateway")]
    assert values == [
        "postgresql://me:***@db.example:5432/lineage",
        "https://***@log.example:444/***",
        "http://push.example:9091/***",
    ]
    for options in ((), ("--json",)):
        ran = copy.run("config", *options)
        assert "hush" not in ran.out + ran.err

    monkeypatch.setenv("CATALOG_DSN", "host=db.example password='hush 7' dbname=x")
    assert shown(copy)["catalog.postgres_dsn"]["value"] == "host=db.example password=*** dbname=x"


def test_eras_and_file_are_told(copy: Copier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    era = copy.settings.pop("era")
    copy.settings["eras"] = [{**era, "era_id": "a", "ledger_end": 15}, {**era, "era_id": "b", "ledger_start": 16}]
    ran = copy.run("config")
    assert ran.out.startswith(f"settings file: {copy.config}\n")
    line = next(line for line in ran.out.splitlines() if line.startswith("eras[1].era_id "))
    assert line.split()[1].startswith("config.yaml:")
    assert line.split()[2] == "b"
    assert "\nera." not in ran.out
    unknown = copy.run("config", "--eras", "c")
    assert (unknown.status, "there is no era 'c'" in unknown.err) == (2, True)

    monkeypatch.setenv("SOURCE_LOCAL_PATH", str(tmp_path))
    assert call("config").out.startswith("settings file: none\n")


def test_wrong_settings_are_listed_instead(copy: Copier) -> None:
    copy.settings["storage"]["prefixx"] = "x"
    ran = copy.run("config")
    assert (ran.status, ran.out) == (2, "")
    assert "did you mean storage.prefix?" in ran.err
