"""Runs a program that may read and not write: as a user without rights, or behind read-only mounts.

Both give the beginning of a command line: ``[*without_rights(tree), sys.executable, …]``. Root is bound by them too.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

_NOBODY = 65534
#: Mounts each place over itself, read-only, in a mount namespace that ends with the program.
_MOUNTS = """
count=$1; shift
while [ "$count" -gt 0 ]; do
    mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 99
    shift; count=$((count - 1))
done
exec "$@"
"""


def without_rights(*places: Path) -> list[str]:
    """Leave everything at and below `places` readable and not writable for the program that runs under this.

    Root gives it all to nobody and the program runs without a single capability: so root's files, the interpreter
    among them, can be read as before, and what belongs to somebody else cannot be written. Others take the permission
    away from themselves.
    """
    for path in (path for place in places for path in [place, *place.rglob("*")]):
        mode = path.stat().st_mode
        if os.geteuid() == 0:
            os.chown(path, _NOBODY, _NOBODY)
            path.chmod(mode & ~0o022 | (0o055 if path.is_dir() else 0o044))
        else:
            path.chmod(mode & ~0o222)
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


def mounted_read_only(*places: Path) -> list[str]:
    """Mount each of `places` read-only for the program that runs under this; nobody else sees the mounts."""
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    return [*namespace, "sh", "-c", _MOUNTS, "sh", str(len(places)), *map(str, places)]


def is_refused(under: Sequence[str], place: Path) -> bool:
    """Whether a program under this can create nothing in the directory `place`."""
    tried = subprocess.run([*under, "touch", str(place / "probe")], capture_output=True, check=False, timeout=30)
    return tried.returncode == 1 and not (place / "probe").exists()
