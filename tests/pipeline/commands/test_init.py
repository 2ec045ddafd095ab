"""The command `init`: the configuration it writes for lakes of all kinds, what it refuses, and that it is accepted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.settings import load
from tests.e2e.conftest import LakeFiles, RunResult, call
from tests.e2e.test_object_stores import Cloud, gcs, gcs_bucket, gcs_server, s3, s3_bucket, s3_server

__all__ = ["gcs", "gcs_bucket", "gcs_server", "s3", "s3_bucket", "s3_server"]


@pytest.fixture
def lake(sample: Callable[..., LakeFiles]) -> Path:
    """A lake of ledgers 8-31, 4 in each file."""
    return sample(first=8, ledgers=24, ledgers_per_file=4).root


def init(lake: object, tmp_path: Path, *options: str) -> RunResult:
    """Write ``config.yaml`` for `lake`."""
    return call("init", "--lake", str(lake), "--out", tmp_path / "config.yaml", *options)


def test_quiet_prints_nothing_and_verbose_every_step(lake: Path, tmp_path: Path) -> None:
    ran = init(lake, tmp_path, "--network", "standalone", "-q")
    assert (ran.status, ran.out, ran.err, (tmp_path / "config.yaml").is_file()) == (0, "", "", True)
    ran = init(lake, tmp_path, "--network", "standalone", "--force", "-v")
    assert (ran.status, "DEBUG" in ran.err, "the first object is " in ran.err) == (0, True, True)


def test_log_format_of_environment_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_FORMAT", "json")
    (tmp_path / "empty").mkdir()
    ran = init(tmp_path / "empty", tmp_path)
    assert (ran.status, json.loads(ran.err)["error_type"]) == (1, "LakeError")


def test_configuration_is_accepted_as_written(lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.yaml"
    monkeypatch.chdir(tmp_path)
    made = init(lake, tmp_path, "--network", "standalone", "--partition-size", "8")
    assert (made.status, made.err) == (0, "")
    assert "standalone, ledgers 8-31" in made.out

    settings = load(config, {})
    places = (settings.source.local_path, settings.storage.local_dir, settings.pas.backup_dir, settings.checkpoint.dir)
    assert all(place.startswith("/") for place in places)
    assert (settings.era.ledger_start, settings.era.ledger_end, settings.era.partition_size) == (8, 0, 8)
    assert "# The lake then: ledgers 8 to 31, 4 in each file," in config.read_text()
    assert call("--validate", "--config", config).status == 0
    assert "partitions  3 of up to 8 ledgers" in call("plan", "--config", config).out
    monkeypatch.chdir("/")
    assert call("run", "--config", config).status == 0
    assert call("status", "--config", config, "--max-lag", "0").status == 0


def test_existing_file_is_kept_without_force(lake: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("mine")
    refused = init(lake, tmp_path, "--network", "standalone")
    assert (refused.status, config.read_text()) == (1, "mine")
    assert f"{config} exists: give another --out, or --force to replace it" in refused.err
    assert init(lake, tmp_path, "--network", "standalone", "--force").status == 0
    assert load(config, {}).era.network == "standalone"
    assert [path.name for path in tmp_path.glob(".config*")] == []


def test_lake_must_be_named() -> None:
    ran = call("init")
    assert (ran.status, ran.out) == (2, "")
    assert "Missing option '--lake'" in ran.err


def test_small_lake_is_told_in_the_file(lake: Path, tmp_path: Path) -> None:
    init(lake, tmp_path, "--network", "standalone", "--era", "e7", "--destination", "s3://bucket/some/place")
    text = (tmp_path / "config.yaml").read_text()
    assert "No partition is complete before the lake has ledger 10007" in text
    settings = load(tmp_path / "config.yaml", {})
    assert (settings.storage.s3_bucket, settings.pas.backup_dir) == ("bucket/some/place", "s3://bucket/some/place/pas")


def test_relative_paths_may_lead_upwards(lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    upwards = f"../../{lake.relative_to(tmp_path.parent)}"
    made = call("init", "--lake", upwards, "--network", "standalone", "--out", "../config.yaml")
    assert made.status == 0, made
    settings = load(tmp_path / "config.yaml", {})
    assert settings.source.local_path == str(lake)
    assert settings.storage.local_dir == str(tmp_path / "lakehouse")


def test_endpoint_reaches_s3_destination_alone(lake: Path, tmp_path: Path) -> None:
    reach = ("--network", "standalone", "--endpoint", "http://127.0.0.1:9", "--region", "us-east-1")
    refused = init(lake, tmp_path, *reach)
    assert (refused.status, "neither the lake nor the destination" in refused.err) == (2, True)
    made = init(lake, tmp_path, *reach, "--destination", "s3://bucket/place")
    assert made.status == 0, made
    settings = load(tmp_path / "config.yaml", {})
    assert (settings.storage.s3_endpoint, settings.storage.s3_region) == ("http://127.0.0.1:9", "us-east-1")
    assert (settings.source.mode, settings.source.s3_endpoint) == ("local", "")


@pytest.mark.parametrize(("network", "known"), [("testnet", True), ("standalone", False)])
def test_network_is_read_or_asked_for(
    network: str, known: bool, sample: Callable[..., LakeFiles], tmp_path: Path
) -> None:
    from pipeline.sample.chain import STANDALONE_PASSPHRASE

    passphrase = "Test SDF Network ; September 2015" if known else STANDALONE_PASSPHRASE
    lake = sample(first=8, ledgers=8, passphrase=passphrase).root
    made = init(lake, tmp_path)
    assert made.status == (0 if known else 2)
    assert known or "name it with --network" in made.err
    wrong = init(lake, tmp_path, "--network", "pubnet", "--force")
    assert wrong.status == 2
    assert "belongs to the network" in wrong.err


def test_what_is_no_lake_is_refused(lake: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(lake, other)
    (other / ".config.json").write_text(json.dumps({"ledgersPerBatch": 64, "batchesPerPartition": 10}))
    empty, nothing = tmp_path / "empty", tmp_path / "nothing"
    empty.mkdir()
    shutil.copy(lake / ".config.json", empty)
    nothing.mkdir()
    inside = next(path for path in lake.iterdir() if path.is_dir())
    for place, status, says in (
        (tmp_path / "nowhere", 2, "is not a directory"),
        (empty, 1, "is empty: it has no ledger yet"),
        (nothing, 1, "is it the lake's root?"),
        (other, 1, "do not match the lake"),
        (inside, 2, "is named as a directory inside a lake: give the lake's root"),
        ("ftp://host/lake", 2, "is not a storage location"),
    ):
        ran = init(place, tmp_path, "--network", "standalone")
        assert (ran.status, says in ran.err, ran.out) == (status, True, ""), (place, ran)
    assert not (tmp_path / "config.yaml").exists()


@pytest.mark.parametrize("which", ["s3", "gcs"])
def test_bucket_lake_is_read_and_runs(which: str, lake: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    cloud: Cloud = request.getfixturevalue(which)
    cloud.fill(lake)
    scheme = {"s3": "s3", "gcs": "gs"}[which]
    options = ["--endpoint", cloud.endpoint, "--region", "us-east-1"] if which == "s3" else []
    url = f"{scheme}://{cloud.bucket}/lake"
    made = init(url, tmp_path, "--network", "standalone", "--partition-size", "8", *options)
    assert made.status == 0, made
    assert call("--validate", "--config", tmp_path / "config.yaml").status == 0
    assert call("run", "--config", tmp_path / "config.yaml").status == 0

    missing = init(f"{scheme}://{cloud.bucket}-none/x", tmp_path, "--network", "standalone", "--force", *options)
    assert (missing.status, "the bucket does not exist" in missing.err) == (2, True)
    elsewhere = init(f"{scheme}://{cloud.bucket}/x", tmp_path, "--network", "standalone", "--force", *options)
    assert (elsewhere.status, "is it the lake's root?" in elsewhere.err) == (1, True)


def test_unreachable_lake_is_told_with_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    ran = init("s3://bucket/lake", tmp_path, "--endpoint", "http://127.0.0.1:9", "--region", "us-east-1")
    assert (ran.status, ran.out) == (1, "")
    assert "the lake s3://bucket/lake cannot be read" in ran.err
    assert "Check the URL, the network, --endpoint" in ran.err
