"""What is mounted where: other file systems below a directory, and mounts whose locks exclude one machine only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MOUNT_TABLE = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")
#: File systems of other machines or services whose locks do not leave this machine, whatever their options.
_LOCAL_LOCK_KINDS = frozenset({"fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse", "fuse.goofys", "vboxsf"})
#: Mount options with which locks do not leave this machine.
_LOCAL_LOCK_OPTIONS = frozenset(
    {"nolock", "local_lock=all", "local_lock=flock", "nobrl", "localflock", "localflocks"}
)  # fmt: skip
#: Kinds to which one of these options applies.
_NETWORK_KINDS = frozenset({"nfs", "nfs4", "cifs", "smb3", "lustre", "ocfs2", "ceph"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A mounted file system.

    Attributes:
        point: the directory at which it is mounted, without symbolic links.
        kind: of file system, such as ``ext4``, ``nfs4`` or ``fuse.rclone``.
        options: of the mount and of the file system.
    """

    point: str
    kind: str
    options: frozenset[str]

    @property
    def has_local_locks(self) -> bool:
        """Whether locks are known to exclude processes of this machine only, though other machines see the files."""
        return self.kind in _LOCAL_LOCK_KINDS or (
            self.kind in _NETWORK_KINDS and not _LOCAL_LOCK_OPTIONS.isdisjoint(self.options)
        )


def read_mounts(table: Path = _MOUNT_TABLE) -> list[Mount]:
    """All mounts of this process, in the order in which they were made; none where the system does not tell."""
    try:
        lines = table.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    return list(_parse(lines))


def _parse(lines: list[str]) -> Iterator[Mount]:
    for line in lines:
        fields = line.split(" ")
        try:
            after = fields.index("-", 6)
            kind, options = fields[after + 1], f"{fields[5]},{fields[after + 3]}"
        except (ValueError, IndexError):
            continue
        point = _ESCAPED.sub(lambda found: chr(int(found[1], 8)), fields[4])
        yield Mount(point=point, kind=kind, options=frozenset(options.split(",")))


def is_below(path: str, directory: str) -> bool:
    """Whether `path` is strictly below `directory`; both are absolute, without symbolic links."""
    return path != directory and path.startswith(directory.rstrip("/") + "/")


def mount_of(path: str, mounts: list[Mount]) -> Mount | None:
    """The mount that the existing or future file `path` is on; None when that is not known."""
    holding = [mount for mount in mounts if mount.point == path or is_below(path, mount.point)]
    # Of several at one point the last one covers the others.
    return max(reversed(holding), key=lambda mount: len(mount.point), default=None)
