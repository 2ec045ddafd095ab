"""The catalog or the endpoint fails during a run and comes back: nothing is lost, nothing is duplicated."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Copier, wait_until
from tests.faults.bed import Bed
from tests.faults.program import finish, run, start, strace
from tests.faults.steps import PARTITIONS

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(autouse=True)
def running_servers(bed: Bed) -> Iterator[None]:
    """Restore both servers after each test."""
    yield
    bed.servers.endpoint.behaviour = lambda _: "ok"
    bed.servers.postgres.start()


def start_slow_run(copy: Copier, events: int) -> subprocess.Popen[str]:
    """Start a slowed-down run and wait until it has created so many events."""
    process = start(copy, under=strace(copy.root / "trace", "-e", "inject=link:delay_enter=50000", calls=["link"]))
    wait_until(lambda: _events(copy) >= events or process.poll() is not None, f"{events} events")
    assert process.poll() is None, process.communicate()
    return process


def _events(copy: Copier) -> int:
    return len(list((copy.root / "pas").glob("standalone_*.json")))


@pytest.mark.parametrize(
    "how",
    [pytest.param(signal.SIGINT, id="stopped", marks=pytest.mark.full), pytest.param(signal.SIGKILL, id="crashed")],
)
def test_restarted_catalog_interrupts_no_copy(how: signal.Signals, bed: Bed) -> None:
    copy = bed.copy(downstream=True, strict=False)
    process = start_slow_run(copy, 3)
    bed.servers.postgres.stop(how)
    wait_until(lambda: _events(copy) >= 12 or process.poll() is not None, "the copy to go on without the catalog")
    bed.servers.postgres.start()
    ran = finish(process)
    assert ran.status == 0, ran
    assert "its rows are written later" in ran.err
    bed.check(copy)
    shutil.rmtree(copy.root)


def test_stopped_strict_catalog_stops_run(bed: Bed) -> None:
    copy = bed.copy(downstream=True)
    process = start_slow_run(copy, 3)
    bed.servers.postgres.stop(signal.SIGQUIT)
    ran = finish(process)
    assert ran.status == 1, ran
    assert "catalog" in ran.err + ran.out
    assert "Traceback" not in ran.err
    committed = len(copy.committed())
    assert committed < len(PARTITIONS)
    bed.servers.postgres.start()
    database = copy.settings["catalog"]["postgres_dsn"].rpartition("/")[2]
    rows = bed.servers.postgres.execute("SELECT count(*) FROM _meta_lineage", database)[0][0]
    assert committed - 1 <= rows <= committed, "it committed past the catalog"
    assert run(copy).status == 0
    bed.check(copy)
    shutil.rmtree(copy.root)


@pytest.mark.parametrize(
    "strict", [pytest.param(True, id="strict"), pytest.param(False, id="not strict", marks=pytest.mark.full)]
)
def test_unreliable_endpoint_gets_every_event(strict: bool, bed: Bed) -> None:
    """Errors, dropped connections and lost responses of accepted events are retried in order."""
    copy = bed.copy(downstream=True, strict=strict)
    # Few responses are lost: each costs the full timeout.
    faults: dict[int, str | int] = {2: "late", 5: 500, 7: "close", 8: 503, 11: "late", 14: 429, 17: "close"}
    seen = len(bed.servers.endpoint.requests)
    bed.servers.endpoint.behaviour = lambda number: faults.get(number - seen, "ok")
    ran = run(copy)
    assert ran.status == 0, ran
    bed.check(copy)
    taken = bed.servers.endpoint.taken_at("/" + copy.root.name)
    assert len(taken) == len(PARTITIONS) + 2, "events whose responses were lost are delivered twice"
    shutil.rmtree(copy.root)


def test_endpoint_lost_halfway_is_caught_up(bed: Bed) -> None:
    copy = bed.copy(downstream=True, strict=False)
    seen = len(bed.servers.endpoint.requests)
    bed.servers.endpoint.behaviour = lambda number: "ok" if number - seen < 5 else "close"
    ran = run(copy)
    assert ran.status == 5, ran
    assert ran.lines("outstanding")
    assert len(bed.servers.endpoint.taken_at("/" + copy.root.name)) == 5
    assert copy.committed() == PARTITIONS
    bed.servers.endpoint.behaviour = lambda _: "ok"
    again = run(copy, "deliver")
    assert again.status == 0, again
    bed.check(copy)
    shutil.rmtree(copy.root)
