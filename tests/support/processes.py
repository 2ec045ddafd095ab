"""What the kernel says of processes: their descendants, and the sockets on which they accept connections."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_LISTENING_TCP = "0A"
_LISTENING_UNIX = 0x10000


def descendants(process: int) -> list[int]:
    """The process and all that it started, directly or not, and that still exist."""
    found = [process]
    for each in found:
        with suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found.extend(map(int, (task / "children").read_text().split()))
    return found


def command_of(process: int) -> str:
    """Its command line; empty when it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def listening(processes: list[int]) -> set[str]:
    """What the processes accept connections or datagrams on: ``tcp 00000000:1F90``, ``unix /path``, ...

    Of UDP, only sockets that are connected to nobody.
    """
    own = {inode for process in processes for inode in _socket_inodes(process)}
    found = set()
    for protocol in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path("/proc/net", protocol).read_text().splitlines()[1:]:
            fields = line.split()
            accepts = fields[3] == _LISTENING_TCP if "tcp" in protocol else fields[3] == "07"
            if accepts and fields[9] in own:
                found.add(f"{protocol} {fields[1]}")
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[3], 16) & _LISTENING_UNIX and fields[6] in own:
            found.add(f"unix {' '.join(fields[7:])}")
    return found


def listening_ports(processes: Iterable[int]) -> set[int]:
    """The TCP ports on which the processes accept connections."""
    own = {inode for process in processes for inode in _socket_inodes(process)}
    found = set()
    for protocol in ("tcp", "tcp6"):
        for line in Path("/proc/net", protocol).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENING_TCP and fields[9] in own:
                found.add(int(fields[1].rpartition(":")[2], 16))
    return found


def _socket_inodes(process: int) -> list[str]:
    found = []
    with suppress(OSError):
        for handle in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):
                target = str(handle.readlink())
                if target.startswith("socket:["):
                    found.append(target[len("socket:[") : -1])
    return found
