"""A scan of every TCP port on every address of this machine, as another user where that can be had.

python -m tests.support.port_scan [FIRST LAST]      prints "ADDRESS PORT" of each port that accepts a connection
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from tests.support.processes import listening_ports

REPOSITORY = Path(__file__).parents[2]
_NOBODY = 65534
_TIMEOUT_S = 1.0


def addresses() -> list[str]:
    """The addresses of all interfaces, but for those that hold on one link only."""
    found = ["127.0.0.1"]
    for line in Path("/proc/net/fib_trie").read_text().splitlines():
        if line.strip().startswith("|--"):
            candidate = line.split()[-1]
        elif "/32 host LOCAL" in line and candidate not in found:
            found.append(candidate)
    with suppress(FileNotFoundError):
        for line in Path("/proc/net/if_inet6").read_text().splitlines():
            digits, _, _, scope, *_ = line.split()
            if scope != "20":
                found.append(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits)))
    return found


def open_ports(first: int = 1, last: int = 65535) -> set[tuple[str, int]]:
    """The ports `first` to `last` that accept a connection of user nobody (of this one, where it is not root)."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.port_scan", str(first), str(last)],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {(address, int(port)) for address, port in map(str.split, done.stdout.splitlines())}


def still_open(found: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
    """Those of `found` that accept a connection now."""
    return {(address, port) for address, port in found if _accepts(address, port)}


def unexplained(found: Collection[tuple[str, int]], processes: Collection[int]) -> set[tuple[str, int]]:
    """Those of `found` behind which there is no other process than `processes`, as far as that can be seen."""
    others = {int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()} - set(processes)
    ports = listening_ports(others)
    return {(address, port) for address, port in found if port not in ports}


def _accepts(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(_TIMEOUT_S)
        # Where the probe was given the very port that it asks for, it is connected to itself.
        return probe.connect_ex((address, port)) == 0 and probe.getsockname() != probe.getpeername()


def main() -> None:
    """Scan as user nobody and print what accepts a connection."""
    first, last = (int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) == 3 else (1, 65535)
    found = addresses()
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    for address in found:
        for port in range(first, last + 1):
            if _accepts(address, port):
                print(address, port)


if __name__ == "__main__":
    main()
