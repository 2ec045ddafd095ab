"""Compare ledger hashes with one archive: it agrees, it is behind, or it contradicts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bronze.archives.archive import HistoryArchive
from bronze.archives.checkpoint_files import checkpoint_of
from bronze.errors import ArchiveContradictionError, ArchiveError, ArchiveFileMissingError, ArchiveNetworkError
from bronze.stellar import MAX_LEDGER

#: Seconds for which an archive that is behind is not asked again how far it reaches.
_REACH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """What an archive says of some ledgers.

    Attributes:
        ledger: the highest one that it has; None when it has none of them yet. Its hash is the same there.
        ledger_hash: its hash in hex; empty when `ledger` is None.
        reaches: the newest ledger that the archive has.
    """

    ledger: int | None
    ledger_hash: str
    reaches: int


class ArchiveComparison:
    """Compares with one archive; keeps how far it reaches, and the checkpoint that was read last. For any threads.

    Args:
        passphrase: that the archive's network must have, where it states one; None: it is not known.
    """

    def __init__(
        self, archive: HistoryArchive, passphrase: str | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.archive = archive
        self._passphrase = passphrase
        self._clock = clock
        self._lock = threading.Lock()
        self._reaches = -1
        self._reach_read_at = float("-inf")
        self._last: tuple[int, Mapping[int, bytes]] | None = None

    @property
    def url(self) -> str:
        """The archive's URL."""
        return self.archive.url

    def compare_highest(self, ledgers: Sequence[int], hash_of: Callable[[int], str]) -> Agreement:
        """Compare the highest of `ledgers` that the archive has; where these are linked, that is about all before it.

        Args:
            ledgers: ascending, at least one.
            hash_of: the hash in hex of one of them; called once at most.

        Raises:
            ArchiveContradictionError: the archive has another hash.
            ArchiveNetworkError: the archive is one of another network.
            ArchiveError: the archive does not answer, or what it answers is damaged.
        """
        reaches = self._reach(checkpoint_of(ledgers[-1]))
        had = [ledger for ledger in ledgers if checkpoint_of(ledger) <= reaches]
        if not had:
            return Agreement(None, "", reaches)
        ledger, expected = had[-1], hash_of(had[-1])
        found = self._hashes(checkpoint_of(ledger))[ledger].hex()
        if found != expected:
            raise ArchiveContradictionError(
                f"the history archive {self.url} has the hash {found} of ledger {ledger}, but what was copied has"
                f" {expected}: one of them is not the network's history. Ask another archive; if this one is wrong,"
                " remove it from authenticity.archives, else copy from another lake",
                ledger,
            )
        return Agreement(ledger, found, reaches)

    def find_hash(self, ledger: int) -> str | None:
        """The hash in hex that the archive has of `ledger`; None when it has not come to it yet.

        Raises:
            ArchiveNetworkError: the archive is one of another network.
            ArchiveError: the archive does not answer, or what it answers is damaged.
        """
        checkpoint = checkpoint_of(ledger)
        return self._hashes(checkpoint)[ledger].hex() if checkpoint <= self._reach(checkpoint) else None

    def find_reach(self) -> int:
        """The newest ledger that the archive has. Raises as `find_hash`."""
        return self._reach(MAX_LEDGER)

    def _reach(self, wanted: int) -> int:
        """The newest ledger of the archive; not asked for again where it reaches `wanted`, or was just asked."""
        with self._lock:
            if self._reaches >= wanted or self._clock() - self._reach_read_at < _REACH_SECONDS:
                return self._reaches
        history = self.archive.history()
        if self._passphrase is not None and history.passphrase not in (None, self._passphrase):
            raise ArchiveNetworkError(
                f"the history archive {self.url} is one of the network {history.passphrase!r}, but the ledgers are of"
                f" {self._passphrase!r}: name the right archive in authenticity.archives"
            )
        with self._lock:
            self._reaches = max(self._reaches, history.current_ledger)
            self._reach_read_at = self._clock()
            return self._reaches

    def _hashes(self, checkpoint: int) -> Mapping[int, bytes]:
        with self._lock:
            if self._last is not None and self._last[0] == checkpoint:
                return self._last[1]
        try:
            hashes = self.archive.ledger_hashes(checkpoint)
        except ArchiveFileMissingError as error:
            raise ArchiveError(f"{error}, although its history reaches ledger {self._reaches}") from None
        with self._lock:
            self._last = checkpoint, hashes
        return hashes
