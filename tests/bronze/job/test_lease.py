"""A lease is held as long as its launcher renews it; it expires by the worker's own clock."""

from __future__ import annotations

from pathlib import Path

from bronze.job.lease import Lease, renewed
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
from tests.e2e.conftest import wait_until
from tests.support.clock import Clock


def test_lease_expires_without_renewal(tmp_path: Path) -> None:
    location, clock = StorageLocation(str(tmp_path / "control")), Clock()
    with renewed(location, renewal_s=60):
        lease = Lease(location, limit_s=100, clock=clock)
        wait_until(lambda: open_store(location).size("alive") is not None, "the first renewal")
        clock.time = 30
        assert lease.is_held()  # seen at 30 for the first time
    clock.time = 130
    assert lease.is_held()
    clock.time = 131
    assert not lease.is_held()


def test_each_renewal_prolongs_the_lease(tmp_path: Path) -> None:
    location, clock = StorageLocation(str(tmp_path / "control")), Clock()
    lease = Lease(location, limit_s=100, clock=clock)
    store = open_store(location)
    for number in range(5):
        clock.time += 90
        store.replace("alive", str(number).encode())
        assert lease.is_held()


def test_launcher_renews_again_and_again(tmp_path: Path) -> None:
    location = StorageLocation(str(tmp_path / "control"))
    store = open_store(location)
    with renewed(location, renewal_s=0.01):
        wait_until(lambda: store.size("alive") is not None and int(store.read("alive")) >= 2, "renewals")


def test_lease_that_never_was_expires(tmp_path: Path) -> None:
    clock = Clock()
    lease = Lease(StorageLocation(str(tmp_path / "control")), limit_s=100, clock=clock)
    clock.time = 100
    assert lease.is_held()
    clock.time = 101
    assert not lease.is_held()
