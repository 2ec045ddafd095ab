"""The comparison of one partition before its commit: who contradicts, who is not heard, what is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, cast

import pytest

from bronze.archives.comparison import Agreement, ArchiveComparison
from bronze.archives.state_file import ArchiveState, ArchiveStateFile
from bronze.archives.witness import Witness
from bronze.commit.archive_check import ArchiveCheck
from bronze.commit.archive_record import ArchiveRecord
from bronze.dataset.dataset import Dataset
from bronze.errors import ArchiveContradictionError, ArchiveError, StoreError
from bronze.measurements import LEDGER_ANCHORED, Measurement, collected_in
from bronze.storage.local import LocalStore
from tests.bronze.conftest import ERA, hex_hash, lay, summary


class Archive:
    """Has the hashes of `summary` up to a ledger, others from another one on; or fails."""

    def __init__(self, url: str, reaches: int = 1000, differs_from: int = 1001, fails: str = "") -> None:
        self.url, self.reaches, self.differs_from, self.fails = url, reaches, differs_from, fails
        self.asked: list[int] = []

    def compare_highest(self, ledgers: Sequence[int], hash_of: Callable[[int], str]) -> Agreement:
        self.asked += ledgers
        if self.fails:
            raise ArchiveError(self.fails)
        ledger = max((one for one in ledgers if one <= self.reaches), default=None)
        if ledger is None:
            return Agreement(None, "", self.reaches)
        if ledger >= self.differs_from or hash_of(ledger) != hex_hash(ledger):
            raise ArchiveContradictionError(f"{self.url} has another hash of ledger {ledger}", ledger)
        return Agreement(ledger, hex_hash(ledger), self.reaches)


class Place:
    """A chain without partitions, the file of what archives said, and checks against some."""

    def __init__(self, root: Path) -> None:
        self.dataset = Dataset(LocalStore(root / "data"), "bronze", "ledgers_lcm_raw")
        self.file = ArchiveStateFile(LocalStore(root), "anchored.json", ERA.chain)

    def check(self, *archives: Archive, needed: int = 0) -> ArchiveCheck:
        """As a new run has it."""
        witnesses = [Witness(cast("ArchiveComparison", one)) for one in archives]
        record = ArchiveRecord([one.url for one in archives], self.file)
        return ArchiveCheck(ERA, self.dataset, witnesses, record, needed or len(archives))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "data").mkdir()
    return Place(tmp_path)


def measured(check: ArchiveCheck, *ends: int) -> list[float]:
    """The anchored ledgers that checking partitions with these ends measures."""
    collected: list[Measurement] = []
    with collected_in(collected):
        for end in ends:
            check.check(summary(end - 9, end))
    return [one.value for one in collected if one.name == LEDGER_ANCHORED]


def test_enough_archives_decide_what_is_measured(place: Place) -> None:
    whole, short, down = Archive("http://a"), Archive("http://b", reaches=25), Archive("http://c", fails="down")
    assert measured(place.check(whole, short, down, needed=2), 11, 21, 31) == [11, 21, 21]
    assert measured(place.check(whole, short, down, needed=1), 41) == [41]
    assert measured(place.check(whole, short, down, needed=3), 51) == []
    assert place.file.load()["http://a"].confirmed[-1] == (51, hex_hash(51))
    assert place.file.load()["http://c"].error == "down"


def test_file_confirms_nothing_by_itself(place: Place) -> None:
    forged = ArchiveState(confirmed=((9999, "ab" * 32),))
    place.file.save({"http://a": forged})
    assert measured(place.check(Archive("http://a", fails="down")), 11) == []
    place.file.save({"http://a": forged})
    assert measured(place.check(Archive("http://a")), 11) == [11]


def test_confirmed_partition_is_not_asked_again(place: Place) -> None:
    archive = Archive("http://a")
    assert measured(place.check(archive), 11) == [11]
    assert measured(place.check(archive), 11, 21) == [11, 21]
    assert archive.asked == [11, 21]


def test_one_that_contradicts_outweighs_all(place: Place) -> None:
    archives = [Archive("http://a"), Archive("http://b"), Archive("http://c", differs_from=21)]
    check = place.check(*archives, needed=1)
    check.check(summary(2, 11))
    with pytest.raises(ArchiveContradictionError, match="http://c has another hash of ledger 21"):
        check.check(summary(12, 21))
    assert place.file.load()["http://c"].contradicts == 21


def test_contradiction_outlives_the_run(place: Place) -> None:
    lay(place.dataset, ERA, summary(12, 21))
    with pytest.raises(ArchiveContradictionError):
        place.check(Archive("http://a", differs_from=21)).check(summary(12, 21))
    with pytest.raises(ArchiveContradictionError, match=r"and the archive cannot be asked now \(down\)"):
        place.check(Archive("http://a", fails="down")).check(summary(22, 31))
    healed = Archive("http://a")
    assert measured(place.check(healed), 31) == [31]
    assert healed.asked == [21, 31]
    assert place.file.load()["http://a"].contradicts is None


def test_contradiction_outlives_a_store_that_fails(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(place.dataset, ERA, summary(12, 21))
    with pytest.raises(ArchiveContradictionError):
        place.check(Archive("http://a", differs_from=21)).check(summary(12, 21))
    check = place.check(Archive("http://a", fails="down"))
    with monkeypatch.context() as failing:
        failing.setattr(place.dataset.store, "list_children", _fail)
        with pytest.raises(StoreError, match="no answer"):
            check.check(summary(22, 31))
    with pytest.raises(ArchiveContradictionError, match="cannot be asked now"):
        check.check(summary(22, 31))


def _fail(*_: object) -> NoReturn:
    raise StoreError("no answer")


def test_contradiction_of_a_removed_partition_is_over(place: Place) -> None:
    with pytest.raises(ArchiveContradictionError):
        place.check(Archive("http://a", differs_from=21)).check(summary(12, 21))
    # The partition was never laid: its directory was removed, to be copied from another lake.
    assert measured(place.check(Archive("http://a")), 11) == [11]
