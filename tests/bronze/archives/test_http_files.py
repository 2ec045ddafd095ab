"""An archive over HTTP: a server that is slow, lies or redirects ends in time, with an error that says so."""

from __future__ import annotations

import gzip
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bronze.archives.http_files import HttpFiles
from bronze.archives.opening import open_archive
from bronze.errors import ArchiveError, ArchiveFileMissingError, ArchiveRefusedError
from bronze.retry import RetryPolicy
from tests.support.made_archive import archive_answers
from tests.support.scripted_server import Answer, Request, running_server

KEY = "ledger/00/00/00/ledger-0000007f.xdr.gz"
HEAD = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """The URL of a server that reads a request on each connection and then lets `talk` use it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(1 << 16)
            talk(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_archive_is_read_from_a_server(archive: Path, headers: dict[int, bytes]) -> None:
    with running_server(archive_answers(archive)) as server:
        opened = open_archive(server.url)
        assert opened.history().current_ledger == 191
        assert set(opened.ledger_hashes(191)) == set(range(128, 192))
        assert [request.path for request in server.requests] == [
            "/.well-known/stellar-history.json",
            "/ledger/00/00/00/ledger-000000bf.xdr.gz",
        ]


def test_file_compressed_twice_is_read(archive: Path) -> None:
    with running_server(archive_answers(archive, [".gz", ".json"])) as server:
        opened = open_archive(server.url)
        assert opened.history().current_ledger == 191
        assert set(opened.ledger_hashes(127)) == set(range(64, 128))


@pytest.mark.parametrize("status", [404, 410])
def test_missing_file_is_told_apart(status: int) -> None:
    with running_server(lambda _: Answer(status)) as server, pytest.raises(ArchiveFileMissingError, match="not exist"):
        HttpFiles(server.url, 5).read(KEY, 100)


@pytest.mark.parametrize(("status", "is_retried"), [(500, True), (503, True), (429, True), (403, False), (204, False)])
def test_other_status_is_an_error(status: int, is_retried: bool) -> None:
    with running_server(lambda _: Answer(status)) as server:
        with pytest.raises(ArchiveError, match=f"{KEY} cannot be read: the server answered {status}"):
            open_archive(server.url, retry=RetryPolicy(3, 0)).ledger_hashes(127)
        assert len(server.requests) == (3 if is_retried else 1)


def test_redirects_on_the_host_are_followed() -> None:
    def answer(request: Request) -> Answer:
        return Answer(302, {"Location": "/there"}) if request.path != "/there" else Answer(body=b"found")

    with running_server(answer) as server:
        assert HttpFiles(server.url, 5).read(KEY, 100) == b"found"


def test_endless_redirects_end() -> None:
    count = itertools.count()
    with running_server(lambda _: Answer(301, {"Location": f"/{next(count)}"})) as server:
        with pytest.raises(ArchiveRefusedError, match="redirected more than 5 times"):
            HttpFiles(server.url, 5).read(KEY, 100)
        assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("http://127.0.0.2:1/x?token=secret", r"to http \(http://127\.0\.0\.2:1\), which is not followed"),
        ("file:///etc/passwd", "to http, which"),
        ("//localhost/x", r"\(http://localhost\)"),
        ("http://[x", "cannot be requested|to http, which"),
    ],
)
def test_redirect_to_another_host_is_refused(target: str, shown: str) -> None:
    with running_server(lambda _: Answer(307, {"Location": target})) as server:
        with pytest.raises(ArchiveRefusedError, match=shown) as caught:
            HttpFiles(server.url, 5).read(KEY, 100)
        assert "secret" not in str(caught.value)
        assert len(server.requests) == 1


def test_trickling_answer_ends_at_the_limit() -> None:
    ended = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        try:
            while not ended.wait(0.05):
                connection.sendall(b"x")
        finally:
            ended.set()

    with raw_server(talk) as url:
        started = time.monotonic()
        with pytest.raises(ArchiveError, match=r"did not answer within 0.4 s"):
            HttpFiles(url, 0.4).read(KEY, 1000)
        assert time.monotonic() - started < 4
        assert ended.wait(5), "its connection was left open"


def test_silent_server_ends_at_the_limit() -> None:
    done = threading.Event()
    with raw_server(lambda _: done.wait(10) and None) as url:
        with pytest.raises(ArchiveError, match=r"did not answer within 0.3 s"):
            HttpFiles(url, 0.3).read(KEY, 1000)
        done.set()


def test_answer_shorter_than_stated_is_an_error() -> None:
    answer = HEAD + b"Content-Length: 9\r\n\r\n12345"
    with raw_server(lambda sock: sock.sendall(answer)) as url, pytest.raises(ArchiveError, match="cannot be read"):
        HttpFiles(url, 5).read(KEY, 100)


def test_answer_longer_than_stated_is_cut() -> None:
    packed = gzip.compress(b"content")
    with raw_server(lambda connection: connection.sendall(HEAD + b"Content-Length: 9\r\n\r\n" + packed)) as url:
        assert HttpFiles(url, 5).read(KEY, 100) == packed[:9]


def test_stated_length_over_the_limit_is_refused() -> None:
    answer, message = HEAD + b"Content-Length: 101\r\n\r\n", "has 101 bytes, more than the 100 allowed"
    with raw_server(lambda sock: sock.sendall(answer)) as url, pytest.raises(ArchiveRefusedError, match=message):
        HttpFiles(url, 5).read(KEY, 100)


def test_endless_answer_ends_at_the_limit() -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"\r\n")
        while True:
            connection.sendall(bytes(1 << 16))

    with raw_server(talk) as url, pytest.raises(ArchiveRefusedError, match="more than the 100000 bytes allowed"):
        HttpFiles(url, 20).read(KEY, 100_000)


def test_closed_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ArchiveError, match=f"http://127.0.0.1:{port}/{KEY} cannot be read: .*refused"):
        HttpFiles(f"http://127.0.0.1:{port}", 5).read(KEY, 100)
