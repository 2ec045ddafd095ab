"""Who made a partition: the program, its version and commit, as manifests and events name them."""

from __future__ import annotations

import functools
import importlib
import os
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

DISTRIBUTION = "bronze-copier"
#: The version of the program; setup.py takes it from here.
VERSION = "2.0.0"

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


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
    """Name the running program and the commit that it was built from, or that its checkout is at.

    ``BRONZE_COPIER_GIT_SHA`` is asked only where neither is known, as in a tree that was copied without ``.git``.
    """
    return Producer(DISTRIBUTION, f"v{VERSION}", _built_commit() or source_commit(Path(__file__).parents[1]))


@functools.cache
def pyarrow_version() -> str:
    """Version of pyarrow, whose writer decides the bytes of every parquet file; found without importing it."""
    return metadata.version("pyarrow")


def source_commit(tree: Path) -> str:
    """The commit of a source tree: of its git repository, else of the environment, else ``unknown``.

    Changes that are not committed are not seen.
    """
    try:
        found = _head_commit(tree / ".git")
    except OSError:
        found = ""
    return found or os.environ.get("BRONZE_COPIER_GIT_SHA", "") or "unknown"


def _built_commit() -> str:
    """The commit that setup.py wrote into the wheel; empty in a checkout."""
    try:
        return str(importlib.import_module("bronze._build").GIT_SHA)
    except ImportError:
        return ""


def _head_commit(git: Path) -> str:
    """The commit that HEAD names, read from the files of a repository or of a worktree; empty where there is none."""
    if git.is_file():  # a worktree or a submodule: the file names the directory
        git = git.parent / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref:"):
        return head if _COMMIT.fullmatch(head) else ""
    name = head.removeprefix("ref:").strip()
    common = git / "commondir"
    shared = git / common.read_text(encoding="utf-8").strip() if common.is_file() else git
    for folder in (git, shared):
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8").strip()
    packed = shared / "packed-refs"
    lines = packed.read_text(encoding="utf-8").splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), "")
