"""The signature of S3 requests (AWS Signature Version 4) that have no body: Amazon's library takes long to load."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

_EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Credentials: the access key's id, its secret, and the session's token where there is one."""

    key_id: str
    secret: str
    token: str | None = None

    def __repr__(self) -> str:
        return "Keys(***)"


def query_string(params: Mapping[str, str]) -> str:
    """The parameters as the signature has them: in the order of their names, everything escaped."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(params.items()))


def signed_headers(
    method: str, url: str, headers: Mapping[str, str], *, keys: Keys, region: str, now: datetime
) -> dict[str, str]:
    """The headers of a request without a body: `headers`, and those that sign it.

    Args:
        url: with an escaped path and with the query of `query_string`.
        headers: names in lower case, without ``host``.
        now: the time of the request.
    """
    parts = urlsplit(url)
    moment = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    signed = {**headers, "x-amz-content-sha256": _EMPTY, "x-amz-date": moment}
    if keys.token:
        signed["x-amz-security-token"] = keys.token
    canonical = sorted({**signed, "host": parts.netloc}.items())
    names = ";".join(name for name, _ in canonical)
    request = "\n".join(
        [method, parts.path or "/", parts.query, *(f"{name}:{value.strip()}" for name, value in canonical), "", names,
         _EMPTY]
    )  # fmt: skip
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{keys.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return signed
