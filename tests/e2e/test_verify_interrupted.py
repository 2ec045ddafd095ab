"""The command `verify` where a store does not answer: interrupted it says what it found; nothing hides a finding."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bronze.storage.opening import open_store
from tests.e2e.conftest import Copier, LakeFiles, RunResult, call, finish, start, wait_until
from tests.e2e.test_object_stores import Cloud
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.s3_server import REGION, S3Server, s3_bucket, s3_server

__all__ = ["s3_bucket", "s3_server"]

pytestmark = pytest.mark.timeout(300)
ALWAYS = 1_000_000


@pytest.fixture
def damaged(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], s3_bucket: str, s3_server: S3Server
) -> Cloud:
    """A bucket with three partitions, the first of which is damaged."""
    copy = copier(sample(first=8, ledgers=24).root, ledger_start=8, ledger_end=31, partition_size=8)
    cloud = Cloud("s3", s3_bucket, s3_server.url)
    cloud.write_to(copy)
    assert copy.run().status == 0
    key = next(key for key in cloud.objects() if key.endswith("part-8-15.parquet"))
    store = open_store(cloud.location())
    data = bytearray(store.read(key))
    data[len(data) // 2] ^= 1
    store.replace(key, bytes(data))
    return cloud


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(int(s3_server.url.rpartition(":")[2])) as found:
        yield found


def arguments(cloud: Cloud, endpoint: str, *more: str) -> list[str]:
    url = f"s3://{cloud.bucket}/data/bronze"
    return ["verify", url, "--endpoint", endpoint, "--region", REGION, "--json", *more]


def interrupted(damaged: Cloud, proxy: FaultProxy, folder: Path, *more: str) -> tuple[RunResult, dict[str, Any]]:
    """What an audit says of the era after SIGINT, while files of the second and third partition do not come."""
    proxy.faults = [Fault("slow", "GET .*part-(16-23|24-31).parquet", times=ALWAYS, seconds=120.0)]
    process = start(*arguments(damaged, proxy.url, *more), cwd=folder)
    wait_until(lambda: "slow" in [kind for _, kind in proxy.log], "a request that is not answered")
    process.send_signal(signal.SIGINT)
    ran = finish(process)
    assert ("Traceback" in ran.log, "SIGINT" in ran.log) == (False, True), ran
    (era,) = json.loads(ran.out)["eras"]
    assert era["is_complete"] is False
    return ran, era


def test_interrupted_audit_prints_what_it_found(damaged: Cloud, proxy: FaultProxy, tmp_path: Path) -> None:
    ran, era = interrupted(damaged, proxy, tmp_path)
    wrong = [one for one in era["findings"] if one["severity"] == "wrong"]
    assert (ran.status, [(one["partition"], one["level"]) for one in wrong]) == (1, [("8-15", "files")])
    assert "2 partitions: the audit was interrupted" in era["not_checked"]
    assert era["checked"][0].startswith("at the level files: 1 partitions")


def test_interrupted_workers_end_in_time(damaged: Cloud, proxy: FaultProxy, tmp_path: Path) -> None:
    ran, era = interrupted(damaged, proxy, tmp_path, "--workers", "2")
    looked = era["looked_into"]  # whether the damaged partition was read by then depends on how they were dealt out
    assert (ran.status, looked) in [(1, 1), (3, 0)]
    assert f"{3 - looked} partitions: the audit was interrupted" in era["not_checked"]


def test_unreachable_events_hide_no_damage(damaged: Cloud, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    ran = call(*arguments(damaged, damaged.endpoint, "--chain", "gs://bucket/pas"))
    (era,) = json.loads(ran.out)["eras"]
    found = sorted((one["severity"], one["level"]) for one in era["findings"])
    assert (ran.status, found) == (1, [("unchecked", "chain"), ("wrong", "files")]), ran
    assert "the audit events, or some of them: they cannot be read" in era["not_checked"]


def test_missing_bucket_of_events_exits_2(damaged: Cloud) -> None:
    ran = call(*arguments(damaged, damaged.endpoint, "--chain", f"s3://{damaged.bucket}-is-not-there/pas"))
    assert (ran.status, ran.out) == (2, "")
    assert "the bucket does not exist" in ran.err
    assert "checked at the level" not in ran.log


def test_progress_is_shown_without_configuration(damaged: Cloud) -> None:
    ran = call(*arguments(damaged, damaged.endpoint))
    assert "standalone/e1/v1: 3 of 3 partitions checked at the level files" in ran.log
    quiet = call(*arguments(damaged, damaged.endpoint, "--quiet"))
    assert quiet.log == ""
