"""What google-cloud-storage asks of the JSON API when Beam stages files; the objects are those of `gcs_server`."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import google_crc32c

if TYPE_CHECKING:
    from tests.support.gcs_server import Handler, Object

_PATH = re.compile(r"(/upload|/resumable/upload|/download)?/storage/v1/b/([^/]+)(?:/o(?:/(.+))?)?")
#: Of uploads in pieces: bucket, name, bytes so far.
_SESSIONS: dict[str, tuple[str, str, bytearray]] = {}


def answer_json(handler: Handler, path: str, asked: dict[str, str], body: bytes) -> bool:
    """Answer a request of the JSON API; false when it is none."""
    match = _PATH.fullmatch(path)
    if match is None:
        return False
    kind, bucket, key = match[1] or "", unquote(match[2]), unquote(match[3] or "")
    if kind.endswith("/upload"):
        _upload(handler, bucket, asked, body)
    elif not key:
        _reply(handler, {"kind": "storage#bucket", "name": bucket, "id": bucket})
    else:
        found = handler.held.buckets.get(bucket, {}).get(key)
        if found is None:
            _reply(handler, {"error": {"code": 404, "message": "Not Found"}}, 404)
        elif asked.get("alt") == "media":
            handler._answer(200, found.data, {"Content-Type": "application/octet-stream"})
        else:
            _reply(handler, _described(bucket, key, found))
    return True


def _upload(handler: Handler, bucket: str, asked: dict[str, str], body: bytes) -> None:
    held = handler.held
    if handler.command == "POST" and asked.get("uploadType") == "multipart":
        boundary = re.search(r'boundary="?([^";]+)', handler.headers["Content-Type"])
        assert boundary is not None
        parts = body.split(b"--" + boundary[1].strip("'").encode())
        name = json.loads(parts[1].split(b"\r\n\r\n", 1)[1])["name"]
        data = parts[2].split(b"\r\n\r\n", 1)[1][:-2]
    elif handler.command == "POST":
        name = (json.loads(body) if body else {}).get("name") or asked["name"]
        number = str(len(_SESSIONS))
        _SESSIONS[number] = (bucket, name, bytearray())
        at = f"http://{handler.headers['Host']}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={number}"
        return _reply(handler, {}, 200, {"Location": at})
    else:
        bucket, name, so_far = _SESSIONS[asked["upload_id"]]
        so_far += body
        if handler.headers.get("Content-Range", "").endswith("/*"):
            return handler._answer(308, b"", {"Range": f"bytes=0-{len(so_far) - 1}"})
        data = bytes(so_far)
    made = held.put(bucket, name, data, hashlib.md5(data, usedforsecurity=False).hexdigest(), {}, None)
    return _reply(handler, _described(bucket, name, made))


def _described(bucket: str, key: str, found: Object) -> dict[str, Any]:
    return {
        "kind": "storage#object",
        "bucket": bucket,
        "name": key,
        "id": f"{bucket}/{key}/{found.generation}",
        "size": str(len(found.data)),
        "generation": str(found.generation),
        "metageneration": "1",
        "etag": found.e_tag,
        "updated": "2026-01-01T00:00:00Z",
        "md5Hash": base64.b64encode(hashlib.md5(found.data, usedforsecurity=False).digest()).decode(),
        "crc32c": base64.b64encode(google_crc32c.Checksum(found.data).digest()).decode(),
    }


def _reply(handler: Handler, answer: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> None:
    handler._answer(status, json.dumps(answer).encode(), {"Content-Type": "application/json", **(headers or {})})
