"""A history archive in a directory, made of the headers of close metas, and an HTTP server for it.

`make_archive` writes the directory as stellar-core would; `archive_answers` is what `running_server` of
`tests.support.scripted_server` serves of it.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from bronze.archives.checkpoint_files import HISTORY_KEY, checkpoint_of, file_key
from bronze.stellar import PASSPHRASES
from bronze.xdr import load_walker, table
from tests.support.scripted_server import Answer, Request

TESTNET = PASSPHRASES["testnet"]


def header_of(close_meta: bytes) -> bytes:
    """The LedgerHeader of a close meta."""
    marks = load_walker(interpreted=True).Walker().walk(close_meta, 0, len(close_meta))
    return close_meta[marks[table.HEADER] : marks[table.HEADER_END]]


def record(header: bytes, stored: bytes | None = None) -> bytes:
    """A marked LedgerHeaderHistoryEntry; `stored` instead of the header's hash."""
    entry = (sha256(header).digest() if stored is None else stored) + header + bytes(4)
    return (0x80000000 | len(entry)).to_bytes(4, "big") + entry


def write_history(root: Path, current_ledger: int, passphrase: str | None = TESTNET) -> None:
    document: dict[str, object] = {"version": 1, "server": "stellar-core 22.4.1", "currentLedger": current_ledger}
    if passphrase is not None:
        document["networkPassphrase"] = passphrase
    document["currentBuckets"] = []
    path = root / HISTORY_KEY
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


def write_file(root: Path, key: str, data: bytes) -> None:
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def make_archive(root: Path, headers: Mapping[int, bytes], passphrase: str | None = TESTNET) -> Path:
    """An archive of the checkpoints that `headers` (by ledger) covers in whole; returns `root`."""
    last = max(headers)
    for checkpoint in sorted({checkpoint_of(ledger) for ledger in headers if checkpoint_of(ledger) <= last}):
        ledgers = [ledger for ledger in sorted(headers) if checkpoint_of(ledger) == checkpoint]
        packed = b"".join(record(headers[ledger]) for ledger in ledgers)
        write_file(root, file_key("ledger", checkpoint), gzip.compress(packed, mtime=0))
    write_history(root, max(ledger for ledger in headers if checkpoint_of(ledger) == ledger), passphrase)
    return root


def archive_answers(root: Path, encodings: Iterable[str] = ()) -> Callable[[Request], Answer]:
    """Serves the files below `root`; names in `encodings` (by suffix) are sent with that Content-Encoding."""

    def answer(request: Request) -> Answer:
        path = root / request.path.lstrip("/")
        if not path.is_file():
            return Answer(404, body=b"no such file")
        data = path.read_bytes()
        if any(path.name.endswith(suffix) for suffix in encodings):
            return Answer(headers={"Content-Encoding": "gzip"}, body=gzip.compress(data))
        return Answer(body=data)

    return answer
