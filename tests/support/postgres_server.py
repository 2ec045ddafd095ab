"""A real PostgreSQL server for tests: started as a child, stopped, killed and started again at will.

Fixtures, to be imported by a conftest:
    postgres  the session's server, running; without PostgreSQL's programs the tests fail
    database  connection URL of an empty database for the test; the server is started again after the test
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2
import pytest

#: A role that needs its password; all others are trusted.
LOCKED, LOCKED_PASSWORD = "locked", "correct horse"
_NUMBERS = itertools.count()


def binaries() -> Path | None:
    """The directory of the server's programs (Debian keeps them out of PATH), or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if found:
        return found[-1].parent
    path = shutil.which("postgres")
    return Path(path).resolve().parent if path else None


def _children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class PostgresServer:
    """One server with one database cluster on a free port of loopback. Runs as nobody when the tests run as root."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder, self._programs = folder, programs
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {"cwd": folder}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            self._as |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        with (folder / "data" / "postgresql.auto.conf").open("a", encoding="utf-8") as config:
            config.write(
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = '{folder}'\n"
                "fsync = off\nfull_page_writes = off\nshared_buffers = 32MB\n"
            )
        access = folder / "data" / "pg_hba.conf"
        access.write_text(f"host all {LOCKED} 127.0.0.1/32 scram-sha-256\n" + access.read_text())

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60, **self._as)

    def dsn(self, database: str = "postgres", user: str = "postgres", password: str = "") -> str:
        """A connection URL."""
        secret = f":{password}" if password else ""
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{database}"

    def socket_dsn(self, database: str) -> str:
        """A connection URL of its Unix socket, which reaches it from another network namespace too."""
        return f"postgresql://postgres@:{self.port}/{database}?host={self._folder}"

    @property
    def pid(self) -> int:
        """The server's first process."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its first process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start and wait until it takes connections; nothing happens when it runs."""
        if self.running:
            return
        with (self._folder / "log").open("ab") as log:
            command = [str(self._programs / "postgres"), "-D", "data"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._as)
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg2.connect(self.dsn(), connect_timeout=5).close()
                return
            except psycopg2.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise AssertionError((self._folder / "log").read_text()[-2000:]) from None
                time.sleep(0.02)  # polling, with a deadline

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT in order, SIGQUIT at once, SIGKILL as a crash."""
        if self._process is not None:
            backends = _children(self._process.pid)
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None
            # A backend may outlive a killed server for a moment and would still respond.
            deadline = time.monotonic() + 60
            while any(_lives(backend) for backend in backends) and time.monotonic() < deadline:
                time.sleep(0.005)  # polling, with a deadline

    def execute(self, statement: str, database: str = "postgres", parameters: tuple[Any, ...] = ()) -> list[Any]:
        """Run a statement as the superuser, outside of any transaction; its rows."""
        with closing(psycopg2.connect(self.dsn(database))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return cursor.fetchall() if cursor.description else []

    def new_database(self, name: str) -> str:
        """Make an empty database; its connection URL."""
        self.execute(f'CREATE DATABASE "{name}"')
        return self.dsn(name)


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A running server in a temporary folder that every user can reach; removed afterwards."""
    programs = binaries()
    if programs is None:
        pytest.fail("these tests need a PostgreSQL server: apt-get install postgresql", pytrace=False)
    folder = Path(tempfile.mkdtemp(prefix="bronze-pg-", dir="/tmp"))
    try:
        server = PostgresServer(folder, programs)
        try:
            server.start()
            server.execute(f"CREATE ROLE {LOCKED} LOGIN PASSWORD '{LOCKED_PASSWORD}'")
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """See the module."""
    with running_server() as server:
        yield server


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """See the module."""
    yield postgres.new_database(f"test{os.getpid()}_{next(_NUMBERS)}")
    postgres.start()
