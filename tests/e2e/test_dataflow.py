"""A copy on Dataflow: the real runner submits to a stand-in of its REST API, and nothing leaks into the job."""

from __future__ import annotations

import base64
import bz2
import json
import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from apache_beam.portability.api import beam_runner_api_pb2

from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
from bronze.waiting import stop_waits_when
from pipeline import flex_template
from pipeline.launch import dataflow_runner
from tests.e2e.conftest import Copier, LakeFiles
from tests.support.dataflow_service import DataflowService, dataflow
from tests.support.gcs_server import gcs_bucket, gcs_server

__all__ = ["dataflow", "gcs_bucket", "gcs_server"]

pytestmark = pytest.mark.timeout(300)
#: Nobody listens there.
DSN = "postgresql://me:hunter2@127.0.0.1:1/catalog"
ENDPOINT = "http://127.0.0.1:1/events?token=hunter3"
#: As Beam sends the type of a job.
BATCH, STREAMING = 1, 2
IMAGE = "us-docker.pkg.dev/p1/bronze/copier:2.0.0"
STAGES = [
    "ReadBatchFiles",
    "KeyByPartition",
    "GroupByPartition",
    "EncodeAndPublish",
    "ToChain",
    "Sequence",
    "WriteOutcomes",
]


class Cloud:
    """A copy from and to a bucket, with catalog and endpoint, on Dataflow."""

    def __init__(self, copy: Copier, bucket: str, service: DataflowService) -> None:
        self.copy = copy
        self.bucket = bucket
        self.service = service

    def arguments(self, *more: str) -> list[str]:
        return [
            "--runner=DataflowRunner", "--project=p1-proj", "--region=us-central1", "--no_auth", "--job_name=bronze",
            f"--temp_location=gs://{self.bucket}/temp", f"--staging_location=gs://{self.bucket}/staging",
            f"--sdk_container_image={IMAGE}", f"--dataflow_endpoint={self.service.url}", *more,
        ]  # fmt: skip

    def submit(self, *more: str) -> Any:
        return self.copy.run("run", "--submit", "--", *self.arguments(*more))

    def staged(self) -> dict[str, bytes]:
        """The files that were staged, by their names."""
        store, found = open_store(StorageLocation(f"gs://{self.bucket}/staging")), {}
        for entry in store.list_children(""):
            for child in store.list_children(entry.name):
                found[child.name] = store.read(f"{entry.name}/{child.name}")
        return found


@pytest.fixture
def cloud(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], gcs_bucket: str, dataflow: DataflowService
) -> Cloud:
    lake = sample(first=8, ledgers=16).root
    copy = copier(lake, ledger_start=8, ledger_end=23, partition_size=4)
    store = open_store(StorageLocation(f"gs://{gcs_bucket}/lake"))
    for path in sorted(lake.rglob("*")):
        if path.is_file():
            store.create(path.relative_to(lake).as_posix(), path.read_bytes())
    copy.settings["source"] = {"mode": "datastore", "datastore_type": "GCS", "datastore_path": f"{gcs_bucket}/lake"}
    copy.settings["storage"] = {"backend": "gcs", "gcs_bucket": f"gs://{gcs_bucket}/data"}
    copy.settings["pas"] = {"enabled": True, "backup_dir": f"gs://{gcs_bucket}/pas", "endpoint": ENDPOINT}
    copy.settings["checkpoint"] = {"dir": f"gs://{gcs_bucket}/state"}
    copy.settings["catalog"] = {"postgres_dsn": DSN}
    copy.settings["perf"] = {"retry_attempts": 1}
    return Cloud(copy, gcs_bucket, dataflow)


def graph_of(staged: dict[str, bytes]) -> beam_runner_api_pb2.Pipeline:
    (proto,) = [data for name, data in staged.items() if name.endswith("pipeline.pb")]
    return beam_runner_api_pb2.Pipeline.FromString(proto)


