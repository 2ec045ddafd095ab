"""Copies between buckets of real S3 and GCS servers: the same bytes as between local directories.

The objects of a bucket are fetched into the directories that a local copy would have written, and compared there.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
from bronze.storage.store import TEMPORARY, Store, join
from pipeline.launch import local_runner, waves
from pipeline.launch.prepare import prepare
from pipeline.settings import load
from tests.e2e.conftest import Copier, LakeFiles, new_copier, wait_until
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.gcs_server import GcsServer, gcs_bucket, gcs_server
from tests.support.s3_server import ACCESS_KEY, REGION, SECRET_KEY, S3Server, s3_bucket, s3_server
from transforms.graph import CopyPartitions

__all__ = ["gcs_bucket", "gcs_server", "s3_bucket", "s3_server"]

pytestmark = pytest.mark.timeout(300)
PARTS = [(start, start + 3) for start in range(8, 40, 4)]
ERA = {"ledger_start": 8, "ledger_end": 39, "partition_size": 4}


@pytest.fixture
def lake(sample: Callable[..., LakeFiles]) -> Path:
    return sample(first=8, ledgers=32).root


@pytest.fixture
def expected(copier: Callable[..., Copier], lake: Path) -> Copier:
    """The same copy between local directories."""
    copy = copier(lake, name="local", **ERA)
    ran = copy.run()
    assert ran.status == 0, ran
    return copy


class Cloud:
    """A bucket of one of the servers, and what the settings say of it."""

    def __init__(self, scheme: str, bucket: str, endpoint: str = "") -> None:
        self.scheme, self.bucket, self.endpoint = scheme, bucket, endpoint

    def location(self, prefix: str = "") -> StorageLocation:
        options = {"endpoint": self.endpoint, "region": REGION} if self.scheme == "s3" else {}
        return StorageLocation(f"{self.scheme}://{join(self.bucket, prefix)}", **options)

    def source(self) -> dict[str, Any]:
        if self.scheme == "gs":
            return {"mode": "datastore", "datastore_type": "GCS", "datastore_path": f"{self.bucket}/lake"}
        return {
            "mode": "s3",
            "s3_bucket": self.bucket,
            "s3_prefix": "lake",
            "s3_endpoint": self.endpoint,
            "s3_region": REGION,
        }

    def storage(self) -> dict[str, Any]:
        if self.scheme == "gs":
            return {"backend": "gcs", "gcs_bucket": f"gs://{self.bucket}/data"}
        named = {"s3_bucket": f"s3://{self.bucket}/data", "s3_endpoint": self.endpoint, "s3_region": REGION}
        return {"backend": "s3", **named}

    def fill(self, lake: Path) -> None:
        """Put a lake there."""
        store = open_store(self.location("lake"))
        for path in lake.rglob("*"):
            if path.is_file():
                store.create(path.relative_to(lake).as_posix(), path.read_bytes())

    def write_to(self, copy: Copier) -> None:
        """Let a copy write there, its chain and its checkpoint too."""
        copy.settings["storage"] = self.storage()
        copy.settings["pas"]["backup_dir"] = f"{self.scheme}://{self.bucket}/pas"
        copy.settings["checkpoint"]["dir"] = f"{self.scheme}://{self.bucket}/state"

    def objects(self, prefix: str = "") -> list[str]:
        return list(_keys(open_store(self.location()), prefix))

    def fetch(self, copy: Copier) -> None:
        """Fetch what lies there into the directories of `copy`."""
        store = open_store(self.location())
        for key in self.objects():
            if not key.startswith(("lake/", "pas/_links/")):
                path = copy.root / key
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(store.read(key))


def _keys(store: Store, prefix: str) -> Iterator[str]:
    for entry in store.list_children(prefix):
        key = join(prefix, entry.name)
        if entry.is_prefix:
            yield from _keys(store, key)
        else:
            yield key


@pytest.fixture
def s3(s3_bucket: str, s3_server: S3Server) -> Cloud:
    return Cloud("s3", s3_bucket, s3_server.url)


@pytest.fixture
def gcs(gcs_bucket: str) -> Cloud:
    return Cloud("gs", gcs_bucket)


def assert_same(copy: Copier, expected: Copier) -> None:
    """Assert that the fetched copy equals the local one."""
    assert copy.published() == expected.published()
    assert copy.documents() == expected.documents()
    assert copy.committed() == PARTS
    assert copy.heads == {"standalone/e1/v1": copy.events()[-1]["chain"]["event_hash"]}
    assert copy.checkpoint() == PARTS[-1][1]


def assert_complete(copy: Copier, cloud: Cloud, expected: Copier) -> None:
    """Assert that the copy in the bucket is complete and verifies, and that a further run changes nothing."""
    before = {key: open_store(cloud.location()).read(key) for key in cloud.objects() if not key.startswith("lake/")}
    assert not [key for key in before if TEMPORARY in key]
    cloud.fetch(copy)
    assert_same(copy, expected)
    assert copy.run("verify").status == 0
    again = copy.run()
    assert again.status == 0, again
    assert {key: open_store(cloud.location()).read(key) for key in before} == before


@pytest.mark.parametrize(
    ("source", "destination"), [("s3", "s3"), ("gcs", "gcs"), ("gcs", "local"), ("local", "s3"), ("s3", "gcs")]
)
def test_copy_between_stores_gives_same_bytes(
    source: str, destination: str, lake: Path, expected: Copier, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    copy = new_copier(tmp_path / "copy", lake, **ERA)
    copy.settings["perf"]["workers"] = 2
    if source != "local":
        cloud = request.getfixturevalue(source)
        cloud.fill(lake)
        copy.settings["source"] = cloud.source()
    if destination == "local":
        ran = copy.run()
        assert ran.status == 0, ran
        assert_same(copy, expected)
        assert copy.run("verify").status == 0
        return
    cloud = request.getfixturevalue(destination)
    cloud.write_to(copy)
    ran = copy.run()
    assert ran.status == 0, ran
    assert_complete(copy, cloud, expected)


@pytest.mark.parametrize(("far", "expected_waves"), [(False, 4), (True, 2)])
def test_remote_destination_gets_longer_waves(
    far: bool, expected_waves: int, s3: Cloud, lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_runner, "PER_WORKER", 2)
    monkeypatch.setattr(local_runner, "PER_WORKER_REMOTE", 4)
    monkeypatch.setattr(waves, "MIN_LEDGERS", 1)
    run_locally, found = local_runner.LocalRunner.run, []

    def run_wave(runner: local_runner.LocalRunner, graph: CopyPartitions) -> None:
        found.append(graph)
        run_locally(runner, graph)

    monkeypatch.setattr(local_runner.LocalRunner, "run", run_wave)
    copy = new_copier(tmp_path / "copy", lake, **ERA)
    if far:
        s3.write_to(copy)
    ran = copy.run()
    assert ran.status == 0, ran
    assert len(found) == expected_waves


def test_worker_processes_copy_between_buckets(s3: Cloud, lake: Path, expected: Copier, tmp_path: Path) -> None:
    copy = new_copier(tmp_path / "copy", lake, **ERA)
    copy.settings["perf"]["workers"] = 2
    s3.fill(lake)
    copy.settings["source"] = s3.source()
    s3.write_to(copy)
    ran = copy.process(BRONZE_READER="interpreted")
    assert ran.status == 0, ran
    assert_complete(copy, s3, expected)


@pytest.mark.parametrize("which", ["s3", "gcs"])
def test_killed_run_is_resumed_in_bucket(
    which: str, lake: Path, expected: Copier, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cloud: Cloud = request.getfixturevalue(which)
    copy = new_copier(tmp_path / "copy", lake, **ERA)
    copy.settings["perf"] |= {"workers": 2, "wave_partitions": 3}
    cloud.write_to(copy)
    for least in (1, 4):
        process = copy.start()
        wait_until(
            lambda least=least, process=process: (  # type: ignore[misc]
                process.poll() is not None or sum("_manifest" in key for key in cloud.objects("data")) >= least
            ),
            f"{least} manifests",
        )
        process.send_signal(signal.SIGKILL)
        process.communicate()
    ran = copy.process()
    assert ran.status == 0, ran
    left = [key for key in cloud.objects() if TEMPORARY in key]
    cloud_store = open_store(cloud.location())
    for key in left:  # leftovers of the killed runs, which `clean` removes after a day
        cloud_store.delete(key)
    assert_complete(copy, cloud, expected)


@pytest.mark.parametrize("which", ["s3", "gcs"])
def test_concurrent_copiers_make_one_chain(
    which: str, lake: Path, expected: Copier, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cloud: Cloud = request.getfixturevalue(which)
    if which == "s3" and (server := request.getfixturevalue("s3_server")).kind == "moto":
        pytest.skip(f"lets several publish one object: {server.why}")
    copies = [new_copier(tmp_path / name, lake, **ERA) for name in ("one", "two")]
    for copy in copies:
        copy.settings["perf"] |= {"workers": 2, "wave_partitions": 3}
        cloud.write_to(copy)
    processes: list[subprocess.Popen[str]] = [copy.start() for copy in copies]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode in (0, 1), err
        assert "Traceback" not in err
        assert process.returncode == 0 or "ConflictError" in out + err, (out, err)
    assert copies[0].run().status == 0
    assert_complete(copies[0], cloud, expected)


UPLOADS = "lost responses of completed uploads"
FAULTS = {
    "random faults": [],
    "50 ms for each request": [Fault("slow", times=1_000_000, seconds=0.05)],
    "lost responses of creates": [Fault("lost", r"^PUT .*(_manifest\.json|_links|standalone_)", times=4)],
    "lost responses of copies": [Fault("lost", r"^(PUT|POST) .*/range=.*part-.*\.parquet", times=2)],
    UPLOADS: [Fault("lost", r"^POST .*uploadId=", times=2)],
    "truncated objects": [Fault("truncate", r"^GET .*\.xdr\.", times=5)],
    "truncated listings": [Fault("truncate", r"^GET .*(list-type=2|prefix=)", times=2)],
}


@pytest.mark.parametrize(
    ("which", "fault"),
    # Small files go to Google in one piece, and their copies are one request.
    [(which, fault) for which in ("s3", "gcs") for fault in FAULTS if (which, fault) != ("gcs", UPLOADS)],
)
def test_network_faults_change_no_byte(
    fault: str,
    which: str,
    lake: Path,
    expected: Copier,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cloud: Cloud = request.getfixturevalue(which)
    cloud.fill(lake)
    server: S3Server | GcsServer = request.getfixturevalue(f"{which}_server")
    with FaultProxy(server.port) as proxy:
        if which == "gcs":
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        through = Cloud(cloud.scheme, cloud.bucket, proxy.url)
        copy = new_copier(tmp_path / "copy", lake, **ERA)
        copy.settings["perf"] |= {"workers": 2, "retry_backoff_ms": 10, "retry_attempts": 5}
        copy.settings["source"] = through.source()
        through.write_to(copy)
        proxy.faults.extend(replace(one) for one in FAULTS[fault])
        if not proxy.faults:
            proxy.storm(7, 0.07, "busy", "busy", "busy", "busy", "busy", "drop", "drop")
        ran = copy.process()
        assert ran.status == 0, ran
        assert any(kind for _, kind in proxy.log), "no fault was injected"
        if which == "gcs":
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
    copy.settings["source"] = cloud.source()
    cloud.write_to(copy)
    store = open_store(cloud.location())
    for key in [key for key in cloud.objects() if TEMPORARY in key]:  # the response of their deletion was lost
        store.delete(key)
    assert_complete(copy, cloud, expected)


# ------------------------------------------------------------------------------------------------------- failures


def test_missing_bucket_and_object_are_named(s3: Cloud, lake: Path, tmp_path: Path) -> None:
    copy = new_copier(tmp_path / "copy", lake, **ERA)
    s3.fill(lake)
    copy.settings["source"] = s3.source() | {"s3_bucket": "no-such-bucket"}
    ran = copy.run()
    assert ran.status in (1, 2)
    assert "no-such-bucket" in ran.err
    copy.settings["source"] = s3.source()
    missing = next(key for key in s3.objects("lake") if "--17" in key or "--16" in key)
    open_store(s3.location()).delete(missing)
    ran = copy.run()
    assert ran.status == 1
    assert f"s3://{s3.bucket}/{missing}" in ran.out + ran.err
    assert copy.committed() == PARTS[:2]


@pytest.mark.parametrize("number", [0, -1])
def test_damaged_bucket_object_fails_only_its_partition(
    number: int, gcs: Cloud, lake: Path, expected: Copier, tmp_path: Path
) -> None:
    copy = new_copier(tmp_path / "copy", lake, **ERA)
    gcs.fill(lake)
    copy.settings["source"] = gcs.source()
    gcs.write_to(copy)
    key = sorted((key for key in gcs.objects("lake") if ".xdr" in key), reverse=True)[number]
    store = open_store(gcs.location())
    whole = store.read(key)
    store.replace(key, whole[:-1])
    ran = copy.run()
    assert ran.status == 1
    assert f"gs://{gcs.bucket}/{key}" in ran.out + ran.err
    made = [key for key in gcs.objects("data") if key.endswith("/_manifest.json")]
    assert len(made) == len(PARTS) - 1
    store.replace(key, whole)
    assert copy.run().status == 0
    assert_complete(copy, gcs, expected)


def test_credentials_are_never_shown_or_sent(
    s3: Cloud, s3_server: S3Server, lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither valid nor invalid credentials, in success and in failure."""
    if s3_server.kind == "moto":
        pytest.skip(f"takes any credentials: {s3_server.why}")
    wrong = "AKIAWRONGWRONGWRONG1", "the/wrong+secret/0123456789abcdefghijkl"
    copy = new_copier(tmp_path / "copy", lake, **ERA)
    copy.settings["logging"] = {"level": "debug"}
    s3.fill(lake)
    copy.settings["source"] = s3.source()
    s3.write_to(copy)
    prepared = prepare(load(copy.config))
    shown = [repr(pickle.dumps(prepared.job)), repr(prepared.job), repr(prepared.connections.dataset().store)]
    ran = copy.process()
    assert ran.status == 0
    shown.append(ran.out + ran.err)
    shown += [open_store(s3.location()).read(key).decode("latin-1") for key in s3.objects() if key.endswith(".json")]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", wrong[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", wrong[1])
    ran = copy.process()
    assert ran.status in (1, 2)
    assert "denied" in (ran.out + ran.err).lower() or "refused" in (ran.out + ran.err).lower(), ran
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    ran_again = copy.process()
    assert ran_again.status in (1, 2)
    shown += [ran.out, ran.log, ran_again.out, ran_again.log]
    for secret in (ACCESS_KEY, SECRET_KEY, *wrong):
        assert not [text[:2000] for text in shown if secret in text]
    assert not [text[:2000] for text in shown if re.search("StringToSign|Signature=", text)]


