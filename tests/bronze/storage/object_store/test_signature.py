"""The signature of S3 requests, compared with the one that Amazon's library makes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]

from bronze.storage.object_store.signature import Keys, query_string, signed_headers


@pytest.mark.parametrize("token", [None, "session-token"])
@pytest.mark.parametrize(
    "params", [{}, {"list-type": "2", "prefix": "a b/ü=+~*'()", "delimiter": "/", "continuation-token": "x=&?"}]
)
@pytest.mark.parametrize("headers", [{}, {"x-amz-request-payer": "requester"}])
def test_signature_is_that_of_amazons_library(
    token: str | None, params: dict[str, str], headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: now.replace(tzinfo=None))
    url = f"http://127.0.0.1:9000/bucket?{query_string(params)}"
    request = AWSRequest("GET", url, dict(headers), b"")
    S3SigV4Auth(Credentials("AKIAX", "secret", token), "s3", "eu-west-1").add_auth(request)
    keys = Keys(key_id="AKIAX", secret="secret", token=token)
    signed = signed_headers("GET", url, headers, keys=keys, region="eu-west-1", now=now)
    assert signed["authorization"] == request.headers["Authorization"]
    assert signed["x-amz-date"] == request.headers["X-Amz-Date"]


def test_keys_are_not_shown() -> None:
    assert "secret" not in repr(Keys(key_id="AKIAX", secret="secret"))
