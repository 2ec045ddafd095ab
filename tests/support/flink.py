"""A real Flink cluster for tests: plain Java processes in a network namespace of their own.

Beam's ports of TaskManagers and job server listen on all interfaces; in that namespace there is nothing but loopback.

Fixtures, to be imported by a test module:
    packages   Flink and Beam's job server, as ``templates/flink/get_packages.sh`` gets them; skips without them
    network    the namespace
"""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

REPOSITORY = Path(__file__).parents[2]
TEMPLATES = REPOSITORY / "templates" / "flink"
#: Where the packages are, unless ``BRONZE_FLINK_PACKAGES`` says otherwise.
DEFAULT_PACKAGES = Path.home() / ".cache" / "bronze-copier" / "flink"
REST = "127.0.0.1:8081"
_CLONE_NEWNET = 0x40000000
_START_LIMIT_S = 120.0
Answer = TypeVar("Answer")


class Packages:
    """The jars of Flink and of Beam's job server."""

    def __init__(self, folder: Path) -> None:
        self.jars, self.job_server = folder / "flink", folder / "job-server.jar"


@pytest.fixture(scope="session")
def packages() -> Packages:
    """See the module."""
    folder = Path(os.environ.get("BRONZE_FLINK_PACKAGES") or DEFAULT_PACKAGES)
    found = Packages(folder)
    if not (found.jars.is_dir() and found.job_server.is_file()):
        pytest.skip(f"there are no Flink packages in {folder}: templates/flink/get_packages.sh {folder}")
    return found


class Network:
    """A network namespace with loopback alone. Every process in it dies with the fixture."""

    def __init__(self) -> None:
        holder = "ip link set lo up && echo ready && exec cat"
        as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
        self._holder = subprocess.Popen(
            ["unshare", *as_root, "--net", "sh", "-c", holder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n", "no network namespace can be made here"
        self._inode = Path(f"/proc/{self._holder.pid}/ns/net").readlink()
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        self._enter = ["nsenter", *user, "--net", f"--target={self._holder.pid}"]

    def start(self, *command: str | Path, **keys: Any) -> subprocess.Popen[str]:
        """Start a program in the namespace; it has the process id of what is returned."""
        return subprocess.Popen([*self._enter, *map(str, command)], text=True, **keys)

    def call(self, command: list[str | Path], environment: Mapping[str, str]) -> None:
        """Run a program in the namespace to its end."""
        subprocess.run([*self._enter, *map(str, command)], env=dict(environment), check=True, timeout=_START_LIMIT_S)

    def within(self, ask: Callable[[], Answer]) -> Answer:
        """What `ask` returns, called in a thread that is in the namespace; for root."""
        with ThreadPoolExecutor(1, initializer=self._move_thread) as thread:
            return thread.submit(ask).result(timeout=60)

    @contextmanager
    def forward(self, port: int) -> Iterator[None]:
        """Let programs in the namespace reach a port of this machine's loopback, by the same address, in the block."""
        listener = self.within(lambda: socket.create_server(("127.0.0.1", port)))

        def pump(source: socket.socket, target: socket.socket) -> None:
            with suppress(OSError):
                while data := source.recv(1 << 16):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)

        def relay(inside: socket.socket) -> None:
            with inside, socket.create_connection(("127.0.0.1", port)) as outside:
                back = threading.Thread(target=pump, args=(outside, inside), daemon=True)
                back.start()
                pump(inside, outside)
                back.join()

        def accept() -> None:
            with suppress(OSError):  # the listener was closed
                while True:
                    threading.Thread(target=relay, args=listener.accept()[:1], daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            listener.close()

    def _move_thread(self) -> None:
        with Path(f"/proc/{self._holder.pid}/ns/net").open("rb") as namespace:
            assert ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET) == 0, "needs root"

    def processes(self, word: str = "") -> list[int]:
        """The processes in the namespace whose command line holds `word`, but for the one that holds it."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != self._holder.pid:
                with suppress(OSError):
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if (entry / "ns" / "net").readlink() == self._inode and word in command:
                        found.append(int(entry.name))
        return found

    def close(self) -> None:
        """End every process in the namespace."""
        while left := self.processes():
            for process in left:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.02)
        self._holder.kill()
        self._holder.communicate()


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    """See the module."""
    made = Network()
    try:
        yield made
    finally:
        made.close()


class Cluster:
    """One JobManager and two TaskManagers, started by ``templates/flink/local_cluster.sh``.

    Args:
        environment: variables of the TaskManagers, and so of the workers.
    """

    def __init__(self, folder: Path, packages: Packages, network: Network, environment: Mapping[str, str]) -> None:
        self.folder, self._network = folder, network
        self._environment = {**os.environ, **environment, "FLINK_JARS": str(packages.jars), "RUN": str(folder)}

    def start(self) -> None:
        """Start it whole, and wait until all slots are there."""
        self._script("start", "2", "2")
        self._wait(lambda: self.ask("/overview")["slots-total"] == 4, "four slots")

    def process(self, name: str) -> int:
        """The process of ``jobmanager``, ``taskmanager-1`` or ``taskmanager-2``."""
        return int((self.folder / f"{name}.pid").read_text())

    def kill(self, name: str) -> None:
        """End one of them with SIGKILL."""
        os.kill(self.process(name), signal.SIGKILL)

    def start_taskmanager(self, number: int) -> None:
        """Start one again."""
        self._script("taskmanager", str(number))

    def restart(self) -> None:
        """Kill it whole, and start it again."""
        for name in ("taskmanager-1", "taskmanager-2", "jobmanager"):
            self.kill(name)
        self.start()

    def ask(self, path: str, method: str = "GET") -> Any:
        """What Flink's REST service answers."""

        def ask() -> Any:
            connection = http.client.HTTPConnection(REST, timeout=20)
            try:
                connection.request(method, path)
                return json.loads(connection.getresponse().read() or b"null")
            finally:
                connection.close()

        return self._network.within(ask)

    def jobs(self, state: str) -> list[str]:
        """The ids of the jobs in a state."""
        return [job["jid"] for job in self.ask("/jobs/overview")["jobs"] if job["state"] == state]

    def logs(self) -> str:
        """Everything that JobManager and TaskManagers logged."""
        return "".join(path.read_text(errors="replace") for path in sorted((self.folder / "log").iterdir()))

    def _script(self, *arguments: str) -> None:
        self._network.call([TEMPLATES / "local_cluster.sh", *arguments], self._environment)

    @staticmethod
    def _wait(holds: Callable[[], bool], what: str) -> None:
        ends_at = time.monotonic() + _START_LIMIT_S
        while True:
            with suppress(OSError, http.client.HTTPException, KeyError, ValueError):
                if holds():
                    return
            assert time.monotonic() < ends_at, f"waited for {what}"
            time.sleep(0.2)


@contextmanager
def running_cluster(
    folder: Path, packages: Packages, network: Network, environment: Mapping[str, str]
) -> Iterator[Cluster]:
    """A cluster until the block ends."""
    made = Cluster(folder, packages, network, environment)
    made.start()
    try:
        yield made
    finally:
        for process in network.processes("org.apache.flink"):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
