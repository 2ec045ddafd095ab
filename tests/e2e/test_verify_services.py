"""The command `verify` at a level on real S3 and GCS servers, by who may only read, and against a real catalog."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from bronze.errors import AccessDeniedError
from bronze.storage.opening import open_store
from tests.e2e.conftest import TABLE, Copier, LakeFiles, call, tree
from tests.e2e.test_object_stores import Cloud
from tests.support.fault_proxy import FaultProxy
from tests.support.gcs_server import gcs_bucket, gcs_server
from tests.support.postgres_server import database, postgres
from tests.support.s3_server import REGION, S3Server, s3_bucket, s3_server

__all__ = ["database", "gcs_bucket", "gcs_server", "postgres", "s3_bucket", "s3_server"]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def copy(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    return copier(sample(first=8, ledgers=24).root, ledger_start=8, ledger_end=31, partition_size=8)


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Cloud:
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        return Cloud("s3", request.getfixturevalue("s3_bucket"), server.url)
    return Cloud("gs", request.getfixturevalue("gcs_bucket"))


@pytest.mark.parametrize("cloud", ["s3", "gs"], indirect=True)
def test_bucket_verifies_at_every_level(copy: Copier, cloud: Cloud) -> None:
    cloud.write_to(copy)
    assert copy.run().status == 0
    before = cloud.objects()
    url = f"{cloud.scheme}://{cloud.bucket}/data/bronze"
    options = ["--endpoint", cloud.endpoint, "--region", REGION] if cloud.scheme == "s3" else []
    chain = ["--chain", f"{cloud.scheme}://{cloud.bucket}/pas"]
    for level in ("manifests", "files", "rows", "source"):
        ran = call("verify", url, *options, *chain, "--level", level, "--lake", str(copy.lake), "--json")
        found: dict[str, Any] = json.loads(ran.out)
        assert (ran.status, found["result"], found["eras"][0]["findings"]) == (0, "holds", []), level
        assert (found["eras"][0]["partitions"], found["eras"][0]["events"]) == (3, 3)
    assert cloud.objects() == before
    key = next(key for key in before if key.endswith("part-16-23.parquet"))
    store = open_store(cloud.location())
    data = bytearray(store.read(key))
    data[len(data) // 2] ^= 1
    store.replace(key, bytes(data))
    ran = call("verify", url, *options, "--workers", "2", "--level", "rows")
    assert ran.status == 1
    assert "part-16-23.parquet: has the checksum" in ran.out
    assert "(bronze-copier run --partition 16-23 --again)" in ran.out


@pytest.mark.parametrize("cloud", ["s3", "gs"], indirect=True)
def test_lake_in_bucket_is_compared(copy: Copier, cloud: Cloud) -> None:
    """Beside the destination's bucket, and of a destination on a disk; a changed lake object is found."""
    cloud.fill(copy.lake)
    lake, lake_url = open_store(cloud.location("lake")), f"{cloud.scheme}://{cloud.bucket}/lake"
    options = ["--endpoint", cloud.endpoint, "--region", REGION] if cloud.scheme == "s3" else []
    lake_options = [option.replace("--", "--lake-") for option in options]
    cloud.write_to(copy)
    assert copy.run().status == 0
    bronze, source = f"{cloud.scheme}://{cloud.bucket}/data/bronze", ["--level", "source", "--lake", lake_url]
    assert call("verify", bronze, *options, *source).status == 0
    assert call("verify", bronze, *options, *source, *lake_options).status == 0
    cloud.fetch(copy)
    fetched = copy.root / "data" / "bronze"
    assert call("verify", fetched, *source, *lake_options, "--workers", "2").status == 0
    first, second = (next(name for name in tree(copy.lake) if f"--{number}." in name) for number in (16, 17))
    lake.replace(first, lake.read(second))
    ran = call("verify", fetched, *source, *lake_options)
    assert ran.status == 3, "the lake is damaged, not the partition"
    assert "part-16-23.parquet: ledger 16: cannot be compared with the lake: object" in ran.out


def test_options_of_no_lake_are_refused(copy: Copier) -> None:
    copy.run()
    for options in (["--lake-region", REGION], ["--lake-anonymous", "--lake", str(copy.lake)]):
        ran = call("verify", copy.root / "data" / "bronze", "--level", "source", *options)
        assert ran.status == 2, ran
        assert "are of --lake: name it" in ran.err or "are for object stores" in ran.err


#: Commands that an auditor runs on a bucket.
AUDITS = [
    ["verify", "--level", "rows", "--workers", "2"],
    ["verify", "--level", "source"],
    ["status"],
    ["inspect", "16-23"],
    ["report", "--out", "OUT", "--level", "files"],
    ["inspect", "20"],
]


def audits(tmp_path: Path) -> list[list[str]]:
    return [[str(tmp_path / "report.html") if word == "OUT" else word for word in command] for command in AUDITS]


