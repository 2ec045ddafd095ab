"""Addresses of the services: where requests to a location go."""

from __future__ import annotations

import os

from bronze.storage.location import StorageLocation


def endpoint_of(location: StorageLocation) -> str | None:
    """The service's address, without a trailing slash; None for Amazon's and Google's own."""
    if location.scheme == "s3":
        found = location.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    else:
        found = location.endpoint or gcs_emulator()
    return found.rstrip("/") if found else None


def uses_path_style(location: StorageLocation) -> bool:
    """Whether requests name an S3 bucket in the path, not in the host: Amazon's certificate covers no further dots."""
    return endpoint_of(location) is not None or "." in location.bucket


def gcs_emulator() -> str | None:
    """The address of a Google Cloud Storage emulator, when the environment names one."""
    host = os.environ.get("STORAGE_EMULATOR_HOST")
    if not host:
        return None
    return host if "://" in host else f"http://{host}"
