"""Write a chain of sample ledgers as a Galexie lake: batches, each one zstd frame, and ``.config.json``."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

from bronze.errors import ConflictError
from pipeline.sample.chain import SampleLedger
from pipeline.sample.options import SampleOptions
from pipeline.sample.template import u32

_LOG = logging.getLogger(__name__)
#: Seconds between two lines of the log that say how far it is.
_LINE_INTERVAL_S = 10.0
_CONFIG_NAME = ".config.json"
# Galexie streams into an encoder, which knows the size of an input only if it fits into the first buffer.
_SIZED_FRAME_MAX = 128 * 1024
_LEVEL, _WINDOW_LOG = 3, 23


@dataclass(frozen=True, slots=True)
class SampleLake:
    """A sample lake on disk.

    Attributes:
        root: the directory of the lake.
        first, last: its first and last ledger, inclusive.
        count: number of ledgers.
        ledgers_per_file, files_per_directory, extension: its layout.
        objects: number of ledger files.
        bytes: size of these files.
        xdr_bytes: size of the close metas in them.
        existed: whether the lake existed already, byte for byte.
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
    """Write the lake of `options` to `root` atomically.

    The lake is written to a temporary directory beside `root`, which is then renamed. A lake of the same options that
    exists already is compared byte for byte and left alone.

    Args:
        root: a directory that does not exist, is empty, or contains this lake; parent directories are created.

    Raises:
        ConflictError: `root` contains anything else; nothing is written.
        OSError: reading or writing fails.
    """
    options = options or SampleOptions()
    root = root.resolve()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        return _compare(root, options)
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{root.name}-") as beside:
        # One level below, because only its owner may read the temporary directory itself.
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
        schedule, layout = options.schedule, options.layout
        return SampleLake(
            root=root,
            first=schedule.first,
            last=schedule.last,
            count=schedule.count,
            ledgers_per_file=layout.ledgers_per_file,
            files_per_directory=layout.files_per_directory,
            extension=layout.extension,
            objects=self.objects,
            bytes=self.stored,
            xdr_bytes=self.xdr,
            existed=existed,
        )


def _files(options: SampleOptions, tally: _Tally) -> Iterator[_File]:
    """Make every file of the lake; adds each to `tally`."""
    if options.config:
        yield _File(_CONFIG_NAME, _lake_config(options))
    layout = options.layout
    encoder = _Encoder()
    batch: list[SampleLedger] = []
    next_line_at = time.monotonic() + _LINE_INTERVAL_S
    for number, ledger in enumerate(options.chain(), start=1):
        batch.append(ledger)
        if time.monotonic() >= next_line_at:
            next_line_at += _LINE_INTERVAL_S
            _LOG.info("%d of %d ledgers are made", number, options.schedule.count)
        if ledger.sequence == layout.file_end(ledger.sequence):
            raw = _batch(batch)
            made = _File(layout.key(ledger.sequence), encoder.encode(raw))
            _LOG.debug("object %s: %d bytes of XDR, %d compressed", made.key, len(raw), len(made.content))
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
    """Compresses as Galexie does: one frame with a checksum, and with the content size for small inputs only."""

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
    """Check that `root` is exactly the lake of `options`; raises ConflictError if it is not."""

    def refuse(what: str) -> ConflictError:
        return ConflictError(
            f"{root} is not empty and not this sample lake: {what}; choose another directory, or empty this one"
        )

    if not root.is_dir():
        raise refuse("it is not a directory")
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if not path.is_dir()}
    tally = _Tally()
    for made in _files(options, tally):
        path = found.pop(made.key, None)
        if path is None:
            raise refuse(f"{made.key} is missing")
        if path.read_bytes() != made.content:
            raise refuse(f"{made.key} differs")
    if found:
        raise refuse(f"{min(found)} does not belong to it")
    return tally.lake(root, options, existed=True)
