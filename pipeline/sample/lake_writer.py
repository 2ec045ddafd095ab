"""Writes a chain of sample ledgers as a Galexie lake: batches, one zstd frame each, and ``.config.json``."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

from bronze.errors import ConflictError
from bronze.lake.layout import LakeLayout
from bronze.stellar import FIRST_LEDGER, MAX_LEDGER
from pipeline.sample.chain import DEFAULT_TRANSACTIONS, STANDALONE_PASSPHRASE, SampleLedger, sample_chain
from pipeline.sample.schedule import DEFAULT_PROTOCOLS, ChainSchedule
from pipeline.sample.template import u32

_CONFIG_NAME = ".config.json"
# Galexie streams into an encoder that still knows the size of an input within its first buffer.
_SIZED_FRAME_MAX = 128 * 1024
_LEVEL, _WINDOW_LOG = 3, 23


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """What a sample lake holds; the same options make the same bytes.

    Attributes:
        first: the first ledger asked for, at least 2.
        ledgers: how many. Whole files are written, as Galexie does: see `plan` for what that makes of it.
        ledgers_per_file, files_per_directory, extension: the lake's layout (K, P, ``zst`` or ``zstd``).
        config: whether the lake has a ``.config.json``.
        passphrase: of the network.
        protocols: rising; the chain upgrades from each to the next.
        seed: another one makes other ledgers.
        transactions: of a ledger on average.

    Raises:
        ValueError: options that no lake can have.
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

    def __post_init__(self) -> None:
        if self.ledgers < 1:
            raise ValueError(f"a lake of {self.ledgers} ledgers is none")
        if not FIRST_LEDGER <= self.first <= self.first + self.ledgers - 1 <= MAX_LEDGER:
            raise ValueError(f"{self.ledgers} ledgers from {self.first} on are not in {FIRST_LEDGER}..{MAX_LEDGER}")
        if self.transactions < 1:
            raise ValueError(f"{self.transactions} transactions a ledger are less than 1")
        _ = self.plan  # its own checks, before anything is written

    @property
    def layout(self) -> LakeLayout:
        """How the lake names its objects."""
        return LakeLayout(self.ledgers_per_file, self.files_per_directory, self.extension)

    @property
    def plan(self) -> ChainSchedule:
        """The chain: from the first ledger of the first file (2 when that is named from 0) to the last one's last."""
        start = max(FIRST_LEDGER, self.layout.file_start(self.first))
        end = self.layout.file_end(self.first + self.ledgers - 1)
        return ChainSchedule(start, end - start + 1, self.protocols)

    def chain(self) -> Iterator[SampleLedger]:
        """The ledgers of the lake, and so what a reader of it has to find."""
        return sample_chain(
            self.plan.first,
            self.plan.count,
            network_passphrase=self.passphrase,
            protocols=self.protocols,
            seed=self.seed,
            transactions=self.transactions,
        )


@dataclass(frozen=True, slots=True)
class SampleLake:
    """A sample lake that lies on disk.

    Attributes:
        root: its directory.
        first, last: its ledgers, inclusive.
        count: how many they are.
        ledgers_per_file, files_per_directory, extension: its layout.
        objects: how many ledger files it has.
        bytes: of these files.
        xdr_bytes: of the close meta in them.
        existed: whether it lay there already, byte for byte.
    """

    root: Path
    first: int
    last: int
    count: int
    ledgers_per_file: int
    files_per_directory: int
    extension: str
    objects: int
    bytes: int
    xdr_bytes: int
    existed: bool


def write_sample_lake(root: Path, options: SampleOptions | None = None) -> SampleLake:
    """Write the lake of `options` to `root`, all of it or nothing.

    The lake is made beside `root` and renamed to it. A lake of the same options that lies there already
    is compared to the last byte and left alone.

    Args:
        root: a directory that does not exist, is empty, or holds this lake; its parents are made.

    Raises:
        ConflictError: `root` holds anything else; nothing is written then.
        OSError: the disk does not do what it is asked.
    """
    options = options or SampleOptions()
    root = root.resolve()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        return _compare(root, options)
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{root.name}-") as beside:
        # One level down: the temporary directory itself is readable by its owner only.
        staged = Path(beside) / root.name
        staged.mkdir()
        tally = _Tally()
        for made in _files(options, tally):
            path = staged / made.key
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(made.content)
        staged.replace(root)
    return tally.lake(root, options, existed=False)


