"""What a run with nothing to do costs does not depend on the chain's length, but for listings; requests are counted."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable

import pytest

from bronze.storage.object_store import store as object_stores
from pipeline.launch.prepare import connect_without_lake
from pipeline.settings import load
from tests.e2e.conftest import Copier, LakeFiles
from tests.support.counting_store import CountingStore, counted_stores, lay_chain
from tests.support.postgres_server import database, postgres

__all__ = ["database", "postgres"]

SHORT, LONG = 10, 10_000
Requests = dict[str, Counter[str]]
_NUMBERS = itertools.count()


@pytest.fixture
def empty_run(
    copier: Callable[..., Copier], sample: Callable[..., LakeFiles], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Requests]:
    """Runs the program on a complete chain of so many partitions in buckets; returns its requests, by store."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    buckets: dict[str, CountingStore] = {}
    # Stores stay open in their process: every run here has buckets of its own.
    monkeypatch.setattr(object_stores, "ObjectStore", lambda location: buckets[location.url.removesuffix("/bronze")])
    lake = sample(first=8, ledgers=4).root

    def run(partitions: int, *, dsn: str = "") -> Requests:
        stores = counted_stores()
        own = f"{os.getpid()}-{next(_NUMBERS)}"
        buckets[f"s3://data-{own}"], buckets[f"s3://events-{own}"] = stores.dataset, stores.events
        buckets[f"s3://state-{own}"] = stores.state
        settings = {
            "storage": {"backend": "s3", "s3_bucket": f"data-{own}", "s3_region": "us-east-1"},
            "pas": {"enabled": True, "backup_dir": f"s3://events-{own}"},
            "checkpoint": {"dir": f"s3://state-{own}"},
            "catalog": {"postgres_dsn": dsn, "namespace": f"of_{partitions}"},
        }
        keys = {"ledger_start": 8, "ledger_end": 7 + 4 * partitions, "partition_size": 4}
        copy = copier(lake, name=f"copy-{partitions}", settings=settings, **keys)
        with connect_without_lake(load(copy.config, {})) as connections:
            job = connections.job
            lay_chain(stores, connections.dataset(), job.eras[0], job.chain.copier_id, partitions)
        if dsn:  # the catalog gets its rows
            assert copy.run().status == 0
            stores.taken()
        ran = copy.run()
        assert ran.status == 0, ran
        return stores.taken()

    return run


def without_pages(requests: Requests) -> dict[str, dict[str, int]]:
    return {store: {k: n for k, n in taken.items() if k != "further pages"} for store, taken in requests.items()}


def test_empty_run_costs_the_same_in_long_chain(empty_run: Callable[..., Requests]) -> None:
    short, long = empty_run(SHORT), empty_run(LONG)
    assert without_pages(long) == short
    assert {store: taken["listings"] for store, taken in long.items()} == {"dataset": 1, "events": 1, "state": 0}
    assert sum(sum(taken.values()) for taken in short.values()) <= 22


def test_empty_run_with_catalog_lists_once(empty_run: Callable[..., Requests], database: str) -> None:
    short, long = empty_run(SHORT, dsn=database), empty_run(10 * SHORT, dsn=database)
    assert long == short
    assert {store: taken["listings"] for store, taken in long.items()} == {"dataset": 1, "events": 1, "state": 0}
