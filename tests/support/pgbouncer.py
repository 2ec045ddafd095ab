"""A real PgBouncer before a PostgreSQL server, as a child process; tests are skipped where it is not installed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest


@contextmanager
def running_pooler(dsn: str, mode: str, **options: object) -> Iterator[str]:
    """Run a pooler before the database at `dsn`; yields the URL that leads through it.

    Args:
        mode: ``session``, ``transaction`` or ``statement``.
        options: further options of pgbouncer.ini.
    """
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("these tests need PgBouncer: apt-get install pgbouncer")
    server = urlsplit(dsn)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="bronze-pgb-", dir="/tmp"))
    given = {"pool_mode": mode, "default_pool_size": 10, **options}
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={server.hostname} port={server.port} user=postgres\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        + "".join(f"{name} = {value}\n" for name, value in given.items())
    )
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        folder.chmod(0o755)
        identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, str(folder / "pgbouncer.ini")], stdout=log, stderr=log, **identity)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise AssertionError((folder / "log").read_text()[-2000:]) from None
                time.sleep(0.02)  # polling, with a deadline
        yield f"postgresql://postgres@127.0.0.1:{port}{server.path}"
    finally:
        process.kill()
        process.wait(30)
        shutil.rmtree(folder)


def ask(dsn: str, query: str) -> list[Any]:
    """The rows of `query`, outside of any transaction."""
    connection = psycopg2.connect(dsn)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()
    finally:
        connection.close()
