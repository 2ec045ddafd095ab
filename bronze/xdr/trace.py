"""Explain why a walk stopped: byte offset, type path and reason. Runs on errors only."""

from __future__ import annotations

from bisect import bisect_left

from bronze.errors import NewerFormatError, XdrError
from bronze.xdr import table

_POSITIONS = sorted(table.LABELS)
_SWITCH, _ARRAY = 1, 2
#: Unions whose discriminants number versions: what comes next is a newer version, not damage.
_VERSIONED = frozenset(
    f"union {name}"
    for name in (
        "LedgerCloseMeta",
        "LedgerCloseMetaExt",
        "LedgerHeader",
        "LedgerHeaderHistoryEntry",
        "StellarValue",
        "GeneralizedTransactionSet",
        "TransactionPhase",
        "TransactionMeta",
    )
)
#: So many versions may be unknown; a value that is larger still is damage.
NEWER_VERSIONS = 8


def malformed(
    data: bytes | bytearray | memoryview,
    end: int,
    at: int,
    pc: int,
    frames: list[tuple[int, int, int]],
    in_lead: bool,
) -> XdrError:
    """The error of a walk that stopped at an instruction.

    Args:
        data: what is walked.
        end: where it ends, exclusive.
        at: position before the instruction's lead when that does not fit, else behind it.
        pc: the instruction.
        frames: open frames from the outermost: the instruction to go on with, index or discriminant, limit.
        in_lead: whether the lead does not fit.
    """
    lead, name, kind, arms = table.LABELS[pc]
    path = _joined(table.ROOT, *(_step(*frame) for frame in frames))
    if in_lead:
        field, size, at = _first_cut(lead, at, end)
        return XdrError(_truncated(size, end - at), offset=at, path=_joined(path, field))
    path = _joined(path, name)
    if end - at < 4:
        return XdrError(_truncated(4, end - at), offset=at, path=path)
    word, left = int.from_bytes(data[at : at + 4], "big"), end - at - 4
    if table.PROGRAM[pc] == _SWITCH:
        value = word - ((word >> 31) << 32)
        low, size, *targets = table.PROGRAM[(arm := table.PROGRAM[pc + 2]) : arm + 2 + table.PROGRAM[arm + 1]]
        target = targets[value - low] if 0 <= value - low < size else 0
        if target == 0:
            newer = kind in _VERSIONED and low + size <= value < low + size + NEWER_VERSIONS
            error = NewerFormatError if newer else XdrError
            return error(f"{value} is not a value of {kind}", offset=at, path=path)
        if target < 0:
            return XdrError(_truncated(-1 - target, left), offset=at + 4, path=_joined(path, arms.get(value, "")))
    else:
        limit = table.PROGRAM[pc + 2]
        if word > limit:
            return XdrError(f"{word} {kind}, at most {limit} are allowed", offset=at, path=path)
        least = table.PROGRAM[pc + 3] if table.PROGRAM[pc] == _ARRAY else 1
        padded = word * least + 3 & ~3
        if padded > left:
            return XdrError(f"{word} {kind} need {padded} bytes or more, {left} are left", offset=at, path=path)
        if table.PROGRAM[pc] != _ARRAY:
            pad = next(i for i in range(at + 4 + word, at + 4 + padded) if data[i])
            return XdrError(f"padding byte is {data[pad]:#04x}, not zero", offset=pad, path=path)
    return XdrError(f"nested deeper than {len(frames)} levels", offset=at, path=path)


def _truncated(size: int, left: int) -> str:
    return f"{size} bytes are needed, {left} are left"


def _joined(*parts: str) -> str:
    return "".join(part if part.startswith("[") or not i else f".{part}" for i, part in enumerate(parts) if part)


def _step(after: int, index: int, limit: int) -> str:
    """What an open frame adds to the path; `after` is the instruction behind the one that opened it."""
    pc = _POSITIONS[bisect_left(_POSITIONS, after) - 1]
    _, name, _, arms = table.LABELS[pc]
    if table.PROGRAM[pc] == _ARRAY:
        return f"{name}[{index}]"
    return _joined(name, arms.get(index, "")) if name else arms.get(index, "")


def _first_cut(lead: str, at: int, end: int) -> tuple[str, int, int]:
    """The first field of a lead that does not fit: its name, size and position."""
    for part in lead.split():
        name, size = part.rsplit(":", 1)
        if int(size) > end - at:
            return name, int(size), at
        at += int(size)
    raise AssertionError("the lead fits")  # pragma: no cover
