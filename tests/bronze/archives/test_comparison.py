"""Comparing with one archive: it agrees, lags, contradicts, is of another network; nothing is requested twice."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bronze.archives.archive import HistoryArchive
from bronze.archives.comparison import Agreement, ArchiveComparison
from bronze.archives.opening import open_archive
from bronze.errors import ArchiveContradictionError, ArchiveError, ArchiveNetworkError
from bronze.retry import RetryPolicy
from tests.support.made_archive import TESTNET, write_history


class Files:
    """The files of a directory; which were read is remembered."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.read_keys: list[str] = []

    def read(self, key: str, max_bytes: int) -> bytes:
        self.read_keys.append(key.rsplit("/", 1)[-1])
        return (self.root / key).read_bytes()[:max_bytes]


def hash_of(headers: dict[int, bytes], ledger: int) -> str:
    return hashlib.sha256(headers[ledger]).hexdigest()


def comparison(archive: Path, passphrase: str | None = TESTNET) -> ArchiveComparison:
    return ArchiveComparison(open_archive(f"file://{archive}", retry=RetryPolicy(1, 1)), passphrase)


def test_highest_ledger_that_it_has_is_compared(archive: Path, headers: dict[int, bytes]) -> None:
    made, asked = comparison(archive), []

    def ours(ledger: int) -> str:
        asked.append(ledger)
        return hash_of(headers, ledger)

    assert made.compare_highest([50, 100, 191, 192, 300], ours) == Agreement(191, hash_of(headers, 191), 191)
    assert asked == [191]
    assert made.compare_highest([192, 300], ours) == Agreement(None, "", 191)
    assert asked == [191]


def test_ledger_within_a_checkpoint_needs_it_whole(archive: Path, headers: dict[int, bytes]) -> None:
    write_history(archive, 127)
    made = comparison(archive)
    assert made.find_hash(127) == hash_of(headers, 127)
    assert made.find_hash(128) is None  # its file is written with ledger 191
    assert made.find_reach() == 127
    write_history(archive, 130)  # no checkpoint: nothing is said of what its file will have
    found = comparison(archive).compare_highest([100, 129], lambda ledger: hash_of(headers, ledger))
    assert found == Agreement(100, hash_of(headers, 100), 130)


def test_other_hash_is_a_contradiction(archive: Path, headers: dict[int, bytes]) -> None:
    with pytest.raises(ArchiveContradictionError) as raised:
        comparison(archive).compare_highest([100], lambda _: "ab" * 32)
    assert raised.value.ledger == 100
    words = f"has the hash {hash_of(headers, 100)} of ledger 100, but what was copied has {'ab' * 32}"
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("stated", "ours", "is_refused"),
    [
        (TESTNET, TESTNET, False),
        (TESTNET, "another", True),
        (None, "another", False),  # an older stellar-core wrote it: the hashes decide
        (TESTNET, None, False),  # nobody knows the passphrase of the ledgers
    ],
)
def test_stated_network_must_be_ours(archive: Path, stated: str | None, ours: str | None, is_refused: bool) -> None:
    write_history(archive, 191, passphrase=stated)
    made = comparison(archive, ours)
    if not is_refused:
        assert made.find_hash(191) is not None
        return
    with pytest.raises(ArchiveNetworkError, match="is one of the network 'Test SDF"):
        made.find_hash(191)


def test_missing_file_within_reach_is_damage(archive: Path) -> None:
    write_history(archive, 255)
    with pytest.raises(ArchiveError, match="does not exist, although its history reaches ledger 255") as raised:
        comparison(archive).find_hash(200)
    assert type(raised.value) is ArchiveError  # may be there later


def test_answers_are_kept_for_a_while(archive: Path) -> None:
    now, files = [0.0], Files(archive)
    made = ArchiveComparison(HistoryArchive("http://a", files), TESTNET, clock=lambda: now[0])
    assert len({made.find_hash(100), made.find_hash(101), made.find_hash(127)}) == 3
    assert files.read_keys == ["stellar-history.json", "ledger-0000007f.xdr.gz"]
    write_history(archive, 255)
    assert made.find_hash(200) is None  # it was asked a moment ago
    assert len(files.read_keys) == 2
    now[0] = 6.0
    assert made.find_reach() == 255