@dataclass(frozen=True, slots=True)
class _File:
    key: str
    content: bytes


@dataclass(slots=True)
class _Tally:
    objects: int = 0
    stored: int = 0
    xdr: int = 0

    def lake(self, root: Path, options: SampleOptions, *, existed: bool) -> SampleLake:
        plan, layout = options.plan, options.layout
        return SampleLake(
            root=root,
            first=plan.first,
            last=plan.last,
            count=plan.count,
            ledgers_per_file=layout.ledgers_per_file,
            files_per_directory=layout.files_per_directory,
            extension=layout.extension,
            objects=self.objects,
            bytes=self.stored,
            xdr_bytes=self.xdr,
            existed=existed,
        )


def _files(options: SampleOptions, tally: _Tally) -> Iterator[_File]:
    """Every file of the lake; `tally` counts along."""
    if options.config:
        yield _File(_CONFIG_NAME, _lake_config(options))
    layout = options.layout
    encoder = _Encoder()
    batch: list[SampleLedger] = []
    for ledger in options.chain():
        batch.append(ledger)
        if ledger.sequence == layout.file_end(ledger.sequence):
            raw = _batch(batch)
            made = _File(layout.key(ledger.sequence), encoder.encode(raw))
            tally.objects += 1
            tally.stored += len(made.content)
            tally.xdr += sum(len(one.xdr) for one in batch)
            yield made
            batch.clear()


def _lake_config(options: SampleOptions) -> bytes:
    config = {
        "networkPassphrase": options.passphrase,
        "version": "1.0",
        "compression": "zstd",
        "ledgersPerBatch": options.ledgers_per_file,
        "batchesPerPartition": options.files_per_directory,
    }
    return json.dumps(config, separators=(",", ":")).encode()


def _batch(ledgers: list[SampleLedger]) -> bytes:
    """The XDR of a LedgerCloseMetaBatch."""
    head = u32(ledgers[0].sequence) + u32(ledgers[-1].sequence) + u32(len(ledgers))
    return head + b"".join(ledger.xdr for ledger in ledgers)


class _Encoder:
    """Compresses as Galexie does: one checksummed frame, its content size stated for small inputs only."""

    def __init__(self) -> None:
        self._sized, self._streamed = (
            zstandard.ZstdCompressor(
                compression_params=zstandard.ZstdCompressionParameters.from_level(
                    _LEVEL, window_log=_WINDOW_LOG, write_checksum=True, write_content_size=sized
                )
            )
            for sized in (True, False)
        )

    def encode(self, raw: bytes) -> bytes:
        if len(raw) <= _SIZED_FRAME_MAX:
            return self._sized.compress(raw)
        stream = self._streamed.compressobj()
        return stream.compress(raw) + stream.flush()


def _compare(root: Path, options: SampleOptions) -> SampleLake:
    """Whether `root` is the lake of `options`, and nothing but it; raises ConflictError otherwise."""

    def refuse(what: str) -> ConflictError:
        return ConflictError(
            f"{root} is not empty and not this sample lake: {what}; give another directory, or empty this one"
        )

    if not root.is_dir():
        raise refuse("it is no directory")
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if not path.is_dir()}
    tally = _Tally()
    for made in _files(options, tally):
        path = found.pop(made.key, None)
        if path is None:
            raise refuse(f"{made.key} is missing")
        if path.read_bytes() != made.content:
            raise refuse(f"{made.key} differs")
    if found:
        raise refuse(f"{min(found)} is not of it")
    return tally.lake(root, options, existed=True)
