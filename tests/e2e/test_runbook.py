"""Every command of docs/RUNBOOK.md, in its order, on a copy that needs it; and an operator's drill."""

from __future__ import annotations

import ast
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from bronze import errors
from tests.e2e.conftest import REPOSITORY, Copier, LakeFiles, call, wait_until
from tests.faults.program import child_of, finish, start, strace
from tests.support.growing_lake import GrowingLake
from tests.support.http_endpoint import EventEndpoint
from tests.support.prometheus_server import free_port

_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def commands() -> list[str]:
    """The command lines of the runbook."""
    text = (REPOSITORY / "docs" / "RUNBOOK.md").read_text(encoding="utf-8")
    return [line for block in _BLOCK.findall(text) for line in block.strip().splitlines()]


def page() -> str:
    return (REPOSITORY / "docs" / "RUNBOOK.md").read_text(encoding="utf-8")


def spoken() -> list[str]:
    """Every text that the program can say, with NUL where values are filled in; and the words of the system."""
    nodes = [
        node
        for room in ("bronze", "pipeline", "transforms")
        for file in (REPOSITORY / room).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    ]
    joined = [
        "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
        for node in nodes
        if isinstance(node, ast.JoinedStr)
    ]
    plain = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [*joined, *plain, *map(os.strerror, errno.errorcode)]


def test_every_quoted_message_is_one() -> None:
    """A message is quoted word for word; ``…`` stands for what is filled in."""
    texts, missing = spoken(), []
    quoted = {
        quote
        for quote in re.findall(r"`([^`]+)`", _BLOCK.sub("", page()))
        if " " in quote and not re.match(r"bronze[-_]copier|systemctl|--|[a-z_.]+: \S+$", quote)
    }
    assert len(quoted) > 20
    for quote in quoted:
        parts = [re.escape(part.strip()) for part in quote.split("…") if part.strip()]
        if not any(re.search(".*".join(parts), text, re.DOTALL) for text in texts):
            missing.append(quote)
    assert missing == []


def test_every_type_of_error_is_explained() -> None:
    table = page().partition("| `error_type` |")[2].partition("\n\n")[0]
    explained = {name for row in table.splitlines() for name in re.findall(r"`(\w+Error)`", row.split("|")[1:2][0])}
    kinds = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.BronzeError) and kind.__module__ == errors.__name__
    }
    assert kinds - explained == {"BronzeError", "DataError"}  # which are raised as one of theirs
    assert explained - kinds == {"OSError", "PermissionError"}


def test_every_alert_is_explained_with_its_threshold() -> None:
    rules = yaml.safe_load((REPOSITORY / "templates" / "prometheus" / "bronze-copier.rules.yml").read_text())
    rows = [line for line in page().splitlines() if line.startswith("| `bronze_copier_")]
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        (row,) = [row for row in rows if f"`{rule['alert']}`" in row]
        for threshold in set(re.findall(r"[<>] ([\d.e]+)", rule["expr"])) - {"0"}:
            assert threshold in re.findall(r"[\d.e]+", row), (rule["alert"], threshold)


@pytest.mark.parametrize(
    "symptom",
    [
        "does not start", "Authentication", "slow", "does not resume", "PAS does not emit", "Partition exists",
        "Integrity", "Cleanup", "Full reset", "Forced restart", "Watch", "What each error means",
    ],
)  # fmt: skip
def test_symptom_has_a_section(symptom: str) -> None:
    assert [line for line in page().splitlines() if line.startswith("## ") and symptom in line]


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


@pytest.fixture
def watched(copier: Callable[..., Copier], sample: Callable[..., LakeFiles], tmp_path: Path) -> Iterator[Watched]:
    """A lake that has the first two partitions of four, an endpoint, and a copier that serves its health."""
    full = sample(first=8, ledgers=32)
    lake = GrowingLake(full, tmp_path / "growing")
    lake.root.mkdir()
    shutil.copy(full.root / ".config.json", lake.root)
    lake.add(*range(8, 24))
    with EventEndpoint() as endpoint:
        address = f"127.0.0.1:{free_port()}"
        settings: dict[str, Any] = {
            "source": {"poll_seconds": 1},
            "pas": {"endpoint": endpoint.url},
            "metrics": {"enabled": True, "address": address},
        }
        copy = copier(lake.root, name="watched", ledger_start=8, partition_size=8, settings=settings)
        yield Watched(copy, lake, endpoint, f"http://{address}")


