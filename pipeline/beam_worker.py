"""The boot command of a worker that a distributed Beam runner starts: ``bronze-copier-worker``.

What the boot program of Beam's container does, without a container: it asks the runner for the options of the pipeline
and the addresses of its services, and becomes a worker. Nothing is installed or downloaded: this program and its
packages have to be on the machine, in the same versions as where the run was launched (`bronze.job.build`).

Secrets are taken from the environment of whoever starts it (`bronze.job.secrets`).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

#: Seconds that the runner may take to answer.
_TIMEOUT_S = 60.0


def main(argv: Sequence[str] | None = None) -> int:
    """Work for the runner that started this process, until it ends the connection."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(prog="bronze-copier-worker", description="Started by a Beam runner, not by hand.")
    parser.add_argument("--id", required=True)
    parser.add_argument("--provision_endpoint", required=True)
    for endpoint in ("logging_endpoint", "control_endpoint"):
        parser.add_argument(f"--{endpoint}", default="")
    given, _ = parser.parse_known_args(arguments)
    return _work(given, _provision(given.provision_endpoint, given.id))


def _provision(endpoint: str, worker_id: str) -> Any:
    """What the runner says of the job and of its services."""
    import grpc
    from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc

    with grpc.insecure_channel(endpoint) as channel:
        service = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()
        return service.GetProvisionInfo(request, metadata=(("worker_id", worker_id),), timeout=_TIMEOUT_S).info


def _work(given: argparse.Namespace, info: Any) -> int:
    from google.protobuf import json_format  # type: ignore[import-untyped]

    directory = tempfile.mkdtemp(prefix="bronze-copier-worker-")
    logging_at = info.logging_endpoint.url or given.logging_endpoint
    control_at = info.control_endpoint.url or given.control_endpoint
    os.environ.update(
        WORKER_ID=given.id,
        PIPELINE_OPTIONS=json_format.MessageToJson(info.pipeline_options),
        SEMI_PERSISTENT_DIRECTORY=directory,
        LOGGING_API_SERVICE_DESCRIPTOR=f'url: "{logging_at}"',
        CONTROL_API_SERVICE_DESCRIPTOR=f'url: "{control_at}"',
        RUNNER_CAPABILITIES=" ".join(info.runner_capabilities),
    )
    if info.status_endpoint.url:
        os.environ["STATUS_API_SERVICE_DESCRIPTOR"] = f'url: "{info.status_endpoint.url}"'
    # In this process: a new one would load Beam a second time, which takes seconds.
    from apache_beam.runners.worker import sdk_worker_main

    try:
        sdk_worker_main.main([sys.argv[0]])
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
