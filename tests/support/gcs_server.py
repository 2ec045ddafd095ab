"""A Google Cloud Storage server for tests: the part of the XML API that the client uses, and what Beam
asks of the JSON API when it stages a job (`gcs_json`). Objects are kept in memory.

It runs as a separate process, so that a client that holds the interpreter lock cannot stop it. Every request that
changes something is one critical section, so conditions are atomic.

Fixtures, to be imported by a conftest or a test module:
    gcs_server  the session's server
    gcs_bucket  an empty bucket of the test's own, with the emulator's address in the environment
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

import google_crc32c  # not the library that the code under test uses

from tests.support.gcs_json import answer_json
from tests.support.http_server import RequestHandler, Server

_PAGE = 1000
_SMALLEST_PART = 5 << 20
_NUMBERS = itertools.count()


class Refused(Exception):
    """A response that is an error."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


@dataclass
class Object:
    data: bytes
    e_tag: str
    generation: int
    attributes: dict[str, str]
    modified: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))


@dataclass
class Upload:
    bucket: str
    key: str
    attributes: dict[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)
    begun: datetime = field(default_factory=lambda: datetime.now(UTC))


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class Buckets:
    """The server's state.

    Attributes:
        heedless: ignore every condition, as some services do.
        reticent: state no checksums.
        public: allow reads without credentials.
        log: method and target of every request.
    """

    def __init__(self, token: str, *, heedless: bool, reticent: bool, public: bool) -> None:
        self.token, self.heedless, self.reticent, self.public = token, heedless, reticent, public
        self.lock = threading.RLock()
        self.buckets: dict[str, dict[str, Object]] = {}
        self.uploads: dict[str, Upload] = {}
        self.log: list[str] = []
        self._generations = itertools.count(time.time_ns() // 1000)

    def bucket(self, name: str) -> dict[str, Object]:
        if name not in self.buckets:
            raise Refused(404, "NoSuchBucket")
        return self.buckets[name]

    def find(self, bucket: str, key: str) -> Object:
        found = self.bucket(bucket).get(key)
        if found is None:
            raise Refused(404, "NoSuchKey")
        return found

    def put(
        self, bucket: str, key: str, data: bytes, e_tag: str, attributes: dict[str, str], wanted: str | None
    ) -> Object:
        """Write if the current generation is the one `wanted` (0: no object)."""
        objects = self.bucket(bucket)
        lies_there = objects[key].generation if key in objects else 0
        if wanted is not None and int(wanted) != lies_there and not self.heedless:
            raise Refused(412, "PreconditionFailed")
        made = objects[key] = Object(data, e_tag, next(self._generations), attributes)
        return made


class Handler(RequestHandler):
    held: Buckets

    def handle_request(self) -> None:
        target = urlsplit(self.path)
        asked = dict(parse_qsl(target.query, keep_blank_values=True))
        bucket, _, key = unquote(target.path).lstrip("/").partition("/")
        body = self.read_body()
        if body is None:
            return None
        try:
            if bucket == "-":
                return self._control(key)
            with self.held.lock:
                if answer_json(self, target.path, asked, body):
                    return None
            authorization = self.headers.get("Authorization")
            anonymous = authorization is None and self.held.public and self.command in ("GET", "HEAD")
            if not anonymous and authorization != f"Bearer {self.held.token}":
                raise Refused(401, "AuthenticationRequired")
            self.held.log.append(f"{self.command} {self.path}")
            with self.held.lock:
                return self._on_object(bucket, key, asked, body) if key else self._on_bucket(bucket, asked)
        except Refused as refused:
            return self._answer(refused.status, f"<Error><Code>{refused.code}</Code></Error>".encode())

    def _control(self, what: str) -> None:
        """Requests of the tests: ``new/BUCKET``, ``log``, ``clear``."""
        if what.startswith("new/"):
            self.held.buckets[what.removeprefix("new/")] = {}
        text = "\n".join(self.held.log)
        if what == "clear":
            self.held.log.clear()
        self._answer(200, text.encode())

    def _answer(
        self, status: int, body: bytes = b"", headers: Mapping[str, object] = MappingProxyType({}), length: int = -1
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.send_header("Content-Length", str(len(body) if length < 0 else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _describe(self, found: Object) -> dict[str, object]:
        known = {"ETag": f'"{found.e_tag}"', "x-goog-generation": found.generation}
        if not self.held.reticent:
            known["x-goog-hash"] = "crc32c=" + base64.b64encode(google_crc32c.Checksum(found.data).digest()).decode()
        return {**known, "Last-Modified": format_datetime(found.modified, usegmt=True), **found.attributes}

    def _attributes(self) -> dict[str, str]:
        names = re.compile(r"content-type|cache-control|x-goog-meta-.*", re.IGNORECASE)
        return {name: value for name, value in self.headers.items() if names.fullmatch(name)}

    def _on_object(self, bucket: str, key: str, asked: dict[str, str], body: bytes) -> None:
        wanted = self.headers.get("x-goog-if-generation-match")
        if self.command in ("GET", "HEAD"):
            self._read(self.held.find(bucket, key))
        elif self.command == "DELETE" and "uploadId" in asked:
            self._upload(asked, bucket, key)
            del self.held.uploads[asked["uploadId"]]
            self._answer(204)
        elif self.command == "DELETE":
            self.held.find(bucket, key)
            del self.held.buckets[bucket][key]
            self._answer(204)
        elif self.command == "POST" and "uploads" in asked:
            self.held.bucket(bucket)
            name = os.urandom(12).hex()
            self.held.uploads[name] = Upload(bucket, key, self._attributes())
            self._answer(200, _xml("InitiateMultipartUploadResult", Bucket=bucket, Key=key, UploadId=name))
        elif self.command == "POST":
            self._complete(self._upload(asked, bucket, key), asked["uploadId"], body, wanted)
        elif "uploadId" in asked:
            self._upload(asked, bucket, key).parts[int(asked["partNumber"])] = body
            self._answer(200, headers={"ETag": f'"{_md5(body)}"'})
        elif source := self.headers.get("x-goog-copy-source"):
            from_bucket, _, from_key = unquote(source).lstrip("/").partition("/")
            old = self.held.find(from_bucket, from_key)
            made = self.held.put(bucket, key, old.data, old.e_tag, old.attributes, wanted)
            self._answer(200, _xml("CopyObjectResult", ETag=f'"{made.e_tag}"'), self._describe(made))
        else:
            made = self.held.put(bucket, key, body, _md5(body), self._attributes(), wanted)
            self._answer(200, headers=self._describe(made))

    def _read(self, found: Object) -> None:
        match = self.headers.get("If-Match")
        if match and match != f'"{found.e_tag}"':
            raise Refused(412, "PreconditionFailed")
        described = self._describe(found)
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not part:
            return self._answer(200, found.data, described, len(found.data))
        start, end = int(part[1]), min(int(part[2] or len(found.data)), len(found.data) - 1)
        if start > end:
            raise Refused(416, "InvalidRange")
        described["Content-Range"] = f"bytes {start}-{end}/{len(found.data)}"
        return self._answer(206, found.data[start : end + 1], described)

    def _upload(self, asked: dict[str, str], bucket: str, key: str) -> Upload:
        upload = self.held.uploads.get(asked.get("uploadId", ""))
        if upload is None or (upload.bucket, upload.key) != (bucket, key):
            raise Refused(404, "NoSuchUpload")
        return upload

    def _complete(self, upload: Upload, name: str, body: bytes, wanted: str | None) -> None:
        listed = [
            (int(part.findtext("{*}PartNumber", "0")), part.findtext("{*}ETag", "").strip('"'))
            for part in ET.fromstring(body).iterfind("{*}Part")
        ]
        if not listed or any(_md5(upload.parts.get(number, b"")) != e_tag for number, e_tag in listed):
            raise Refused(400, "InvalidPart")
        parts = [upload.parts[number] for number, _ in listed]
        if any(len(part) < _SMALLEST_PART for part in parts[:-1]):
            raise Refused(400, "EntityTooSmall")
        e_tag = base64.urlsafe_b64encode(os.urandom(9)).decode()  # independent of the content, as Google's may be
        made = self.held.put(upload.bucket, upload.key, b"".join(parts), e_tag, upload.attributes, wanted)
        del self.held.uploads[name]
        self._answer(200, _xml("CompleteMultipartUploadResult", Key=upload.key, ETag=made.e_tag), self._describe(made))

    def _on_bucket(self, bucket: str, asked: dict[str, str]) -> None:
        objects = self.held.bucket(bucket)
        prefix = asked.get("prefix", "")
        if "uploads" in asked:
            found = [
                f"<Upload><Key>{escape(upload.key)}</Key><UploadId>{name}</UploadId>"
                f"<Initiated>{upload.begun.isoformat()}</Initiated></Upload>"
                for name, upload in self.held.uploads.items()
                if upload.bucket == bucket and upload.key.startswith(prefix)
            ]
            found.append("<IsTruncated>false</IsTruncated>")
            body = f"<ListMultipartUploadsResult>{''.join(found)}</ListMultipartUploadsResult>"
            return self._answer(200, body.encode())
        delimiter, after = asked.get("delimiter"), asked.get("continuation-token") or asked.get("start-after", "")
        rows: dict[str, str] = {}
        for key in sorted(objects, key=str.encode):
            if not key.startswith(prefix) or key.encode() <= after.encode():
                continue
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            name = key if cut < 0 else key[: cut + 1]
            if name in rows or (cut >= 0 and name.encode() <= after.encode()):
                continue
            if len(rows) == _PAGE:
                token = escape(next(reversed(rows)))
                more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
                break
            rows[name] = (
                f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" if cut >= 0
                else f"<Contents><Key>{escape(key)}</Key><Size>{len(objects[key].data)}</Size>"
                f"<LastModified>{objects[key].modified.isoformat()}</LastModified><ETag>{objects[key].e_tag}</ETag></Contents>"
            )  # fmt: skip
        else:
            more = "<IsTruncated>false</IsTruncated>"
        body = f"<ListBucketResult><Prefix>{escape(prefix)}</Prefix>{more}{''.join(rows.values())}</ListBucketResult>"
        return self._answer(200, body.encode())


def _xml(root: str, **fields: str) -> bytes:
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
    return f"<{root}>{inner}</{root}>".encode()


def serve(token: str, **kind: bool) -> None:
    """Serve on a free port, which is printed, until the parent ends."""
    handler = type("BoundHandler", (Handler,), {"held": Buckets(token, **kind)})
    server = Server(("127.0.0.1", 0), handler)
    print(server.server_port, flush=True)
    server.serve_forever(60)


@dataclass(frozen=True)
class GcsServer:
    """A running server."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def new_bucket(self) -> str:
        name = f"bucket-{os.getpid()}-{next(_NUMBERS)}"
        self._control(f"new/{name}")
        return name

    def take_log(self) -> list[str]:
        """The requests since it was last asked: method and target of each."""
        return self._control("clear").splitlines()

    def _control(self, what: str) -> str:
        with urllib.request.urlopen(f"{self.url}/-/{what}", timeout=30) as answer:
            return str(answer.read().decode())


@contextmanager
def running_gcs_server(
    token: str = "emulator", *, heedless: bool = False, reticent: bool = False, public: bool = False
) -> Iterator[GcsServer]:
    command = [sys.executable, "-m", "tests.support.gcs_server", token]
    command += [
        option for option, on in (("--heedless", heedless), ("--reticent", reticent), ("--public", public)) if on
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    try:
        assert process.stdout is not None
        yield GcsServer(int(process.stdout.readline()))
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("token")
    parser.add_argument("--heedless", action="store_true")
    parser.add_argument("--reticent", action="store_true")
    parser.add_argument("--public", action="store_true")
    arguments = parser.parse_args()
    with suppress(KeyboardInterrupt):
        serve(**vars(arguments))


if __name__ == "__main__":
    _main()
else:
    # Only for the tests: the server itself starts without it.
    import pytest

    @pytest.fixture(scope="session")
    def gcs_server() -> Iterator[GcsServer]:
        """See the module."""
        with running_gcs_server() as server:
            yield server

    @pytest.fixture
    def gcs_bucket(gcs_server: GcsServer, monkeypatch: pytest.MonkeyPatch) -> str:
        """See the module."""
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server.url)
        return gcs_server.new_bucket()
