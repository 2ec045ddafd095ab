"""Workers of a local run: nobody else can reach them, and none outlives its run or holds it up when it is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress

import pytest

from bronze.xdr import is_compiled
from tests.e2e.conftest import Copier, LakeFiles, finish, wait_until
from tests.support.port_scan import open_ports, still_open, unexplained
from tests.support.processes import command_of, descendants, listening

compiled = pytest.param(
    "compiled", marks=pytest.mark.skipif(not is_compiled(), reason="the reader is not compiled"), id="compiled"
)
#: An address that no machine has.
PROXY = "http://192.0.2.1:9"
PROXIES = dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY"), PROXY)


@pytest.fixture
def copy(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """32 partitions."""
    return copier(sample(first=8, ledgers=32).root, ledger_start=8, ledger_end=39, partition_size=1)


def worker_processes(program: subprocess.Popen[str]) -> list[int]:
    return [process for process in descendants(program.pid) if "bronze.job.copier_child" in command_of(process)]


def test_listening_sockets_are_seen() -> None:
    assert listening([os.getpid()]) == set()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("127.0.0.1", 0))
        ports = [f"{each.getsockname()[1]:04X}" for each in (server, datagrams)]
        assert listening([os.getpid()]) == {f"tcp 0100007F:{ports[0]}", f"udp 0100007F:{ports[1]}"}


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("reader", [compiled, "interpreted"])
def test_run_listens_on_no_socket(reader: str, workers: int, copy: Copier) -> None:
    """Also where a proxy is set, which workers that are reached over ports would wait for."""
    copy.settings["perf"] |= {"workers": workers, "max_in_flight_partitions": workers, "wave_partitions": 32}
    program = copy.start(BRONZE_READER=reader, **PROXIES)
    sockets: set[str] = set()
    looks_while_copying = most_processes = 0
    while program.poll() is None:
        processes = descendants(program.pid)
        sockets |= listening(processes)
        looks_while_copying += 0 < len(copy.partitions()) < 32
        most_processes = max(most_processes, len(worker_processes(program)))
        with suppress(subprocess.TimeoutExpired):
            program.wait(0.02)
    ran = finish(program)

    assert (ran.status, sockets) == (0, set()), ran
    assert looks_while_copying
    assert most_processes == (workers if reader == "interpreted" and workers > 1 else 0)
    assert copy.verified()


def test_port_scan_finds_an_open_port() -> None:
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        found = open_ports(port, port)
        assert ("127.0.0.1", port) in found
        assert unexplained(found, [os.getpid()]) == found
        assert unexplained(found, []) == set()


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("reader", [compiled, "interpreted"])
def test_nobody_can_connect_to_run(reader: str, workers: int, copy: Copier) -> None:
    """The run is held in the middle while every port on every address is tried: the kernel accepts all the same."""
    copy.settings["perf"] |= {"workers": workers, "max_in_flight_partitions": workers, "wave_partitions": 32}
    program = copy.start(BRONZE_READER=reader)
    wait_until(lambda: program.poll() is not None or bool(copy.partitions()), "the first partition")
    processes = descendants(program.pid)
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        assert len(copy.partitions()) < 32
        # Servers of other tests may have ended while the scan went on; those of the run cannot.
        found = unexplained(still_open(open_ports()), processes)
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)

    assert finish(program).status == 0
    # What still accepts connections is of a process that cannot be seen, not of the run.
    assert found - still_open(found) == set()
    assert copy.verified()


def test_killed_worker_process_is_replaced(copy: Copier) -> None:
    copy.settings["perf"] |= {"workers": 2, "wave_partitions": 32}
    program = copy.start(BRONZE_READER="interpreted")
    wait_until(lambda: bool(worker_processes(program)) and bool(copy.partitions()), "a worker process at work")

    os.kill(worker_processes(program)[0], signal.SIGKILL)

    ran = finish(program)
    assert ran.status == 0, ran
    assert "ended: killed by SIGKILL" in ran.err
    assert copy.verified()


def test_worker_processes_end_with_killed_run(copy: Copier) -> None:
    copy.settings["perf"] |= {"workers": 2, "wave_partitions": 32}
    program = copy.start(BRONZE_READER="interpreted")
    wait_until(lambda: len(worker_processes(program)) == 2, "two worker processes")
    workers = worker_processes(program)

    program.kill()

    program.communicate(timeout=10)  # nobody holds its output
    wait_until(lambda: not any(map(command_of, workers)), "the end of the worker processes")
    assert copy.run().status == 0
    assert copy.verified()
