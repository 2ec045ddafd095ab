"""Object keys of a Galexie ledger lake: arithmetic only, no input or output.

Source: SEP-54 and stellar/go ``support/datastore/schema.go``. K is ledgers per file, P is files per
directory. Names begin with the start subtracted from 2^32 - 1, in hexadecimal, so newer objects sort first:

>>> pubnet = LakeLayout(ledgers_per_file=1, files_per_directory=64000)
>>> pubnet.key(64001)
'FFFF05FF--64000-127999/FFFF05FE--64001.xdr.zst'
>>> LakeLayout(ledgers_per_file=64, files_per_directory=10).key(700)
'FFFFFD7F--640-1279/FFFFFD7F--640-703.xdr.zst'
>>> LakeLayout(ledgers_per_file=10, files_per_directory=1).key(15)
'FFFFFFF5--10-19.xdr.zst'

Ends are cut off at 2^32 - 1; a file of one ledger has no end in its name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bronze.stellar import MAX_LEDGER

EXTENSIONS = ("zst", "zstd")

_NUMBER = r"(0|[1-9][0-9]{0,9})"  # no leading zeros, and no digits of other scripts
_DIRECTORY = re.compile(rf"([0-9A-F]{{8}})--{_NUMBER}-{_NUMBER}")
_OBJECT = re.compile(rf"([0-9A-F]{{8}})--{_NUMBER}(?:-{_NUMBER})?\.xdr\.(zstd?)")


@dataclass(frozen=True, slots=True)
class LakeLayout:
    """How a lake names its objects.

    >>> layout = LakeLayout(ledgers_per_file=64, files_per_directory=10)
    >>> layout.file_start(700), layout.file_end(700)
    (640, 703)
    >>> layout.directory(700)
    'FFFFFD7F--640-1279/'

    Attributes:
        ledgers_per_file: K, at least 1.
        files_per_directory: P, at least 1; 1 means no directories.
        extension: ``zst`` or ``zstd``: of the newest object.
        is_mixed: whether objects of both extensions were seen.
    """

    ledgers_per_file: int = 1
    files_per_directory: int = 1
    extension: str = "zst"
    is_mixed: bool = False

    def __post_init__(self) -> None:
        for name in ("ledgers_per_file", "files_per_directory"):
            value = getattr(self, name)
            if not 1 <= value <= MAX_LEDGER:
                raise ValueError(f"{name} {value} is not in 1..{MAX_LEDGER}")
        if self.extension not in EXTENSIONS:
            raise ValueError(f"extension {self.extension!r} is not one of {', '.join(EXTENSIONS)}")

    def file_start(self, ledger: int) -> int:
        """First ledger of the name of the file that holds `ledger`."""
        return ledger - ledger % self.ledgers_per_file

    def file_end(self, ledger: int) -> int:
        """Last ledger (inclusive) of the name of the file that holds `ledger`."""
        return min(self.file_start(ledger) + self.ledgers_per_file - 1, MAX_LEDGER)

    def directory(self, ledger: int) -> str:
        """The directory of the file that holds `ledger`, with a trailing slash; empty when P is 1."""
        if self.files_per_directory == 1:
            return ""
        size = self.ledgers_per_file * self.files_per_directory
        start = ledger - ledger % size
        return f"{MAX_LEDGER - start:08X}--{start}-{min(start + size - 1, MAX_LEDGER)}/"

    def key(self, ledger: int) -> str:
        """Key, relative to the lake's root, of the object that holds `ledger`."""
        if not 0 <= ledger <= MAX_LEDGER:
            raise ValueError(f"ledger {ledger} is not in 0..{MAX_LEDGER}")
        start, end = self.file_start(ledger), self.file_end(ledger)
        to = "" if start == end else f"-{end}"
        return f"{self.directory(ledger)}{MAX_LEDGER - start:08X}--{start}{to}.xdr.{self.extension}"


def other_extension(extension: str) -> str:
    """The other one of the two extensions."""
    return "zstd" if extension == "zst" else "zst"


def with_extension(key: str, extension: str) -> str:
    """The key of an object under `extension`.

    >>> with_extension("FFFFFFFD--2.xdr.zst", "zstd")
    'FFFFFFFD--2.xdr.zstd'
    """
    return f"{key.rpartition('.')[0]}.{extension}"


@dataclass(frozen=True, slots=True)
class ParsedName:
    """A parsed directory or object name.

    Attributes:
        start, end: inclusive ledgers.
        extension: ``zst`` or ``zstd``; None for a directory.
    """

    start: int
    end: int
    extension: str | None


def _parse(match: re.Match[str], extension: str | None) -> ParsedName | None:
    start = int(match[2])
    end = int(match[3]) if match[3] is not None else start
    if start > MAX_LEDGER or not start <= end <= MAX_LEDGER or int(match[1], 16) != MAX_LEDGER - start:
        return None
    return ParsedName(start, end, extension)


def parse_object(name: str) -> ParsedName | None:
    """Parse an object's base name; None when a lake has no such name.

    >>> parse_object("FFFFFD7F--640-703.xdr.zst")
    ParsedName(start=640, end=703, extension='zst')
    >>> parse_object("FFFFFFFE--2.xdr.zst") is None  # the prefix belongs to ledger 1
    True
    """
    match = _OBJECT.fullmatch(name)
    return _parse(match, match[4]) if match else None


def parse_directory(name: str) -> ParsedName | None:
    """Parse a directory's name (without slash); None when a lake has no such name.

    >>> parse_directory("FFFFFD7F--640-1279")
    ParsedName(start=640, end=1279, extension=None)
    """
    match = _DIRECTORY.fullmatch(name)
    return _parse(match, None) if match else None
