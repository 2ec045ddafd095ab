"""What `plan` counts in buckets, of real S3 and GCS servers, and how many requests that costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bronze.lake.layout import LakeLayout
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
from pipeline.launch import forecast
from tests.e2e.conftest import Copier, LakeFiles
from tests.support.fault_proxy import FaultProxy
from tests.support.gcs_server import GcsServer, gcs_bucket, gcs_server
from tests.support.s3_server import REGION, S3Server, s3_bucket, s3_server

__all__ = ["gcs_bucket", "gcs_server", "s3_bucket", "s3_server"]
pytestmark = pytest.mark.timeout(120)


def test_s3_lake_is_counted_by_listings_alone(
    s3_server: S3Server, s3_bucket: str, sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    lake = sample(first=8, ledgers=32)  # four files in each directory
    for ledger in (21, 22):
        lake.remove(ledger)
    with FaultProxy(s3_server.port) as proxy:
        location = StorageLocation(f"s3://{s3_bucket}/lake", endpoint=proxy.url, region=REGION)
        store = open_store(location)
        for path in lake.root.rglob("*"):
            if path.is_file():
                store.create(path.relative_to(lake.root).as_posix(), path.read_bytes())
        store.create(f"{lake.layout.key(30)}d", lake.path(30).read_bytes())  # under the older extension too
        copy = copier(lake.root, ledger_start=8, ledger_end=39, partition_size=8)
        copy.settings["source"] = {
            "mode": "s3",
            "s3_bucket": s3_bucket,
            "s3_prefix": "lake",
            "s3_endpoint": proxy.url,
            "s3_region": REGION,
        }
        without, lists_without = requests(copy, proxy, "--count", "none")
        found, lists = requests(copy, proxy)

    assert without is None
    assert found is not None
    assert (found["expected"], found["missing"], found["doubles"]) == (32, 2, 1)
    assert found["missing_ledgers"] == [{"start": 21, "end": 22}]
    assert found["lacking_partitions"] == [{"start": 16, "end": 23}]
    assert 8 <= lists - lists_without <= 11  # one for each of the eight directories, and the lake's newest object


def requests(copy: Copier, proxy: FaultProxy, *arguments: str) -> tuple[dict[str, Any] | None, int]:
    """What is counted, and the number of list requests; there are no others but for the lake's first object."""
    proxy.log.clear()
    ran = copy.run("plan", "--json", *arguments)
    assert ran.status == 0, ran
    lists = [request for request, _ in proxy.log if "list-type=2" in request]
    assert len(proxy.log) - len(lists) <= 3, proxy.log  # `.config.json`, and whether the first object is there
    return json.loads(ran.out)["eras"][0]["objects"], len(lists)


def fill(bucket: str, layout: LakeLayout, ledgers: range) -> None:
    """A lake of these ledgers whose objects are not whole: a plan reads none of them."""
    store = open_store(StorageLocation(f"gs://{bucket}/lake"))
    for ledger in ledgers:
        store.replace(layout.key(ledger), b"x" * 100)


@pytest.mark.parametrize("p", [1, 64_000])
def test_gcs_lake_is_counted_in_pages(
    gcs_server: GcsServer,
    gcs_bucket: str,
    copier: Callable[..., Copier],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    p: int,
) -> None:
    layout = LakeLayout(1, p)
    fill(gcs_bucket, layout, range(2, 2_402))
    source = {
        "mode": "datastore",
        "datastore_type": "GCS",
        "datastore_path": f"{gcs_bucket}/lake",
        "ledgers_per_file": 1,
        "files_per_directory": p,
    }
    keys = {"ledger_start": 2, "ledger_end": 2_401, "partition_size": 100}
    copy = copier(tmp_path / "no lake on this disk", **keys)
    copy.settings["source"] = source

    def lists(*arguments: str) -> tuple[dict[str, Any] | None, int]:
        gcs_server.take_log()
        ran = copy.run("plan", "--json", *arguments)
        assert ran.status == 0, ran
        log = gcs_server.take_log()
        pages = sum("list-type=2" in request for request in log)
        assert len(log) - pages <= 3, log
        return json.loads(ran.out)["eras"][0]["objects"], pages

    _, without = lists("--count", "none")
    found, pages = lists()
    assert found is not None
    assert (found["expected"], found["missing"]) == (2_400, 0)
    assert 3 <= pages - without <= 7  # 2,400 names in three pages, and the newest object in up to four listings
    monkeypatch.setattr(forecast, "COUNTED_UNASKED", 2_000)
    monkeypatch.setattr(forecast, "_SAMPLES", 2)
    found, pages = lists()
    assert found is not None
    assert (found["listed"], found["missing"]) == (1_500, 0)
    assert 2 <= pages - without <= 6  # a page for each of two samples, and the newest object


@pytest.mark.parametrize("p", [1, 64_000])
def test_late_bucket_is_told_at_once(
    gcs_server: GcsServer, gcs_bucket: str, copier: Callable[..., Copier], tmp_path: Path, p: int
) -> None:
    """By a few listings, whatever the command; no object is read."""
    fill(gcs_bucket, LakeLayout(1, p), range(1_500, 3_000))
    copy = copier(tmp_path / "no lake on this disk", ledger_start=2, ledger_end=2_999, partition_size=100)
    copy.settings["source"] = {
        "mode": "datastore",
        "datastore_type": "GCS",
        "datastore_path": f"{gcs_bucket}/lake",
        "ledgers_per_file": 1,
        "files_per_directory": p,
    }
    for command in (["plan"], ["run"], ["run", "--dry-run"]):
        gcs_server.take_log()
        ran = copy.run(*command)
        assert ran.status == 2
        assert "begins at ledger 1500 (" in ran.err
        assert "set era.ledger_start to 1500" in ran.err
        log = gcs_server.take_log()
        assert not [request for request in log if request.startswith("GET") and ".xdr" in request]
        assert len(log) <= 20, log