@dataclass
class Watched:
    """What the drill needs."""

    copy: Copier
    lake: GrowingLake
    endpoint: EventEndpoint
    address: str

    def health(self) -> tuple[int, dict[str, Any]]:
        """Status and document of ``/health``; 0 while nobody answers."""
        try:
            status, body = asked(f"{self.address}/health")
        except OSError:
            return 0, {}
        return status, json.loads(body)

    def wait_for_health(self, status: int, what: str, *, doing: str = "") -> dict[str, Any]:
        wait_until(lambda: (found := self.health())[0] == status and doing in found[1]["doing"], what, every_s=0.05)
        return self.health()[1]

    def wait_for_commit(self, ledger: int) -> None:
        wait_until(lambda: self.copy.checkpoint() == ledger, f"the commit of {ledger}", every_s=0.05)


@pytest.mark.timeout(180)
def test_operators_drill(watched: Watched, tmp_path: Path) -> None:
    """Start, watch, kill, resume, break the endpoint, read /health, fix it, deliver, verify."""
    copy, endpoint, chain = watched.copy, watched.endpoint, "standalone/e1/v1"
    follow = ["--follow", "--wait", "600"]
    assert " ".join(["bronze-copier", "run", *follow]) in commands()

    # Start and watch.
    hold = ["-P", str(copy.parquet((16, 23))), "-e", "inject=link,linkat:delay_enter=20000000"]
    process = start(copy, under=strace(tmp_path / "trace", *hold, calls=["link", "linkat"]), arguments=follow)
    watched.wait_for_health(200, "a run that is well")
    wait_until(lambda: asked(f"{watched.address}/ready")[0] == 200, "a run that is planned")
    for path in [line.rpartition("9090")[2] for line in commands() if line.startswith("curl")]:
        assert asked(watched.address + path)[0] == 200
    assert b"bronze_copier_build_info" in asked(f"{watched.address}/metrics")[1]

    # Kill and resume.
    subprocess.run(["kill", f"-{signal.SIGKILL}", str(child_of(process.pid))], check=True)
    assert finish(process).status in (-signal.SIGKILL, 128 + signal.SIGKILL)
    process = start(copy, arguments=follow)
    try:
        found = watched.wait_for_health(200, "the wait for the lake", doing="waiting for ledger 31 of the lake")
        assert found["chains"][chain]["last_committed_ledger"] == 23

        # The endpoint breaks: the copy goes on, and its health says so until it is mended.
        endpoint.behaviour = lambda _: 500
        watched.lake.add(*range(24, 32))
        found = watched.wait_for_health(503, "a run that is not well")
        assert (found["status"], list(found["behind_since"])) == ("failing", ["endpoint"])
        assert found["last_error"].startswith("DeliveryError: ")
        assert "answered 500" in found["last_error"]
        assert asked(f"{watched.address}/live")[0] == 200
        watched.wait_for_commit(31)
        endpoint.behaviour = lambda _: "ok"
        found = watched.wait_for_health(200, "a run that is well again")
        assert (found["status"], found["behind_since"]) == ("ok", {})
        assert endpoint.event_ids() == [event["event_id"] for event in copy.events()]

        # It breaks in another way, and the run is stopped meanwhile.
        endpoint.behaviour = lambda _: "close"
        watched.lake.add(*range(32, 40))
        assert watched.wait_for_health(503, "a run that is not well")["status"] == "failing"
        watched.wait_for_commit(39)
        process.terminate()
    finally:
        ended = finish(process)
    assert ended.status == 128 + signal.SIGTERM, ended

    # Fix, deliver, verify.
    document = json.loads(copy.run("status", "--json").out)
    assert document["eras"][0]["undelivered"] == 1
    owed = copy.run("deliver")
    assert (owed.status, owed.lines("outstanding")[0].startswith(f"1 event of {chain} not yet delivered")) == (5, True)
    endpoint.behaviour = lambda _: "ok"
    assert copy.run("deliver").status == 0
    assert endpoint.event_ids() == [event["event_id"] for event in copy.events()]
    assert copy.run("verify").status == 0
    assert copy.partitions() == copy.committed() == [(8, 15), (16, 23), (24, 31), (32, 39)]
