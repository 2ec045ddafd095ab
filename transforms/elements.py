"""What flows through the graph, and how it is encoded: references and outcomes, never ledger bytes.

There is one JSON form of these values, for Beam's coders and for outcome files alike: a dataclass is the list of its
fields in their order, nested ones too. Program and workers are of one version, so the form carries no names.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import apache_beam as beam

from bronze.outcomes import CommittedPartition, PartitionFailure, PartitionSummary, PendingPartition
from bronze.partitioning.partition import Partition

Element = TypeVar("Element")


@dataclass(frozen=True, slots=True, order=True)
class BatchFiles:
    """A run of neighbouring ledger batch files of a lake.

    Attributes:
        start: first ledger of the first file's name.
        end: first ledger of the last file's name (inclusive).
        step: ledgers per file.
    """

    start: int
    end: int
    step: int

    def starts(self) -> range:
        """First ledgers of the files' names."""
        return range(self.start, self.end + 1, self.step)


@dataclass(frozen=True, slots=True, order=True)
class PartitionKey:
    """The key that ledgers are grouped by: a partition of an era's chain (``network/era_id/version_label``)."""

    chain: str
    partition: Partition

    def __str__(self) -> str:
        return f"{self.chain} {self.partition}"


def encode_json(value: object) -> bytes:
    """Encode a frozen dataclass of this module or of `bronze.outcomes`; equal values give equal bytes."""
    return json.dumps(_to_plain(value), separators=(",", ":")).encode()


def decode_json(kind: type[Element], encoded: bytes) -> Element:
    """Decode what `encode_json` made of a `kind`.

    Raises:
        ValueError, TypeError: it is not the JSON of a `kind`.
    """
    of: Any = kind  # mypy takes no type[...] for hashable
    convert = _converter(of)
    found: Element = convert(json.loads(encoded)) if convert else json.loads(encoded)
    return found


def _to_plain(value: Any) -> Any:
    kind: Any = type(value)
    names = _field_names(kind)
    return value if names is None else [_to_plain(getattr(value, name)) for name in names]


@functools.cache
def _field_names(kind: type) -> tuple[str, ...] | None:
    """The names of the fields of a dataclass in their order; None when `kind` is none."""
    return tuple(field.name for field in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else None


Convert: TypeAlias = Callable[[Any], Any]


@functools.cache
def _converter(kind: Any) -> Convert | None:
    """What makes a `kind` of its plain form; None when that is the same. The types are looked at once for each kind."""
    if isinstance(kind, types.UnionType):  # an optional value
        convert = _converter(next(one for one in typing.get_args(kind) if one is not type(None)))
        return convert and (lambda plain: None if plain is None else convert(plain))
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _dataclass_converter(kind)
    if typing.get_origin(kind) is tuple:
        return _to_tuple
    return kind if issubclass(kind, enum.Enum) else None


def _dataclass_converter(kind: Any) -> Convert:
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    converters = [(name, convert) for name in names if (convert := _converter(hints[name]))]

    def convert_fields(plain: Any) -> Any:
        named = dict(zip(names, plain, strict=True))
        for name, convert in converters:
            named[name] = convert(named[name])
        return kind(**named)

    return convert_fields


def _to_tuple(plain: Any) -> Any:
    """JSON has lists for tuples, nested ones too."""
    return tuple(map(_to_tuple, plain)) if isinstance(plain, list) else plain


class FrozenCoder(beam.coders.Coder):
    """Encodes one kind of frozen dataclass as JSON: deterministic, so usable for keys."""

    kind: type

    def encode(self, value: Any) -> bytes:
        """The JSON of `value`."""
        return encode_json(value)

    def decode(self, encoded: bytes) -> Any:
        """The value of that JSON."""
        return decode_json(self.kind, encoded)

    def is_deterministic(self) -> bool:
        """Equal values give equal bytes."""
        return True

    def to_type_hint(self) -> type:
        """The dataclass."""
        return self.kind


def _register(kind: type) -> type[FrozenCoder]:
    coder = type(f"{kind.__name__}Coder", (FrozenCoder,), {"kind": kind, "__module__": __name__})
    beam.coders.registry.register_coder(kind, coder)
    return coder


BatchFilesCoder = _register(BatchFiles)
PartitionKeyCoder = _register(PartitionKey)
PartitionSummaryCoder = _register(PartitionSummary)
PartitionFailureCoder = _register(PartitionFailure)
CommittedPartitionCoder = _register(CommittedPartition)
PendingPartitionCoder = _register(PendingPartition)
