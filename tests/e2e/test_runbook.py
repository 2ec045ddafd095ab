"""Every command of docs/RUNBOOK.md, in its order, on a copy that needs it; and an operator's drill."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import REPOSITORY, Copier, LakeFiles, call, wait_until
from tests.faults.program import child_of, finish, start, strace
from tests.support.http_endpoint import EventEndpoint
from tests.support.prometheus_server import free_port

_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def commands() -> list[str]:
    """The command lines of the runbook."""
    text = (REPOSITORY / "docs" / "RUNBOOK.md").read_text(encoding="utf-8")
    return [line for block in _BLOCK.findall(text) for line in block.strip().splitlines()]


@pytest.fixture
def copy(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    return copier(sample(first=8, ledgers=32).root, ledger_start=8, ledger_end=39, partition_size=8)


def test_every_command_works_in_its_place(copy: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFIG_FILE", str(copy.config))
    done = []
    for line in commands():
        program, *arguments = line.split()
        if program in ("export", "curl"):  # the drill asks the addresses
            continue
        assert program == "bronze-copier"
        if "--again" in arguments:
            path = copy.parquet((16, 23))
            path.write_bytes(path.read_bytes()[:-1] + b"X")
            assert call("verify").status == 1
        if arguments == ["deliver"]:
            continue  # it needs an endpoint, which the drill has
        if "--adopt" in arguments:
            for event in (copy.root / "pas").glob("standalone_*.json"):
                event.unlink()
            (copy.root / "pas" / "pas-chain-heads.json").unlink()
            assert call("run").status == 1
        ran = call(*arguments)
        assert ran.status == 0, (line, ran.out, ran.err)
        done.append(arguments[0])
    assert {"--validate", "plan", "run", "verify", "repair", "clean"} <= set(done)
    assert call("run").status == 0
    assert copy.partitions() == [(8, 15), (16, 23), (24, 31), (32, 39)]


def asked(address: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.timeout(180)
def test_operators_drill(copy: Copier, tmp_path: Path) -> None:
    """Start, watch, kill, resume, break the endpoint, see it, fix it, deliver, verify."""
    port = free_port()
    endpoint = EventEndpoint()
    with contextlib.closing(endpoint):
        copy.settings["pas"]["endpoint"] = endpoint.url
        copy.settings["metrics"] = {"enabled": True, "address": f"127.0.0.1:{port}"}
        hold = ["-P", str(copy.parquet((16, 23))), "-e", "inject=link,linkat:delay_enter=20000000"]
        process = start(copy, under=strace(tmp_path / "trace", *hold, calls=["link", "linkat"]))
        base = f"http://127.0.0.1:{port}"

        def serves() -> bool:
            try:
                return asked(f"{base}/ready")[0] == 200
            except OSError:
                return False

        wait_until(serves, "the metrics server")
        status, body = asked(f"{base}/health")
        assert (status, json.loads(body)["status"]) == (200, "ok")
        assert b"bronze_copier_build_info" in asked(f"{base}/metrics")[1]
        subprocess.run(["kill", f"-{signal.SIGKILL}", str(child_of(process.pid))], check=True)
        assert finish(process).status in (-signal.SIGKILL, 128 + signal.SIGKILL)

        endpoint.behaviour = lambda _: 503
        ran = copy.run()
        assert ran.status == 5, ran
        assert "not yet delivered" in ran.out
        endpoint.behaviour = lambda _: "ok"
        delivered = copy.run("deliver")
        assert delivered.status == 0, delivered
    assert endpoint.event_ids() == [event["event_id"] for event in copy.events()]
    assert copy.run("verify").status == 0
