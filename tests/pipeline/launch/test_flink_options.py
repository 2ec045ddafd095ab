"""The Beam options of a run on Flink: what they mean, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bronze.errors import ConfigError
from bronze.job.secrets import DSN_VARIABLE
from pipeline.launch.flink_options import FlinkOptions, parse_flink_options

CONFIG = '--environment_config={"command": "/opt/worker"}'


@pytest.fixture
def jar(tmp_path: Path) -> str:
    (tmp_path / "job-server.jar").write_bytes(b"")
    return f"--flink_job_server_jar={tmp_path / 'job-server.jar'}"


def parse(*arguments: str, workers: int = 3, **keys: list[str]) -> FlinkOptions:
    return parse_flink_options(["--runner=FlinkRunner", *arguments], workers=workers, secrets=keys.get("secrets", []))


def test_cluster_options_are_taken(jar: str) -> None:
    found = parse("--flink_master", "flink:8081", jar, CONFIG, "--streaming", "--max_parallelism=64")
    assert (found.master, found.is_embedded, found.endpoint) == ("flink:8081", False, None)
    assert found.jar == jar.partition("=")[2]
    assert (found.parallelism, found.is_streaming, found.environment_type) == (3, True, "PROCESS")
    assert json.loads(found.environment_config) == {"command": "/opt/worker"}
    assert found.passed_on == ("--max_parallelism=64",)


def test_parallelism_option_wins_over_workers(jar: str) -> None:
    assert parse("--flink_master=[local]", jar, CONFIG, "--parallelism=8").parallelism == 8


def test_installed_worker_is_found(jar: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = tmp_path / "bronze-copier-worker"
    worker.write_text("#!/bin/sh\n")
    worker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "elsewhere" / "python"))
    assert json.loads(parse("--flink_master=[local]", jar).environment_config) == {"command": str(worker)}
    worker.unlink()
    with pytest.raises(ConfigError, match="bronze-copier-worker is not installed here"):
        parse("--flink_master=[local]", jar)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--flink_master=flink"], "--flink_master is 'flink'", id="no port"),
        pytest.param([], "--flink_master is ''", id="no master"),
        pytest.param(["--flink_master=flink:8081", "--job_endpoint=a:1"], "either --flink_job_server_jar", id="both"),
        pytest.param(["--flink_master=flink:8081", "--streaming=true"], "--streaming takes no value", id="flag"),
        pytest.param(["--flink_master=flink:8081", "--parallelism=0"], "--parallelism is '0'", id="parallelism"),
        pytest.param(["--flink_master=flink:8081", "--environment_type=LOOPBACK"], "must be PROCESS", id="environment"),
        pytest.param(["--flink_master=flink:8081", "--environment_type=DOCKER"], "needs --environment", id="image"),
        pytest.param(["--flink_master=flink:8081", "--checkpointing_interval=5000"], "does not take", id="unknown"),
        pytest.param(["--flink_master=flink:8081", "positional"], "does not take", id="no option"),
    ],
)
def test_wrong_options_are_refused(arguments: list[str], message: str, jar: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(*arguments, jar)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--flink_master=flink:8081"], "either --flink_job_server_jar"),
        (["--flink_master=flink:8081", "--job_endpoint=here"], "--job_endpoint is 'here'"),
        (["--flink_master=[local]", "--job_endpoint=here:1"], "needs --flink_job_server_jar"),
        (["--flink_master=flink:8081", "--flink_job_server_jar=/no/jar"], "there is no file '/no/jar'"),
    ],
)
def test_job_server_must_be_named(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(*arguments, CONFIG)


@pytest.mark.parametrize("env", [{DSN_VARIABLE: "x"}, {"OTHER": "postgresql://me:hunter2@db/catalog"}])
def test_secret_in_environment_config_is_refused(env: dict[str, str], jar: str) -> None:
    config = json.dumps({"command": "/opt/worker", "env": env})
    with pytest.raises(ConfigError, match="holds a secret") as refused:
        parse("--flink_master=flink:8081", jar, f"--environment_config={config}", secrets=["hunter2"])
    assert "hunter2" not in str(refused.value)
