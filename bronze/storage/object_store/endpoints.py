"""Addresses of the services: where requests to a location go."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from bronze.errors import ConfigError
from bronze.redact import redact
from bronze.storage.location import StorageLocation

_SERVER = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+(?:/[A-Za-z0-9._~/-]*)?")


def endpoint_of(location: StorageLocation) -> str | None:
    """The service's address, without a trailing slash; None for Amazon's and Google's own.

    Raises:
        ConfigError: what the environment or the location names is not the URL of a server.
    """
    if location.endpoint:
        return _checked(location.endpoint, "the endpoint")
    if location.scheme == "gs":
        return gcs_emulator()
    for variable in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if found := os.environ.get(variable):
            return _checked(found, f"the environment variable {variable}")
    return None


def uses_path_style(location: StorageLocation) -> bool:
    """Whether requests name an S3 bucket in the path, not in the host: Amazon's certificate covers no further dots."""
    return endpoint_of(location) is not None or "." in location.bucket


def gcs_emulator() -> str | None:
    """The address of a Google Cloud Storage emulator, when the environment names one.

    Raises:
        ConfigError: what it names is not a server.
    """
    host = os.environ.get("STORAGE_EMULATOR_HOST")
    if not host:
        return None
    return _checked(host if "://" in host else f"http://{host}", "the environment variable STORAGE_EMULATOR_HOST")


def _checked(url: str, origin: str) -> str:
    """`url` without a trailing slash, if it is that of a server; raise `ConfigError`, which names `origin`, if not."""
    try:
        parts = urlsplit(url)
        valid = bool(_SERVER.fullmatch(url) and parts.hostname and (parts.port is None or parts.port > 0))
    except ValueError:  # brackets that do not match, a port that is none
        valid = False
    if not valid:
        raise ConfigError(f"{origin} is {redact(url)!r}, but must be http(s)://host or http(s)://host:port")
    return url.rstrip("/")
