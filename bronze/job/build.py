"""What a worker on another machine must have in common with the process that launched its run."""

from __future__ import annotations

import functools
import sys
from importlib import metadata

from bronze.errors import ConfigError
from bronze.producer import pyarrow_version, this_producer
from bronze.xdr.table import STELLAR_SDK


@functools.cache
def this_build() -> str:
    """The versions of this process that decide what it publishes, and whether it understands what it is sent."""
    producer = this_producer()
    return (
        f"{producer.name} {producer.version} ({producer.git_sha}), pyarrow {pyarrow_version()}, reader table of"
        f" stellar-sdk {STELLAR_SDK}, apache-beam {metadata.version('apache-beam')}, Python"
        f" {sys.version_info.major}.{sys.version_info.minor}"
    )


def check_build(launched_by: str) -> None:
    """Check that this process is of the build `launched_by`; empty: it is the launching one, or its child.

    Raises:
        ConfigError: it is of another.
    """
    if launched_by and launched_by != this_build():
        raise ConfigError(
            f"this worker is {this_build()}, but its run was launched by {launched_by}: install the same on all"
            " machines"
        )
