"""The options of a sample lake: the ledgers that it contains, and its layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bronze.lake.layout import LakeLayout
from bronze.stellar import FIRST_LEDGER, MAX_LEDGER
from pipeline.sample.chain import DEFAULT_TRANSACTIONS, STANDALONE_PASSPHRASE, SampleLedger, sample_chain
from pipeline.sample.schedule import DEFAULT_PROTOCOLS, ChainSchedule
from pipeline.sample.transactions import validator_keys


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """The options of a sample lake; the same options make the same bytes.

    Attributes:
        first: the first requested ledger, at least 2.
        ledgers: number of requested ledgers. As Galexie does, whole files are written: `schedule` has all ledgers.
        ledgers_per_file, files_per_directory, extension: the layout of the lake; the extension is ``zst`` or ``zstd``.
        config: whether the lake has a ``.config.json``.
        passphrase: passphrase of the network.
        protocols: ascending; the chain upgrades from each to the next.
        seed: another seed makes other ledgers.
        transactions: average number of transactions in a ledger.
        empty_tx_sets: whether ledgers of protocol 27 on have sets that no node could provide (CAP-83).

    Raises:
        ValueError: an option is out of range.
    """

    first: int = FIRST_LEDGER
    ledgers: int = 200
    ledgers_per_file: int = 1
    files_per_directory: int = 64
    extension: str = "zst"
    config: bool = True
    passphrase: str = STANDALONE_PASSPHRASE
    protocols: tuple[int, ...] = DEFAULT_PROTOCOLS
    seed: int = 0
    transactions: int = DEFAULT_TRANSACTIONS
    empty_tx_sets: bool = False

    def __post_init__(self) -> None:
        if self.ledgers < 1:
            raise ValueError(f"a lake needs at least 1 ledger, not {self.ledgers}")
        if not FIRST_LEDGER <= self.first <= self.first + self.ledgers - 1 <= MAX_LEDGER:
            raise ValueError(f"{self.ledgers} ledgers from {self.first} on are not in {FIRST_LEDGER}..{MAX_LEDGER}")
        if self.transactions < 1:
            raise ValueError(f"a ledger needs at least 1 transaction on average, not {self.transactions}")
        _ = self.schedule  # checks itself

    @property
    def layout(self) -> LakeLayout:
        """The layout of the lake."""
        return LakeLayout(self.ledgers_per_file, self.files_per_directory, self.extension)

    @property
    def schedule(self) -> ChainSchedule:
        """The chain: all ledgers of the files that contain the requested ledgers; it begins at 2 at the earliest."""
        start = max(FIRST_LEDGER, self.layout.file_start(self.first))
        end = self.layout.file_end(self.first + self.ledgers - 1)
        return ChainSchedule(start, end - start + 1, self.protocols, self.empty_tx_sets)

    @property
    def validators(self) -> list[str]:
        """The public keys of the nodes that sign the ledgers, ``G...``."""
        return validator_keys(self.seed)

    def chain(self) -> Iterator[SampleLedger]:
        """Make the ledgers of the lake, with the values that a reader must find."""
        return sample_chain(
            self.schedule.first,
            self.schedule.count,
            network_passphrase=self.passphrase,
            protocols=self.protocols,
            seed=self.seed,
            transactions=self.transactions,
            empty_tx_sets=self.empty_tx_sets,
        )
