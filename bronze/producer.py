"""Who made a partition: the program, its version and commit, as manifests and events name them."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from importlib import metadata

DISTRIBUTION = "bronze-copier"


@dataclass(frozen=True, slots=True)
class Producer:
    """The producer of manifests and events."""

    name: str
    version: str
    git_sha: str

    def as_json(self) -> dict[str, str]:
        """The keys in the order that the event hash fixes."""
        return {"name": self.name, "version": self.version, "git_sha": self.git_sha}


@functools.cache
def this_producer() -> Producer:
    """Name the running installation; the commit is what it was built from (``BRONZE_COPIER_GIT_SHA``)."""
    try:
        version = metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        version = "0.0.0"
    return Producer(DISTRIBUTION, f"v{version}", os.environ.get("BRONZE_COPIER_GIT_SHA", "unknown"))