def test_service_ignoring_conditions_is_refused(gcs_heedless: str, lake: Path, tmp_path: Path) -> None:
    copy = new_copier(tmp_path / "copy", lake, **ERA)
    Cloud("gs", gcs_heedless).write_to(copy)
    ran = copy.run()
    assert ran.status == 2
    assert "storage.allow_unconditional" in ran.err
    copy.settings["storage"]["allow_unconditional"] = True
    assert copy.run().status == 0


@pytest.fixture
def gcs_heedless(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    from tests.support.gcs_server import running_gcs_server

    with running_gcs_server(heedless=True) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server.new_bucket()


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        ("storage", {"kms_key": "arn:aws:kms:us-east-1:1:key/2"}),
        ("storage", {"storage_class": "STANDARD_IA"}),
        ("storage", {"object_lock": {"mode": "GOVERNANCE", "days": 3}}),
        ("storage", {"allow_unconditional": True}),
        ("source", {"anonymous": True}),
        ("perf", {"max_upload_mb_s": 3}),
        ("perf", {"max_download_mb_s": 3}),
    ],
    ids=json.dumps,
)
def test_s3_options_of_directories_are_refused(section: str, keys: dict[str, Any], lake: Path, tmp_path: Path) -> None:
    copy = new_copier(tmp_path / "copy", lake, **ERA)
    copy.settings[section] = {**copy.settings.get(section, {}), **keys}
    ran = copy.run()
    assert ran.status == 2
    assert re.search("local directory .* has no option", ran.err), ran
    assert os.listdir(copy.root) == ["config.yaml"]  # noqa: PTH208