def options_of(job: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = job["environment"]["sdkPipelineOptions"]["options"]
    return options


def test_submitted_job_holds_graph_and_no_secret(cloud: Cloud) -> None:
    ran = cloud.submit("--max_num_workers=7")
    assert ran.status == 5, ran  # neither the catalog nor the endpoint can be reached from here
    assert "submitted the job 2026-11-25_00_00_00-1 of 4 partitions" in ran.out

    (job,), staged = cloud.service.jobs, cloud.staged()
    graph = graph_of(staged)
    names = {one.unique_name for one in graph.components.transforms.values()}
    assert [stage for stage in STAGES if not any(stage in name for name in names)] == []
    assert job["type"] == BATCH
    everything = b"".join([*cloud.service.raw, *staged.values()])
    for secret in (b"hunter2", b"hunter3"):
        assert secret not in everything
    for stage in graph.components.transforms.values():  # pickled stages are text
        assert not re.search(rb"hunter|/work/|/tmp/", stage.spec.payload)
    ledger = next(cloud.copy.lake.rglob("*.xdr.zst")).read_bytes()
    assert not any(ledger[at : at + 64] in everything for at in range(0, len(ledger) - 64, 64))
    assert sum(map(len, staged.values())) < 200_000
    options = options_of(job)
    assert (options["number_of_worker_harness_threads"], options["sdk_container_image"]) == (2, IMAGE)
    (pool,) = job["environment"]["workerPools"]
    assert (pool["machineType"], pool["diskSizeGb"]) == ("n2-standard-2", 30)
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 7
    assert {one["containerImage"] for one in pool["sdkHarnessContainerImages"]} == {IMAGE}


def test_streaming_job_hands_partitions_out(cloud: Cloud) -> None:
    ran = cloud.submit("--streaming")
    assert "submitted the job" in ran.out, ran
    (job,) = cloud.service.jobs
    names = {one.unique_name for one in graph_of(cloud.staged()).components.transforms.values()}
    assert any("HandOut" in name for name in names)
    assert job["type"] == STREAMING


def test_template_is_written_and_not_submitted(cloud: Cloud) -> None:
    """As the launcher of a Flex Template asks for it."""
    ran = cloud.submit(f"--template_location=gs://{cloud.bucket}/template/job_object")
    assert "written to a file, and not submitted" in ran.out, ran
    assert cloud.service.jobs == []
    store = open_store(StorageLocation(f"gs://{cloud.bucket}/template"))
    assert json.loads(store.read("job_object"))["name"] == "bronze"


def test_template_launcher_submits_same_job(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Google's launcher calls: the parameters state what the configuration of the other run does."""
    assert "submitted the job" in cloud.submit().out
    monkeypatch.setenv("LOG_FORMAT", "text")
    bucket = cloud.bucket
    parameters = {
        "lake": f"gs://{bucket}/lake", "output": f"gs://{bucket}/data", "state": f"gs://{bucket}/state",
        "pas_events": f"gs://{bucket}/pas", "pas_enabled": "true", "perf_retry_attempts": "1",
        **{f"era_{name}": str(value) for name, value in cloud.copy.settings["era"].items()},
    }  # fmt: skip
    options = {
        f"authenticity_{name}": str(value) for name, value in cloud.copy.settings.get("authenticity", {}).items()
    }
    given = [f"--{name}={value}" for name, value in (parameters | options).items()]
    assert flex_template.main([*given, *cloud.arguments()]) == 0
    first, second = cloud.service.jobs
    assert second["environment"]["workerPools"] == first["environment"]["workerPools"]
    differing = {"staging_location", "temp_location", "pipelineProtoHash", "pipelineUrl", "pipeline_url"}
    for one, other in ((options_of(first), options_of(second)), (options_of(second), options_of(first))):
        assert {name for name in one if one[name] != other.get(name)} <= differing


@pytest.mark.parametrize(
    ("state", "message"),
    [("JOB_STATE_FAILED", "ended as FAILED"), ("JOB_STATE_DONE", "reported 0 of 4 partitions")],
)
def test_waiting_run_tells_how_job_ended(
    state: str, message: str, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in copies nothing: a job that ends well without outcomes is an error, too."""
    monkeypatch.setattr(dataflow_runner, "LOOK_S", 0.01)
    cloud.service.state = state
    ran = cloud.copy.run("run", "--", *cloud.arguments())
    assert ran.status == 1
    assert message in ran.err
    assert len(cloud.service.jobs) == 1


def test_stopped_run_waits_for_job_to_end(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """What tells the workers to stop is removed when the run ends, and so not before its job has ended."""
    monkeypatch.setattr(dataflow_runner, "LOOK_S", 0.01)
    cloud.service.next_states = ["JOB_STATE_RUNNING", "JOB_STATE_RUNNING", "JOB_STATE_RUNNING"]
    cloud.service.state = "JOB_STATE_DONE"
    with stop_waits_when(lambda: bool(cloud.service.jobs)):
        ran = cloud.copy.run("run", "--", *cloud.arguments())
    assert cloud.service.asked >= 4
    assert ran.status == 1, ran  # nothing was copied


def test_job_that_nothing_is_heard_of_is_named(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataflow_runner, "LOOK_S", 0.01)
    monkeypatch.setattr(dataflow_runner, "LOST_S", 0.0)
    cloud.service.next_states = ["JOB_STATE_RUNNING"]
    cloud.service.state = ""
    ran = cloud.copy.run("run", "--", *cloud.arguments())
    assert ran.status == 1, ran
    assert "how the job 2026-11-25_00_00_00-1 is" in ran.err
    assert "cancel it if it still runs" in ran.err


def test_refused_submission_is_an_error(cloud: Cloud) -> None:
    cloud.service.refuses = True
    ran = cloud.submit()
    assert ran.status == 1
    assert "could not be submitted to Dataflow" in ran.err
    assert "hunter" not in ran.err + ran.out


@pytest.mark.parametrize(
    ("key", "value"),
    [("checkpoint", {"dir": "state"}), ("storage", {"backend": "local", "local_dir": "out"})],
)
def test_local_places_are_refused(key: str, value: dict[str, str], cloud: Cloud, tmp_path: Path) -> None:
    place = next(name for name in value if name.endswith("dir"))
    cloud.copy.settings[key] = {**value, place: str(tmp_path / value[place])}
    cloud.copy.settings["perf"]["shared_filesystem"] = True
    ran = cloud.submit()
    assert ran.status == 2, ran
    assert str(tmp_path / value[place]) in ran.err
    assert "workers mount nothing" in ran.err
    assert not (tmp_path / value[place]).exists()
    assert cloud.service.jobs == []


def pardo(graph: beam_runner_api_pb2.Pipeline, stage: str) -> tuple[beam_runner_api_pb2.ParDoPayload, int]:
    """What the job says of the stage of that name, and whether what it emits is bounded."""
    (found,) = [one for one in graph.components.transforms.values() if one.unique_name == f"CopyPartitions/{stage}"]
    bounded = {graph.components.pcollections[name].is_bounded for name in found.outputs.values()}
    (is_bounded,) = bounded
    return beam_runner_api_pb2.ParDoPayload.FromString(found.spec.payload), is_bounded


def test_followed_lake_is_one_streaming_job(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """An era without an end: the graph, the type of the job, and what Beam itself adds for such jobs."""
    monkeypatch.setattr(dataflow_runner, "LOOK_S", 0.01)
    cloud.copy.settings["era"]["ledger_end"] = 0
    cloud.service.next_states = ["JOB_STATE_RUNNING"] * 3
    cloud.service.state = "JOB_STATE_CANCELLED"
    ran = cloud.copy.run("run", "--follow", "--", *cloud.arguments("--streaming"))
    assert (ran.status, "ended as CANCELLED: see its log; run again to resume" in ran.err) == (1, True), ran
    (job,), graph = cloud.service.jobs, graph_of(cloud.staged())
    assert job["type"] == STREAMING
    assert options_of(job)["streaming"] is True
    assert {"use_runner_v2", "enable_streaming_engine"} <= set(job["environment"]["experiments"])
    (pool,) = job["environment"]["workerPools"]
    assert (pool["numThreadsPerWorker"], pool["autoscalingSettings"]["maxNumWorkers"]) == (2, 40)
    source, is_bounded = pardo(graph, "HandOut")
    assert (bool(source.restriction_coder_id), is_bounded) == (True, beam_runner_api_pb2.IsBounded.UNBOUNDED)
    assert b"transforms.growth" in unpacked(source)
    sequence, _ = pardo(graph, "Sequence/ParDo(SequencePartitions)")
    assert len(sequence.state_specs) == 5
    everything = b"".join([*cloud.service.raw, *cloud.staged().values(), unpacked(source), unpacked(sequence)])
    assert b"hunter" not in everything


def unpacked(stage: beam_runner_api_pb2.ParDoPayload) -> bytes:
    """What workers unpickle of a stage."""
    packed = base64.b64decode(stage.do_fn.payload)
    for unpack in (bz2.decompress, zlib.decompress):
        with suppress(OSError, zlib.error):
            return unpack(packed)
    raise AssertionError("the stage cannot be read")
