"""What archives have said, in a file that is not trusted: written whole, read back, made anew where it is damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bronze.archives.state_file import MAX_CONFIRMED, ArchiveState, ArchiveStateFile
from bronze.errors import ArchiveContradictionError, ArchiveError
from bronze.storage.local import LocalStore

HASH = "ab" * 32
STATE = ArchiveState(confirmed=((5, HASH), (9, HASH)), reaches=63, asked_at="2026-01-01T00:00:00Z")


@pytest.fixture
def file(tmp_path: Path) -> ArchiveStateFile:
    return ArchiveStateFile(LocalStore(tmp_path), "anchored.json", "pubnet/e1/v1")


def test_states_are_read_back(file: ArchiveStateFile) -> None:
    assert file.load() == {}
    failed = STATE.with_error(ArchiveError("down\n\x1b[31m")).with_error(ArchiveContradictionError("another", 9))
    assert failed.contradicts == 9
    states = {"https://a": STATE, "https://b": failed, "https://c": ArchiveState()}
    file.save(states)
    assert file.load() == states


@pytest.mark.parametrize(
    "change",
    [
        {"confirmed": [[5, "xyz"]]}, {"confirmed": [[-1, HASH]]}, {"confirmed": [[True, HASH]]}, {"confirmed": 5},
        {"confirmed": [[n, HASH] for n in range(MAX_CONFIRMED + 1)]}, {"confirmed": [[1, HASH, 2]]},
        {"reaches": "9"}, {"reaches": 1 << 32}, {"asked_at": "yesterday"}, {"error": "a\x1bb"}, {"error": "x" * 501},
        {"error_at": 5}, {"contradicts": -1},
    ],
    ids=str,
)  # fmt: skip
def test_damaged_state_is_not_believed(file: ArchiveStateFile, tmp_path: Path, change: dict[str, object]) -> None:
    file.save({"https://a": STATE})
    document = json.loads((tmp_path / "anchored.json").read_bytes())
    document["archives"]["https://a"] |= change
    (tmp_path / "anchored.json").write_text(json.dumps(document))
    assert file.load() == {}


def test_state_of_another_chain_is_not_believed(file: ArchiveStateFile, tmp_path: Path) -> None:
    file.save({"https://a": STATE})
    assert ArchiveStateFile(LocalStore(tmp_path), "anchored.json", "pubnet/e2/v1").load() == {}
    many = {f"https://a{n}": STATE for n in range(65)}
    file.save(many)
    assert file.load() == {}


def test_contradiction_stays_until_it_agrees() -> None:
    contradicting = STATE.with_error(ArchiveContradictionError("has another", 9))
    assert contradicting.with_error(ArchiveError("down")) == contradicting
    assert contradicting.with_agreement(8, HASH, 63).contradicts == 9  # an earlier ledger says nothing of it
    assert contradicting.with_agreement(None, "", 63).contradicts == 9
    healed = contradicting.with_agreement(9, HASH, 63)
    assert (healed.contradicts, healed.error, healed.error_at) == (None, "", "")
    assert contradicting.without_contradiction().contradicts is None


def test_confirmed_ledgers_are_bounded() -> None:
    state = ArchiveState()
    for ledger in range(200):
        state = state.with_agreement(ledger, HASH, 255)
    assert [ledger for ledger, _ in state.confirmed] == list(range(200 - MAX_CONFIRMED, 200))
    assert state.with_agreement(199, "cd" * 32, 255).confirmed[-1] == (199, "cd" * 32)
