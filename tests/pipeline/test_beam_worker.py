"""The boot command of distributed workers: what it takes from the runner, and what of it reaches Beam's worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
from google.protobuf import json_format

ROOT = Path(__file__).resolve().parents[2]
#: Stands in for Beam's worker in the process of the boot command: says what it was given.
SPY = """
import json, os, sys
from apache_beam.runners.worker import sdk_worker_main
names = ["WORKER_ID", "PIPELINE_OPTIONS", "LOGGING_API_SERVICE_DESCRIPTOR", "CONTROL_API_SERVICE_DESCRIPTOR",
         "RUNNER_CAPABILITIES", "SEMI_PERSISTENT_DIRECTORY"]
sdk_worker_main.main = lambda argv: print(json.dumps({name: os.environ[name] for name in names}))
from pipeline import beam_worker
sys.exit(beam_worker.main(sys.argv[1:]))
"""


class Provision(beam_provision_api_pb2_grpc.ProvisionServiceServicer):
    """What a runner says to each worker."""

    def __init__(self) -> None:
        self.asked_by: list[dict[str, str]] = []

    def GetProvisionInfo(self, request: Any, context: Any) -> Any:
        self.asked_by.append(dict(context.invocation_metadata()))
        info = beam_provision_api_pb2.ProvisionInfo(runner_capabilities=["beam:one", "beam:two"])
        json_format.ParseDict({"beam:option:job_name:v1": "mine"}, info.pipeline_options)
        info.logging_endpoint.url, info.control_endpoint.url = "127.0.0.1:5", "127.0.0.1:6"
        return beam_provision_api_pb2.GetProvisionInfoResponse(info=info)


@pytest.fixture
def provision() -> Iterator[tuple[Provision, str]]:
    """The runner's service and its address."""
    made, server = Provision(), grpc.server(ThreadPoolExecutor(2))
    beam_provision_api_pb2_grpc.add_ProvisionServiceServicer_to_server(made, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield made, f"127.0.0.1:{port}"
    server.stop(None).wait()


def boot(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SPY, *arguments],
        capture_output=True, text=True, check=False, timeout=120, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_worker_gets_what_the_runner_says(provision: tuple[Provision, str]) -> None:
    service, address = provision
    ran = boot("--id=1-1", f"--provision_endpoint={address}", "--unknown=of a later Beam")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert service.asked_by[0]["worker_id"] == found["WORKER_ID"] == "1-1"
    assert json.loads(found["PIPELINE_OPTIONS"]) == {"beam:option:job_name:v1": "mine"}
    assert found["LOGGING_API_SERVICE_DESCRIPTOR"] == 'url: "127.0.0.1:5"'
    assert found["CONTROL_API_SERVICE_DESCRIPTOR"] == 'url: "127.0.0.1:6"'
    assert found["RUNNER_CAPABILITIES"] == "beam:one beam:two"
    assert not Path(found["SEMI_PERSISTENT_DIRECTORY"]).exists()  # removed at its end


def test_boot_without_runner_says_its_purpose() -> None:
    ran = boot("--id=1-1")
    assert (ran.returncode, "Started by a Beam runner, not by hand" in boot("--help").stdout) == (2, True)
    assert "--provision_endpoint" in ran.stderr
