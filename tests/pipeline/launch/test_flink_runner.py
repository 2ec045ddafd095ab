"""What a run on Flink submits: its options, and a graph without secrets. The job service is a real one that refuses."""

from __future__ import annotations

import base64
import bz2
import json
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc, beam_runner_api_pb2
from google.protobuf import json_format

from bronze.errors import RunnerError
from bronze.job.connections import Connections
from bronze.job.secrets import Secrets
from bronze.partitioning.partition import Partition
from bronze.storage.location import StorageLocation
from pipeline.launch.flink_options import parse_flink_options
from pipeline.launch.flink_runner import FlinkRunner
from tests.pipeline.launch.test_flink_cluster import GOOD
from tests.support.scripted_server import Answer, running_server
from tests.transforms.conftest import ERA, make_job
from transforms.elements import PartitionKey
from transforms.graph import CopyPartitions
from transforms.outcome_files import OutcomeFiles

SECRETS = Secrets(dsn="postgresql://me:hunter2@db/catalog", endpoint="https://me:hunter3@pas/events")
EXPECTED = {
    "job_name": "bronze-copier-my-own-run-1",
    "streaming": True,
    "environment_type": "PROCESS",
    "parallelism": "3",
    "max_parallelism": "64",
    "max_bundle_size": "1",
    "max_bundle_time_mills": "100",
}
KEYS = [PartitionKey(ERA.chain, Partition(100, 109))]


class JobService(beam_job_api_pb2_grpc.JobServiceServicer):
    """Keeps what it is asked to run, and refuses."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def DescribePipelineOptions(self, request: Any, context: Any) -> Any:
        names = ("max_bundle_size", "max_bundle_time_mills", "parallelism", "max_parallelism")
        kind = beam_job_api_pb2.PipelineOptionType.INTEGER
        options = [beam_job_api_pb2.PipelineOptionDescriptor(name=name, type=kind) for name in names]
        return beam_job_api_pb2.DescribePipelineOptionsResponse(options=options)

    def Prepare(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        context.abort(grpc.StatusCode.UNAVAILABLE, "no job today")


@pytest.fixture
def service() -> Iterator[tuple[JobService, str]]:
    """The service and its address."""
    made, server = JobService(), grpc.server(ThreadPoolExecutor(2))
    beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(made, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield made, f"127.0.0.1:{port}"
    server.stop(None).wait()


def submitted(service: tuple[JobService, str], folder: Path, *options: str) -> Any:
    """What is submitted for a graph of one partition."""
    job = make_job(folder, run={"run_id": "my-own-run"}, chain={"has_catalog": True, "has_endpoint": True})
    with running_server(lambda request: Answer(body=json.dumps(GOOD[request.path]).encode())) as cluster:
        arguments = [
            f"--flink_master={cluster.url.removeprefix('http://')}",
            f"--job_endpoint={service[1]}",
            '--environment_config={"command": "/opt/worker"}',
            *options,
        ]
        runner = FlinkRunner(Connections(job, SECRETS), parse_flink_options(arguments, workers=3))
        outcomes = OutcomeFiles(StorageLocation(str(folder / "control")), "wave-0")
        with pytest.raises(RunnerError, match="no job today; run again to resume"):
            runner.run(CopyPartitions(job, KEYS, outcomes, runner.look_ahead))
    return service[0].asked[0]


def test_options_of_a_streaming_job(service: tuple[JobService, str], tmp_path: Path) -> None:
    asked = submitted(service, tmp_path, "--streaming", "--max_parallelism=64")
    options = json_format.MessageToDict(asked.pipeline_options)
    found = {name: options.get(f"beam:option:{name}:v1") for name in EXPECTED}
    assert found == EXPECTED
    assert "checkpoint" not in json.dumps(options)  # none are taken; the chain is the checkpoint


@pytest.mark.parametrize("options", [(), ("--streaming",)], ids=["batch", "streaming"])
def test_graph_and_options_hold_no_secret(
    options: tuple[str, ...], service: tuple[JobService, str], tmp_path: Path
) -> None:
    asked = submitted(service, tmp_path, *options)
    texts = [asked.SerializeToString(), *stages(asked.pipeline)]
    assert sum(b"my-own-run" in text for text in texts) >= 3  # the stages can be read
    for text in texts:
        assert all(secret not in text for secret in (b"hunter2", b"hunter3", b"postgresql://", b"https://me"))


def stages(pipeline: Any) -> Iterator[bytes]:
    """What workers unpickle of each stage."""
    for transform in pipeline.components.transforms.values():
        if transform.spec.urn == "beam:transform:pardo:v1":
            payload = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload).do_fn.payload
            packed = base64.b64decode(payload)
            for unpack in (bz2.decompress, zlib.decompress):
                with suppress(OSError, zlib.error):
                    yield unpack(packed)


def test_control_files_lie_beside_the_checkpoint(tmp_path: Path) -> None:
    """Where all workers reach them; they are removed when the run ends, so no lock may hold them."""
    checkpoint = StorageLocation("s3://bucket/state/", object_lock_mode="COMPLIANCE", object_lock_days=9)
    job = make_job(tmp_path, chain={"checkpoint": checkpoint}, run={"run_id": "my-own-run"})
    options = ["--flink_master=x:1", "--job_endpoint=y:2", '--environment_config={"command": "/opt/worker"}']
    runner = FlinkRunner(Connections(job, Secrets()), parse_flink_options(options, workers=1))
    found = runner.control_location(tmp_path)
    assert found == StorageLocation("s3://bucket/state/_runs/my-own-run")
