"""The command `sample`: makes a lake, and a configuration that copies it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
import yaml

from bronze.errors import ConfigError, ConflictError
from pipeline.commands import sample as command
from pipeline.commands.options import Options
from pipeline.sample import SampleOptions, write_sample_lake
from tests.e2e.conftest import call


def run_command(*words: object) -> int:
    parser = click.Command("sample", params=list(command.OPTIONS))
    return command.run(Options(**parser.make_context("sample", [str(word) for word in words]).params))


def test_command_makes_a_lake_and_describes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (tmp_path / "lake", "--ledgers", 8, "--ledgers-per-file", 4, "--extension", "zstd", "--network", "testnet")
    assert run_command(*words) == 0
    printed = capsys.readouterr().out
    assert "written" in printed
    assert "ledgers 2-11 (10)" in printed
    assert "3 .xdr.zstd objects" in printed
    config = json.loads((tmp_path / "lake" / ".config.json").read_text())
    assert config["networkPassphrase"] == "Test SDF Network ; September 2015"
    assert run_command(*words) == 0
    assert "already there, identical" in capsys.readouterr().out


def test_quiet_prints_nothing_and_verbose_every_step(tmp_path: Path) -> None:
    ran = call("sample", tmp_path / "lake", "--ledgers", "3", "-q")
    assert (ran.status, ran.out, ran.err, (tmp_path / "lake").is_dir()) == (0, "", "", True)
    ran = call("sample", tmp_path / "lake", "--ledgers", "3", "-v")
    assert (ran.status, ran.err.count(" DEBUG   object ")) == (0, 3)


def test_long_work_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pipeline.sample.lake_writer._LINE_INTERVAL_S", 0.0)
    with caplog.at_level("INFO"):
        write_sample_lake(tmp_path / "lake", SampleOptions(ledgers=3, transactions=1))
    assert [record.message for record in caplog.records] == [f"{number} of 3 ledgers are made" for number in (1, 2, 3)]


@pytest.mark.parametrize(
    "words",
    [
        ("--ledgers", 0),
        ("--first", 1),
        ("--ledgers-per-file", 0),
        ("--transactions", 0),
        ("--protocols", "22,20"),
        ("--write-config", "config.yaml", "--eras", 9),
    ],
)
def test_impossible_options_are_config_errors(tmp_path: Path, words: tuple[object, ...]) -> None:
    with pytest.raises(ConfigError):
        run_command(tmp_path / "lake", *words)
    assert list(tmp_path.iterdir()) == []


def test_command_writes_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "try" / "config.yaml"
    words = (tmp_path / "lake", "--write-config", file, "--eras", 3)
    assert run_command(*words) == 0
    assert run_command(*words) == 0  # the same content again is not a conflict
    assert str(file) in capsys.readouterr().out
    config = yaml.safe_load(file.read_text())
    assert [(era["era_id"], era["ledger_start"], era["ledger_end"]) for era in config["eras"]] == [
        ("p12", 2, 51),
        ("p20", 52, 126),
        ("p23", 127, 201),
    ]
    assert {era["network"] for era in config["eras"]} == {"standalone"}
    assert {era["partition_size"] for era in config["eras"]} == {20}
    assert config["source"] == {"mode": "local", "local_path": str(tmp_path / "lake")}
    assert config["storage"]["local_dir"] == str(tmp_path / "try" / "data")
    assert config["checkpoint"]["dir"] == str(tmp_path / "try" / "state")
    assert config["pas"] == {"enabled": True, "backup_dir": str(tmp_path / "try" / "pas-backup")}
    validators = tmp_path / "try" / "validators.cfg"
    assert config["authenticity"] == {"validators": str(validators)}
    assert 'NETWORK_PASSPHRASE="Standalone Network ; February 2017"' in validators.read_text()
    file.write_text("copier_id: mine\n")
    with pytest.raises(ConflictError, match="another configuration"):
        run_command(*words)
    assert file.read_text() == "copier_id: mine\n"


def test_single_era_spans_the_lake(tmp_path: Path) -> None:
    run_command(tmp_path / "lake", "--ledgers", 12, "--write-config", tmp_path / "config.yaml")
    era = yaml.safe_load((tmp_path / "config.yaml").read_text())["era"]
    assert (era["era_id"], era["ledger_start"], era["ledger_end"], era["partition_size"]) == ("sample", 2, 13, 2)


def test_sample_lake_is_copied_and_verified(tmp_path: Path) -> None:
    config = tmp_path / "try" / "config.yaml"
    made = call("sample", tmp_path / "lake", "--ledgers", "30", "--write-config", config, "--eras", "2")
    assert (made.status, made.err) == (0, "")
    assert f"configuration: {config}" in made.out
    settings = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**settings, "logging": {"level": "warn"}}))

    assert call("-config", config).status == 0

    verified = call("verify", "--config", config)
    assert (verified.status, verified.err) == (0, "")
    verdicts = [line.split(": ")[1] for line in verified.out.splitlines() if line.startswith("chain ")]
    assert verdicts == ["HOLDS", "HOLDS"]


def test_sample_is_attested_by_its_validators(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    run_command(tmp_path / "lake", "--ledgers", 60, "--seed", 3, "--transactions", 1, "--write-config", file)
    ran = call("run", "--config", file)
    assert ran.status == 0, ran.err
    assert re.search(r"authentic    standalone: .* attested through 59 by 1 of 1 organization$", ran.out, re.MULTILINE)
    (tmp_path / "validators.cfg").write_text("other")
    with pytest.raises(ConflictError, match=r"validators.cfg exists and is another configuration"):
        run_command(tmp_path / "lake", "--ledgers", 60, "--seed", 3, "--transactions", 1, "--write-config", file)
