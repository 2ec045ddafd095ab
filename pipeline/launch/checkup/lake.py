"""Whether the lake can be read: its listings, and its newest object as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bronze.errors import DataError
from bronze.lake.lake import Lake
from bronze.lake.zstd_frame import DecodeBuffer
from bronze.ledger.close_meta import read_object
from bronze.partitioning.era import Era
from bronze.storage.location import StorageLocation
from pipeline.launch.checkup.check import FINDINGS, Check, fails, holds, store_failure
from pipeline.launch.checkup.places import access_words
from pipeline.launch.prepare import open_configured_lake
from pipeline.settings.locations import lake_location
from pipeline.settings.model import Settings

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeView:
    """What was seen of the lake.

    Attributes:
        newest: its newest ledger.
        closed_at: when that ledger was closed, in seconds since 1970.
        expansion: bytes of its object when decompressed, for each byte as stored.
    """

    lake: Lake
    newest: int
    closed_at: int
    expansion: float


def look_at_lake(settings: Settings, eras: Sequence[Era]) -> tuple[Check, LakeView | None]:
    """Open the lake, find both of its ends, and read its newest object; None for what cannot be read."""
    name = "lake"
    try:
        location = lake_location(settings)
        if location.scheme == "local" and not Path(location.path).is_dir():
            remedy = "is the file system mounted? Otherwise correct source.local_path"
            return fails(name, f"{location.path} is not a directory", remedy), None
        return _look(settings, eras, location)
    except FINDINGS as error:
        return store_failure(name, error, "source"), None


def _look(settings: Settings, eras: Sequence[Era], location: StorageLocation) -> tuple[Check, LakeView | None]:
    lake = open_configured_lake(settings, location, eras)
    newest, oldest = lake.newest(), lake.oldest()
    if newest is None or oldest is None:
        remedy = "give the lake's root (the directory of .config.json) in source, or wait until it is filled"
        return fails("lake", f"{location.url} is empty: it has no ledger", remedy), None
    stored = lake.read(newest.key, settings.source.max_object_mb * _MIB)
    buffer = DecodeBuffer(_MIB, settings.source.max_object_mb * _MIB)
    try:
        end = buffer.decode(stored, 0)
        closed_at = read_object(buffer.view, 0, end)[1][-1].close_time
    except DataError as error:
        raise error.at(lake.describe(newest.key)) from None
    network = f"network {lake.passphrase!r}" if lake.passphrase else "it does not state its network"
    files = lake.layout.ledgers_per_file
    found = (
        f"{location.url}: ledgers {oldest.ledger}-{newest.ledger}, {files} in each file; {network}; read"
        f" {access_words(location)}"
    )
    view = LakeView(lake=lake, newest=newest.ledger, closed_at=closed_at, expansion=end / max(1, len(stored)))
    return holds("lake", found), view