@pytest.mark.parametrize("cloud", ["s3", "gs"], indirect=True)
def test_bucket_is_only_read(copy: Copier, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = cloud.endpoint or os.environ["STORAGE_EMULATOR_HOST"]
    with FaultProxy(int(server.rpartition(":")[2])) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        Cloud(cloud.scheme, cloud.bucket, cloud.endpoint and proxy.url).write_to(copy)
        assert copy.run().status == 0
        for command in audits(tmp_path):
            before = len(proxy.log)
            ran = copy.run(*command)
            assert ran.status == 0, (command, ran)
            requests = [request for request, _ in proxy.log[before:]]
            assert requests, command
            assert {request.partition(" ")[0] for request in requests} <= {"GET", "HEAD"}, command
    # The last one looked at one ledger: size, footer and one row group.
    assert 2 <= len([request for request in requests if "part-16-23.parquet" in request]) <= 4


def test_credentials_that_only_read_are_enough(
    copy: Copier, s3_bucket: str, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = Cloud("s3", s3_bucket, s3_server.url)
    cloud.write_to(copy)
    cloud.fill(copy.lake)
    copy.settings["source"] = cloud.source()
    assert copy.run().status == 0
    for name, value in s3_server.new_reader(s3_bucket).items():
        monkeypatch.setenv(name, value)
    before = {key: s3_server.client.head_object(Bucket=s3_bucket, Key=key) for key in s3_server.keys(s3_bucket)}
    store = open_store(cloud.location())
    with pytest.raises(AccessDeniedError):
        store.create("data/new", b"")
    with pytest.raises(AccessDeniedError):
        store.delete("pas/pas-chain-heads.json")
    for command in audits(tmp_path):
        ran = copy.run(*command)
        assert ran.status == 0, (command, ran)
    after = {key: s3_server.client.head_object(Bucket=s3_bucket, Key=key) for key in s3_server.keys(s3_bucket)}
    assert {key: found["LastModified"] for key, found in after.items()} == {
        key: found["LastModified"] for key, found in before.items()
    }


@pytest.mark.parametrize(
    ("statement", "partition", "found", "expected"),
    [
        ("update _meta_lineage set row_count = 9 where ledger_start = 16", "16-23", "says row_count 9", "8"),
        (
            "update _meta_lineage set prev_hash = NULL where ledger_start = 16", "16-23", "says prev_hash nothing",
            "CHECKSUM",
        ),
        (
            "update _meta_lineage set storage_path = 'x' where ledger_start = 16", "16-23", "says storage_path x",
            "standalone/e1/v1/ledgers_lcm_raw/range=16-23",
        ),
        (
            "update _meta_lineage set pas_event_hash = 'x' where ledger_start = 24", "24-31", "says pas_event_hash x",
            "EVENT",
        ),
        # the checkpoint says that it is committed
        (
            "delete from _meta_lineage where ledger_start = 24", "24-31", "has no row of this partition",
            "one: it is committed",
        ),
        (
            "update _meta_lineage set ledger_start = 99 where ledger_start = 24", "",
            "has the ledgers 99 to 31, which is not a range", "",
        ),
    ],
)  # fmt: skip
def test_changed_catalog_row_is_found(
    copy: Copier, database: str, statement: str, partition: str, found: str, expected: str
) -> None:
    copy.settings["catalog"] = {"postgres_dsn": database}
    assert copy.run().status == 0
    assert copy.run("verify", "--level", "manifests", "--catalog").status == 0
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()
    ran = copy.run("verify", "--level", "manifests", "--catalog", "--json")
    findings = json.loads(ran.out)["eras"][0]["findings"]
    assert ran.status == 1
    assert {finding["level"] for finding in findings} == {"catalog"}
    first = next(finding for finding in findings if found in finding["found"])
    known = {
        "CHECKSUM": copy.manifests()[8, 15]["tables"][TABLE]["checksum"],
        "EVENT": copy.heads["standalone/e1/v1"],
    }
    assert (first["partition"], first["expected"]) == (partition, known.get(expected, expected))
    copy.run()
    if partition:  # else somebody has to remove a row that is of no partition
        assert copy.run("verify", "--level", "manifests", "--catalog").status == 0


def test_unrecorded_partitions_are_counted(copy: Copier, database: str) -> None:
    """By `status`, with what the next run does about it."""
    copy.settings["catalog"] = {"postgres_dsn": database}
    assert copy.run().status == 0
    assert json.loads(copy.run("status", "--json").out)["eras"][0]["unrecorded"] == 0
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("delete from _meta_lineage where ledger_start = 24")
    connection.close()
    ran = copy.run("status")
    assert (ran.status, "unrecorded   1 partition: the next run records them" in ran.out) == (0, True), ran.out


def test_row_of_uncommitted_partition_is_no_finding(copy: Copier, database: str) -> None:
    """As in a run that has published a partition and not yet committed it."""
    copy.settings["catalog"] = {"postgres_dsn": database}
    assert copy.run().status == 0
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("delete from _meta_lineage where ledger_start = 24")
    connection.close()
    checkpoint = copy.root / "state" / "checkpoint.json"
    document = json.loads(checkpoint.read_bytes())
    checkpoint.write_text(json.dumps({**document, "last_committed_ledger": 23}))
    ran = copy.run("verify", "--level", "manifests", "--catalog", "--json")
    found = json.loads(ran.out)["eras"][0]["findings"]
    (finding,) = (one for one in found if one["level"] == "catalog")
    assert (ran.status, finding["severity"], finding["partition"]) == (0, "note", "24-31")
    assert {one["severity"] for one in found} == {"note"}  # the checkpoint was set by hand, too


def test_unreachable_catalog_exits_3(copy: Copier) -> None:
    copy.run()
    copy.settings["catalog"] = {"postgres_dsn": "postgresql://nobody@127.0.0.1:9/none"}
    ran = copy.run("verify", "--level", "manifests", "--catalog")
    assert ran.status == 3
    assert "unchecked: the catalog: cannot be read" in ran.out
