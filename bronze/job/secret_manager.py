"""Secrets that are kept in Google's Secret Manager, read by the name of a version of theirs. The name is no secret."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from bronze.errors import ConfigError

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

#: Seconds that one answer, with its retries, may take.
_TIMEOUT_S = 60.0
#: A longer one is no connection string and no URL.
_MAX_BYTES = 16 << 10


@functools.cache
def read_secret(version: str) -> str:
    """The secret in `version` (``projects/P/secrets/S/versions/N``), read once in each process.

    Raises:
        ConfigError: it cannot be read, or is no text; the message has its name and not its content.
    """
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        answer = open_client().access_secret_version(name=version, timeout=_TIMEOUT_S)
    except (GoogleAPIError, GoogleAuthError) as error:
        reason = type(error).__name__
        raise ConfigError(
            f"the secret {version} cannot be read ({reason}): it must exist, and the service account of this process"
            " needs roles/secretmanager.secretAccessor on it"
        ) from None
    data = answer.payload.data
    try:
        text = data.decode() if len(data) <= _MAX_BYTES else ""
    except UnicodeDecodeError:
        text = ""
    if not text.strip():
        raise ConfigError(f"the secret {version} is no text of 1 to {_MAX_BYTES} bytes")
    return text.strip()


def open_client() -> SecretManagerServiceClient:
    """A client with the credentials of this process."""
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

    return SecretManagerServiceClient(transport="rest")
