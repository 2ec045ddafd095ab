"""A store goes away in the middle of a run: it is waited for, said, and the run goes on; nothing fails for good."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest

from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
from bronze.xdr import is_compiled
from tests.e2e.conftest import Copier, LakeFiles, finish, wait_until
from tests.support.prometheus_server import free_port, get
from tests.support.s3_server import REGION, S3Server, environment, running_s3_server

pytestmark = pytest.mark.timeout(180)
PARTS = [(start, start + 3) for start in range(8, 40, 4)]


@pytest.fixture(scope="module")
def own_server() -> Iterator[S3Server]:
    """A server that tests here may stop."""
    with pytest.MonkeyPatch.context() as patch, running_s3_server() as server:
        for name, value in environment().items():
            patch.setenv(name, value)
        if server.kind == "moto":
            pytest.skip(f"forgets its data when it ends: {server.why}")
        yield server


class RunningCopy:
    """A run of eight waves into a bucket, in which the server was stopped after the first manifest."""

    def __init__(self, copy: Copier, server: S3Server, **environ: str) -> None:
        self.server, bucket, port = server, server.new_bucket(), free_port()
        self.location = StorageLocation(f"s3://{bucket}/data", endpoint=server.url, region=REGION)
        self.dataset = f"{self.location.url}/bronze"
        copy.settings["storage"] = {
            "backend": "s3",
            "s3_bucket": self.location.url,
            "s3_endpoint": server.url,
            "s3_region": REGION,
        }
        copy.settings["perf"] |= {"wave_partitions": 1}
        copy.settings["metrics"] = {"enabled": True, "address": f"127.0.0.1:{port}"}
        self._health = f"http://127.0.0.1:{port}/health"
        self.process: subprocess.Popen[str] = copy.start(**environ)
        wait_until(lambda: bool(self.manifests()), "a manifest")
        server.stop()

    def manifests(self) -> list[str]:
        """The manifests that are published."""
        found, folders = [], [""]
        store = open_store(self.location)
        while folders:
            folder = folders.pop()
            for entry in store.list_children(folder):
                key = f"{folder}/{entry.name}".lstrip("/")
                if entry.is_prefix:
                    folders.append(key)
                elif entry.name == "_manifest.json":
                    found.append(key)
        return found

    def is_waiting(self) -> bool:
        """Whether /health says that the store is waited for."""
        with contextlib.suppress(OSError):
            status, body = get(self._health)
            health = json.loads(body)
            waited = list(health["unreachable_since"])
            return (status, health["status"]) == (503, "unreachable") and waited == [self.dataset]
        assert self.process.poll() is None, finish(self.process)
        return False


Stopped = Callable[..., RunningCopy]


@pytest.fixture
def stopped_server(copy: Copier, own_server: S3Server) -> Iterator[Stopped]:
    """Starts a run and stops the server in the middle of it; afterwards the server runs again."""
    made: list[RunningCopy] = []

    def make(**environ: str) -> RunningCopy:
        made.append(RunningCopy(copy, own_server, **environ))
        return made[-1]

    yield make
    for running in made:
        running.process.kill()
        running.process.communicate()
    if not own_server.processes:
        own_server.start()


@pytest.fixture
def copy(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    return copier(sample(first=8, ledgers=32).root, ledger_start=8, ledger_end=39, partition_size=4)


@pytest.mark.parametrize(
    "reader",
    [
        pytest.param(
            "compiled",
            marks=pytest.mark.skipif(not is_compiled(), reason="the reader is not compiled"),
            id="threads",
        ),
        pytest.param("interpreted", id="processes", marks=pytest.mark.full),
    ],
)
def test_run_waits_and_completes(reader: str, copy: Copier, own_server: S3Server, stopped_server: Stopped) -> None:
    running = stopped_server(BRONZE_READER=reader)
    wait_until(running.is_waiting, "the run to wait")
    own_server.start()
    ran = finish(running.process)
    assert ran.status == 0, ran
    assert ran.lines("partitions") == [f"{len(PARTS)} written, 0 skipped, 0 failed"], ran
    assert f"WARNING {running.dataset} is unreachable since 2" in ran.err, ran
    assert f"{running.dataset} answers again: the run goes on" in ran.err, ran
    assert copy.committed() == PARTS
    assert copy.run("verify").status == 0


def test_signal_ends_wait_at_once(copy: Copier, own_server: S3Server, stopped_server: Stopped) -> None:
    running = stopped_server()
    wait_until(running.is_waiting, "the run to wait")
    running.process.send_signal(signal.SIGTERM)
    _, err = running.process.communicate(timeout=12)
    assert running.process.returncode == 128 + signal.SIGTERM, err
    assert f"{running.dataset} did not answer when the run was stopped: run again to resume" in err
    assert " ERROR " not in err
    own_server.start()
    copy.settings["metrics"] = {}
    assert copy.run().status == 0
    assert copy.committed() == PARTS


@pytest.mark.full  # tests/bronze/job/test_outage.py has the limit itself
def test_limit_ends_run_with_remedy(copy: Copier, own_server: S3Server, stopped_server: Stopped) -> None:
    copy.settings["perf"]["outage_limit_seconds"] = 1
    running = stopped_server()
    ran = finish(running.process)
    own_server.start()
    assert ran.status == 1, ran
    assert f"{running.dataset} is unreachable since 2" in ran.err
    assert "for longer than perf.outage_limit_seconds (1 s)" in ran.err
    assert "Traceback" not in ran.err
    assert copy.run().status == 0
    assert copy.committed() == PARTS
