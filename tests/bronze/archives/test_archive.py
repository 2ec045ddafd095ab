"""One archive: its history file, its ledgers, its other files; what is damaged is requested again, then an error."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bronze.archives.archive import ArchiveHistory, HistoryArchive
from bronze.archives.checkpoint_files import HISTORY_KEY, file_key
from bronze.archives.opening import open_archive
from bronze.errors import ArchiveError, ArchiveFileMissingError
from bronze.retry import RetryPolicy
from tests.support.made_archive import TESTNET, write_file, write_history

AT_ONCE = RetryPolicy(3, 0)


class Unsteady:
    """Files of which the first answers are damaged."""

    def __init__(self, root: Path, damaged: int) -> None:
        self._root = root
        self._damaged = damaged
        self.reads = 0

    def read(self, key: str, max_bytes: int) -> bytes:
        self.reads += 1
        data = (self._root / key).read_bytes()
        return data[: len(data) // 2] if self.reads <= self._damaged else data


def test_real_archives_agree_with_themselves(real: Path) -> None:
    for network, last, count in (("pubnet", 12001023, 17), ("testnet", 10047, 41)):
        archive = open_archive(f"file://{real}/{network}")
        assert archive.history() == ArchiveHistory(last, TESTNET if network == "testnet" else None)
        files = sorted((real / network / "ledger").rglob("*.xdr.gz"))
        assert len(files) == count
        links: dict[int, bytes] = {}
        for file in files:
            links |= archive.ledger_hashes(int(file.name[7:15], 16))
        assert len(links) == (1088 if network == "pubnet" else 2623)


def test_first_real_ledger_is_the_genesis(real: Path) -> None:
    found = open_archive(f"file://{real}/testnet").ledger_hashes(63)
    assert found[1].hex() == "63d98f536ee68d1b27b5b89f23af5311b7569a24faf1403ad0b52b633b07be99"


def test_damaged_answer_is_requested_again(archive: Path) -> None:
    files = Unsteady(archive, damaged=2)
    assert len(HistoryArchive("http://a", files, AT_ONCE).ledger_hashes(127)) == 64
    assert files.reads == 3


def test_lasting_damage_is_an_error_with_its_file(archive: Path) -> None:
    files = Unsteady(archive, damaged=9)
    with pytest.raises(ArchiveError, match=r"http://a/ledger/00/00/00/ledger-0000007f.xdr.gz is damaged: .* cut off"):
        HistoryArchive("http://a", files, AT_ONCE).ledger_hashes(127)
    assert files.reads == 3


def test_missing_file_is_requested_once(archive: Path) -> None:
    with pytest.raises(ArchiveFileMissingError, match=r"ledger-000000ff\.xdr\.gz does not exist"):
        open_archive(f"file://{archive}", retry=AT_ONCE).ledger_hashes(255)


def test_files_of_other_categories_are_read(archive: Path, real: Path) -> None:
    scp = open_archive(f"file://{real}/testnet").read_checkpoint("scp", 63, max_bytes=1 << 20)
    write_file(archive, file_key("scp", 127), scp)
    assert open_archive(f"file://{archive}").read_checkpoint("scp", 127, max_bytes=len(scp)) == scp
    with pytest.raises(ArchiveError, match=f"more than {len(scp) - 1} bytes|more than the {len(scp) - 1} allowed"):
        open_archive(f"file://{archive}", retry=AT_ONCE).read_checkpoint("scp", 127, max_bytes=len(scp) - 1)


def test_history_without_passphrase_is_read(archive: Path) -> None:
    write_history(archive, 127, passphrase=None)
    assert open_archive(f"file://{archive}").history() == ArchiveHistory(127, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 3}, "version is 3"),
        ({"version": True}, "version is True"),
        ({"currentLedger": -1}, "currentLedger is -1"),
        ({"currentLedger": 1 << 32}, "currentLedger is 4294967296"),
        ({"currentLedger": "63"}, "currentLedger is 63, expected a ledger number"),
        ({"currentLedger": None}, "currentLedger is None"),
        ({"networkPassphrase": "a\nb"}, "networkPassphrase is not a plain text"),
        ({"networkPassphrase": "x" * 300}, "networkPassphrase is not a plain text"),
        ({"networkPassphrase": ["x"]}, "networkPassphrase is not a plain text"),
    ],
)
def test_invalid_history_is_an_error(archive: Path, change: dict[str, Any], message: str) -> None:
    document = json.loads((archive / HISTORY_KEY).read_text(encoding="utf-8")) | change
    (archive / HISTORY_KEY).write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ArchiveError, match=f"stellar-history.json is damaged: .*{message}"):
        open_archive(f"file://{archive}", retry=AT_ONCE).history()


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"[" * 100_000, b'{"version": 1'], ids=range(5))
def test_history_that_is_no_object_is_an_error(archive: Path, data: bytes) -> None:
    (archive / HISTORY_KEY).write_bytes(data)
    with pytest.raises(ArchiveError, match=r"stellar-history.json is damaged"):
        open_archive(f"file://{archive}", retry=AT_ONCE).history()


def test_archive_that_fails_is_given_up(archive: Path) -> None:
    files = Unsteady(archive, damaged=99)
    made = HistoryArchive("http://a", files, RetryPolicy(1, 1), give_up_after=2)
    for _ in range(2):
        with pytest.raises(ArchiveError, match="is damaged"):
            made.ledger_hashes(127)
    with pytest.raises(ArchiveError, match="was not asked for: 2 files of this archive could not be read one after"):
        made.ledger_hashes(191)
    assert files.reads == 2


def test_answer_between_failures_keeps_asking(archive: Path) -> None:
    (archive / file_key("ledger", 127)).write_bytes(b"\x1f\x8b")
    made = open_archive(f"file://{archive}", retry=AT_ONCE, give_up_after=2)
    for answered in (63, 255):  # one that is there, one that is not
        with pytest.raises(ArchiveError, match="is damaged"):
            made.ledger_hashes(127)
        with suppress(ArchiveFileMissingError):
            made.ledger_hashes(answered)
    with pytest.raises(ArchiveError, match="is damaged"):
        made.ledger_hashes(127)
    assert len(made.ledger_hashes(63)) == 63
