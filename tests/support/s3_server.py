"""A real S3 server for tests: versitygw, built once for this user where Go is installed, otherwise moto.

``python -m tests.support.s3_server`` builds it, which takes three minutes once.

Fixtures, to be imported by a conftest or a test module:
    s3_server   the session's server
    s3_bucket   an empty bucket of the test's own, with its credentials in the environment
"""

from __future__ import annotations

import fcntl
import functools
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bronze.storage.location import StorageLocation

GATEWAY = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
#: Long enough that no log contains them by accident.
ACCESS_KEY, SECRET_KEY = "AKIATESTONLYBRONZE42", "secret/of+the+test+server/0123456789abcdef"
REGION = "us-east-1"
_NUMBERS = itertools.count()


def gateway() -> tuple[Path | None, str]:
    """The gateway's program, built when it is not there yet; or None and why."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bronze-tests" / "bin"
    program = cache / "versitygw"
    if program.exists():
        return program, ""
    if shutil.which("go") is None:
        return None, "Go is not installed"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one build, however many test processes there are
        if program.exists():
            return program, ""
        with tempfile.TemporaryDirectory(dir=cache) as built:
            command = ["go", "install", "-ldflags=-s -w", GATEWAY]
            env = {**os.environ, "GOBIN": built}
            made = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
            if made.returncode:
                return None, f"{GATEWAY} was not built: {made.stderr.strip()[-300:]}"
            (Path(built) / "versitygw").replace(program)
    return program, ""


@dataclass(frozen=True)
class S3Server:
    """A running server.

    Attributes:
        kind: ``versitygw`` or ``moto``.
        why: why it is not versitygw.
        command, log: how it is started, and where it writes its log.
        processes: the one that runs, if any.
    """

    port: int
    kind: str
    why: str = ""
    command: tuple[str, ...] = ()
    log: Path = Path(os.devnull)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list, compare=False)

    def start(self) -> None:
        """Start it, at its port and with the data that it had (moto has none)."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(self.command, stdout=log, stderr=log)
        self.processes.append(process)
        _wait(f"{self.url}/{'health' if self.kind == 'versitygw' else ''}", process, self.log, self.why)

    def stop(self) -> None:
        """End it: connections are refused from now on."""
        while self.processes:
            process = self.processes.pop()
            process.terminate()
            process.wait(20)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @functools.cached_property
    def client(self) -> Any:
        """Amazon's client, for the tests' own set-up and checks."""
        import boto3
        from botocore.config import Config

        return boto3.session.Session().client(
            "s3", endpoint_url=self.url, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
            region_name=REGION, config=Config(s3={"addressing_style": "path"}),
        )  # fmt: skip

    def new_bucket(self, **options: Any) -> str:
        name = f"bucket-{os.getpid()}-{next(_NUMBERS)}"
        self.client.create_bucket(Bucket=name, **options)
        return name

    def new_reader(self, bucket: str) -> dict[str, str]:
        """The variables with the credentials of a new user, who may read and list the bucket and nothing else.

        Only versitygw has users: skips elsewhere.
        """
        if self.kind != "versitygw":
            pytest.skip(f"has no users: {self.why}")
        access, secret = f"AKIATESTONLYREADER{next(_NUMBERS):04}", "secret/of+the+reader/0123456789abcdef"
        admin = ["admin", "--access", ACCESS_KEY, "--secret", SECRET_KEY, "--endpoint-url", self.url]
        user = ["create-user", "--access", access, "--secret", secret, "--role", "user"]
        made = subprocess.run([self.command[0], *admin, *user], capture_output=True, text=True, check=False, timeout=30)
        assert made.returncode == 0, made.stderr
        may = {"Effect": "Allow", "Principal": {"AWS": [access]}}
        allowed = [
            {**may, "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"},
            {**may, "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"},
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": allowed})
        self.client.put_bucket_policy(Bucket=bucket, Policy=policy)
        return {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret}

    def keys(self, bucket: str) -> list[str]:
        """All of a bucket's keys."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def uploads(self, bucket: str) -> list[str]:
        """The keys of a bucket's unfinished uploads."""
        return [found["Key"] for found in self.client.list_multipart_uploads(Bucket=bucket).get("Uploads") or ()]

    def location(self, bucket: str, prefix: str = "", **options: Any) -> StorageLocation:
        return StorageLocation(f"s3://{bucket}/{prefix}", **{"endpoint": self.url, "region": REGION, **options})


def environment() -> dict[str, str]:
    """The variables that hold the credentials."""
    return {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_EC2_METADATA_DISABLED": "true"}


@contextmanager
def running_s3_server(*options: str) -> Iterator[S3Server]:
    """A server, with further command line options for versitygw; removed with its data afterwards."""
    program, why = gateway()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="bronze-s3-", dir="/tmp"))
    try:
        for name in ("data", "versions", "iam"):
            (folder / name).mkdir()
        if program:
            command = [
                str(program), "--port", f"127.0.0.1:{port}", "--access", ACCESS_KEY, "--secret", SECRET_KEY,
                "--region", REGION, "--quiet", "--keep-alive", "--health", "/health",
                "--iam-dir", str(folder / "iam"), *options,
                "posix", "--versioning-dir", str(folder / "versions"), str(folder / "data"),
            ]  # fmt: skip
        else:
            command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = S3Server(port, "versitygw" if program else "moto", why, tuple(command), folder / "log")
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path, why: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > deadline or process.poll() is not None:
                said = log.read_text(errors="replace")[-1000:]
                pytest.fail(f"no S3 server for the tests ({why or 'versitygw'}): {said}", pytrace=False)
            time.sleep(0.02)  # polling, with a deadline


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """See the module."""
    with running_s3_server() as server:
        yield server


@pytest.fixture
def s3_bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """See the module."""
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    return s3_server.new_bucket()


if __name__ == "__main__":  # builds it, which takes too long for a test
    built, missing = gateway()
    print(f"S3 server of the tests: {built or f'moto, because {missing}'}")
