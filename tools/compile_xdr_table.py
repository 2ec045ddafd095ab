#!/usr/bin/env python3
"""Compile the XDR types of stellar-sdk into the flat table that ``bronze.xdr.walker`` walks by.

    python tools/compile_xdr_table.py            write bronze/xdr/table.py
    python tools/compile_xdr_table.py --check    exit 1 when bronze/xdr/table.py is not what would be written

stellar-sdk's type docstrings carry the IDL (RFC 4506 section 6) of every type. Those that LedgerCloseMeta
reaches become seven instructions, each beginning with its code and its lead: the bytes of fixed-size
fields before it that are skipped.

    RETURN  lead                              end of a routine: next element, or back to the caller
    SWITCH  lead table                        a word that chooses: bool, enum, union, optional
    ARRAY   lead max min slot routine         a count, then elements; the count is added to a slot
    BYTES   lead max                          a length, bytes, zero padding: opaque<>, string<>
    MARK    lead slot                         keep the position in a slot
    COPY    lead slot                         append the bytes since a slot's mark to the scratch
    NOTE    lead slot count                   when the slot was marked: note its mark and the next slots', then clear it

A table is ``low, size`` and an arm for each value from low: 0 invalid, n > 0 the routine at n,
n < 0 an arm of -n - 1 bytes that are skipped. Structs are always inlined; union arms and array elements
that are more than bytes are routines, which is what makes recursive types possible.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import inspect
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from stellar_sdk import xdr
from stellar_sdk.xdr import constants

TARGET = Path(__file__).resolve().parents[1] / "bronze" / "xdr" / "table.py"
ROOT = "LedgerCloseMeta"
RETURN, SWITCH, ARRAY, BYTES, MARK, COPY, NOTE = range(7)
NO_MAX = 0xFFFFFFFF

#: END takes counts nobody asks for, until the walk ends there.
SLOTS = (
    "END", "HEADER", "VALUE_EXT", "VALUE_END", "HEADER_END", "TX_SET", "TX_SET_END",
    "TX_COUNT", "OPERATION_COUNT", "RESULT_COUNT", "RESULT", "TX", "TX_DONE",
    # Noted of each contract invocation, so in a row: see `bronze.ledger.contract_events`.
    "SUCCESS", "RETURN_V3", "RETURN_V4", "RETURN_END", "EVENTS", "EVENTS_END",
)  # fmt: skip
SLOT = {name: number for number, name in enumerate(SLOTS)}

#: (struct, field), or ("union.arm", "") -> what is done before and after it.
Hook = tuple[int, str] | tuple[int, str, int]
_TX_SET = ((MARK, "TX_SET"), (MARK, "TX_SET_END"))
_RESULT = ((MARK, "RESULT"), (COPY, "RESULT"))
_TX = ((MARK, "TX"), (MARK, "TX_DONE"))
_EVENTS = ((MARK, "EVENTS"), (MARK, "EVENTS_END"))
_NOTE = (NOTE, "SUCCESS", len(SLOTS) - SLOT["SUCCESS"])
HOOKS: dict[tuple[str, str], tuple[Hook | None, Hook | None]] = {
    ("LedgerHeaderHistoryEntry", "header"): ((MARK, "HEADER"), (MARK, "HEADER_END")),
    ("StellarValue", "ext"): ((MARK, "VALUE_EXT"), (MARK, "VALUE_END")),
    ("LedgerCloseMetaV0", "txSet"): _TX_SET,
    ("LedgerCloseMetaV1", "txSet"): _TX_SET,
    ("LedgerCloseMetaV2", "txSet"): _TX_SET,
    ("TransactionResultMeta", "result"): _RESULT,
    ("TransactionResultMetaV1", "result"): _RESULT,
    ("TransactionV0Envelope", "tx"): _TX,
    ("TransactionV1Envelope", "tx"): _TX,
    ("InvokeHostFunctionResult.success", ""): ((MARK, "SUCCESS"), None),
    ("SorobanTransactionMeta", "events"): _EVENTS,
    ("OperationMetaV2", "events"): _EVENTS,
    ("SorobanTransactionMeta", "returnValue"): ((MARK, "RETURN_V3"), (MARK, "RETURN_END")),
    ("SorobanTransactionMetaV2", "returnValue"): ((MARK, "RETURN_V4"), (MARK, "RETURN_END")),
    ("TransactionResultMeta", "txApplyProcessing"): (None, _NOTE),
    ("TransactionResultMetaV1", "txApplyProcessing"): (None, _NOTE),
}
#: Element type -> slot that counts its array elements. Neither envelopes nor operations occur outside the tx set.
COUNTERS = {
    "TransactionEnvelope": "TX_COUNT",
    "Operation": "OPERATION_COUNT",
    "TransactionResultMeta": "RESULT_COUNT",
    "TransactionResultMetaV1": "RESULT_COUNT",
}


# --- the IDL -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bytes:
    """opaque[n] (size), or opaque<n> and string<n> (max)."""

    size: int | None = None
    max: int = NO_MAX


@dataclass(frozen=True)
class Fixed:
    """`size` bytes every value of which is valid: integers."""

    size: int


@dataclass(frozen=True)
class Named:
    """A reference to a declared type."""

    name: str


@dataclass(frozen=True)
class Optional:
    """``T *name``."""

    item: Type


@dataclass(frozen=True)
class Array:
    """``T name[size]`` or ``T name<max>``."""

    item: Type
    size: int | None = None
    max: int = NO_MAX


@dataclass(frozen=True)
class Struct:
    """Fields in order."""

    name: str
    fields: tuple[tuple[str, Type], ...]


@dataclass(frozen=True)
class Choice:
    """A word of which `arms` names every valid value: bool, enum or union. An arm is (name, type or None)."""

    kind: str
    arms: tuple[tuple[int, tuple[str, Type | None]], ...]


Type = Bytes | Fixed | Named | Optional | Array | Struct | Choice

BOOL = Choice("bool", ((0, ("", None)), (1, ("", None))))
PRIMITIVES: dict[str, Type] = {
    "int": Fixed(4),
    "unsigned int": Fixed(4),
    "hyper": Fixed(8),
    "unsigned hyper": Fixed(8),
    "bool": BOOL,
}
_TOKEN = re.compile(r"\s*(-?0x[0-9A-Fa-f]+|-?\d+|\w+|[{}()<>\[\];:,=*])")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)


class Parser:
    """Recursive descent over the declarations of one docstring."""

    def __init__(self, text: str, enums: dict[str, int]) -> None:
        text, self.tokens, at = _COMMENT.sub("", text).rstrip(), [], 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise SyntaxError(f"cannot read IDL at {text[at : at + 40]!r}")
            self.tokens.append(match[1])
            at = match.end()
        self.at, self.enums = 0, enums

    def peek(self) -> str:
        """The next token, or an empty string at the end."""
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str | None = None) -> str:
        """Consume the next token, which has to be `expected` when that is given."""
        token = self.peek()
        if not token or (expected is not None and token != expected):
            raise SyntaxError(f"expected {expected or 'a token'}, found {token!r} in {' '.join(self.tokens)[:80]}")
        self.at += 1
        return token

    def accept(self, token: str) -> bool:
        """Consume the next token if it is `token`."""
        if self.peek() != token:
            return False
        self.at += 1
        return True

    def number(self, token: str) -> int:
        """Value of a literal, an enum member or a constant."""
        if re.fullmatch(r"-?(0x[0-9A-Fa-f]+|\d+)", token):
            return int(token, 0)
        if token in self.enums:
            return self.enums[token]
        value = getattr(constants, token)
        assert isinstance(value, int)
        return value

    def declaration(self, outer: str) -> tuple[str, Type] | None:
        """One ``type name;`` with its suffixes; None for ``void``."""
        if self.accept("void"):
            self.take(";")
            return None
        first = self.take()
        if first in ("opaque", "string"):
            name = self.take()
            fixed = self.accept("[")
            if not fixed:
                self.take("<")
            limit = NO_MAX if self.peek() == ">" else self.number(self.take())
            self.take("]" if fixed else ">")
            self.take(";")
            return name, Bytes(size=limit) if fixed else Bytes(max=limit)
        item: Type
        if first in ("struct", "union"):
            item = self.struct(outer) if first == "struct" else self.union(outer)
        else:
            word = f"unsigned {self.take()}" if first == "unsigned" else first
            item = PRIMITIVES.get(word, Named(word))
        optional = self.accept("*")
        name = self.take()
        if optional:
            item = Optional(item)
        elif self.accept("["):
            item = Array(item, size=self.number(self.take()))
            self.take("]")
        elif self.accept("<"):
            item = Array(item, max=NO_MAX if self.peek() == ">" else self.number(self.take()))
            self.take(">")
        self.take(";")
        return name, item

    def struct(self, name: str) -> Struct:
        """The braces of a struct."""
        self.take("{")
        fields = []
        while not self.accept("}"):
            declared = self.declaration(name)
            assert declared is not None
            fields.append(declared)
        return Struct(name, tuple(fields))

    def union(self, name: str) -> Choice:
        """A union from its ``switch`` on."""
        for token in ("switch", "("):
            self.take(token)
        while self.peek() != ")":
            self.take()
        for token in (")", "{"):
            self.take(token)
        arms: dict[int, tuple[str, Type | None]] = {}
        while not self.accept("}"):
            values = []
            while self.accept("case"):
                values.append(self.number(self.take()))
                self.take(":")
            arm = self.declaration(name) or ("", None)
            arms.update(dict.fromkeys(values, arm))
        return Choice(f"union {name}", tuple(sorted(arms.items())))

    def enum(self, name: str) -> Choice:
        """The braces of an enum."""
        self.take("{")
        values: dict[str, int] = {}
        while not self.accept("}"):
            member = self.take()
            self.take("=")
            values[member] = self.number(self.take())
            self.accept(",")
        self.enums.update(values)
        return Choice(f"enum {name}", tuple((value, ("", None)) for value in sorted(set(values.values()))))


def read_types() -> dict[str, Type]:
    """Every named type of stellar_sdk.xdr, by its name in the IDL."""
    sources = []
    for _, cls in sorted(vars(xdr).items()):
        if inspect.isclass(cls) and "XDR Source Code::" in (cls.__doc__ or ""):
            sources.append(inspect.cleandoc(cls.__doc__ or "").split("::", 1)[1].strip())
    types: dict[str, Type] = {}
    enums: dict[str, int] = {}
    # Enums first: union cases name their members.
    for source in sorted(sources, key=lambda text: not text.startswith("enum")):
        parser = Parser(source, enums)
        keyword = parser.take()
        if keyword == "typedef":
            declared = parser.declaration("")
            assert declared is not None
            name, types[name] = declared
            continue
        if parser.peek() in ("switch", "{"):
            continue  # the class of an anonymous inner type: read where it stands, in the outer one
        name = parser.take()
        match keyword:
            case "struct":
                types[name] = parser.struct(name)
            case "union":
                types[name] = parser.union(name)
            case "enum":
                types[name] = parser.enum(name)
            case _:
                raise SyntaxError(f"unknown declaration {keyword!r}")
    return types


# --- the table ---------------------------------------------------------------------------------------


@dataclass
class Label:
    """Names of an instruction: of its lead's fields, of itself, and what its word is."""

    lead: list[str] = field(default_factory=list)
    name: str = ""
    kind: str = ""
    arms: tuple[tuple[int, str], ...] = ()

    def row(self) -> tuple[str, str, str, dict[int, str]]:
        """The label as it is written into the table."""
        return " ".join(self.lead), self.name, self.kind, dict(self.arms)


class Routine:
    """Code of one type, its lead still open."""

    def __init__(self) -> None:
        self.code: list[tuple[list[object], Label]] = []
        self.lead, self.parts = 0, list[str]()

    def skip(self, size: int, name: str) -> None:
        """Add a field to the lead of the next instruction."""
        self.lead += size
        self.parts.append(f"{name}:{size}")

    def emit(self, op: int, *operands: object, **label: object) -> None:
        """Add an instruction, with the lead gathered so far."""
        self.code.append(([op, self.lead, *operands], Label(lead=self.parts, **label)))  # type: ignore[arg-type]
        self.lead, self.parts = 0, []


class Compiler:
    """Compiles types into routines and arm tables, each distinct one once."""

    def __init__(self, types: dict[str, Type]) -> None:
        self.types = types
        self.routines: dict[Type, Routine] = {}
        self.tables: list[tuple[object, ...]] = []
        self.sizing: set[Type] = set()

    def resolve(self, item: Type) -> Type:
        """What a name stands for, through typedefs."""
        while isinstance(item, Named):
            item = self.types[item.name]
        return item

    def plain(self, item: Type | None) -> int | None:
        """Size of a type all of whose values are valid and equally long, else None."""
        if item is None:
            return 0
        item = self.resolve(item)
        match item:
            case Fixed(size):
                return size
            case Bytes(size=int(size)):
                if size % 4:
                    raise NotImplementedError(f"opaque[{size}] is padded")
                return size
            case Array(size=int(size)):
                each = self.plain(item.item)
                if each is None:
                    raise NotImplementedError(f"fixed array of {item.item}")
                return size * each
            case Struct():
                sizes = [self.plain(member) for _, member in item.fields]
                hooked = any((item.name, name) in HOOKS for name, _ in item.fields)
                return None if hooked or None in sizes else sum(size or 0 for size in sizes)
        return None

    def smallest(self, item: Type | None) -> int:
        """Fewest bytes a value takes. An inner occurrence of a type being sized counts 0, which is a lower bound."""
        if item is None:
            return 0
        item = self.resolve(item)
        if item in self.sizing:
            return 0
        self.sizing.add(item)
        try:
            match item:
                case Choice():
                    return 4 + min(self.smallest(arm) for _, (_, arm) in item.arms)
                case Struct():
                    return sum(self.smallest(member) for _, member in item.fields)
                case Optional() | Array(size=None) | Bytes(size=None):
                    return 4
            size = self.plain(item)
            assert size is not None
            return size
        finally:
            self.sizing.remove(item)

    def routine(self, item: Type) -> Routine:
        """The routine of a type, compiled once."""
        item = self.resolve(item)
        if item not in self.routines:
            made = self.routines[item] = Routine()  # entered before it is filled: types recurse
            self.compile(made, item, "")
            made.emit(RETURN)
        return self.routines[item]

    def table(self, arms: dict[int, Type | None]) -> int:
        """The index of the arm table of `arms`."""
        low, row = min(arms), list[object]()
        for value in range(low, max(arms) + 1):
            if value not in arms:
                row.append(0)
                continue
            arm = arms[value]
            size = self.plain(arm)
            if size is not None:
                row.append(-size - 1)
            elif arm is not None:
                row.append(self.routine(arm))
        entry = (low, len(row), *row)
        if entry not in self.tables:
            self.tables.append(entry)
        return self.tables.index(entry)

    def compile(self, out: Routine, item: Type, name: str) -> None:
        """Append the code of a field called `name` (a dotted path in its routine)."""
        item, element = self.resolve(item), ""
        if isinstance(item, Array) and isinstance(item.item, Named):
            element = item.item.name
        match item:
            case Struct():
                self.compile_struct(out, item, name)
            case _ if (size := self.plain(item)) is not None:
                out.skip(size, name)
            case Bytes():
                out.emit(BYTES, item.max, name=name, kind="bytes")
            case Optional():
                table = self.table({0: None, 1: item.item})
                out.emit(SWITCH, TableRef(table), name=name, kind="optional flag", arms=((1, ""),))
            case Choice():
                table = self.table({value: self.hooked(item, *arm) for value, arm in item.arms})
                arms = tuple((value, arm[0]) for value, arm in item.arms if arm[0])
                out.emit(SWITCH, TableRef(table), name=name, kind=item.kind, arms=arms)
            case Array():
                least = self.smallest(item.item)
                assert least >= 4, f"elements of {name} may be empty: a count could loop for nothing"
                slot = SLOT[COUNTERS.get(element, "END")]
                target = self.routine(item.item)
                out.emit(ARRAY, item.max, least, slot, target, name=name, kind=f"elements of {element}")
            case _:
                raise NotImplementedError(str(item))

    def compile_struct(self, out: Routine, item: Struct, prefix: str) -> None:
        """Append the fields of a struct, with their hooks."""
        for name, member in item.fields:
            path = f"{prefix}.{name}" if prefix else name
            before, after = HOOKS.get((item.name, name), (None, None))
            self.emit_hook(out, before, path)
            self.compile(out, member, path)
            self.emit_hook(out, after, path)

    def emit_hook(self, out: Routine, hook: Hook | None, path: str) -> None:
        """Append what a hook does."""
        if hook is not None:
            op, slot, *operands = hook
            out.emit(op, SLOT[slot], *operands, name=path)

    def hooked(self, union: Choice, name: str, arm: Type | None) -> Type | None:
        """The arm of a union; one with hooks is compiled as a struct of one field without a name."""
        place = f"{union.kind.removeprefix('union ')}.{name}"
        return Struct(place, (("", arm),)) if arm is not None and (place, "") in HOOKS else arm


@dataclass(frozen=True)
class TableRef:
    """Place of an arm table, known once all code is laid out."""

    index: int


def compile_program(root: str) -> tuple[list[int], dict[int, Label]]:
    """The program, beginning with the routine of `root` at 1 (0 means invalid), and labels by position."""
    compiler = Compiler(read_types())
    compiler.routine(Named(root))
    at, starts = 1, dict[int, int]()
    for routine in compiler.routines.values():
        starts[id(routine)] = at
        at += sum(len(words) for words, _ in routine.code)
    tables = []
    for entry in compiler.tables:
        tables.append(at)
        at += len(entry)

    def place(word: object) -> int:
        if isinstance(word, TableRef):
            return tables[word.index]
        return starts[id(word)] if isinstance(word, Routine) else int(word)  # type: ignore[call-overload]

    program, labels = [0], dict[int, Label]()
    for routine in compiler.routines.values():
        for words, label in routine.code:
            labels[len(program)] = label
            program.extend(map(place, words))
    for entry in compiler.tables:
        program.extend(map(place, entry))
    return program, labels


def wrapped(words: list[str]) -> list[str]:
    """Words in lines of at most 120 characters, indented."""
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > 116:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return ["    " + line for line in lines]


def render() -> str:
    """Text of bronze/xdr/table.py."""
    program, labels = compile_program(ROOT)
    version = importlib.metadata.version("stellar-sdk")
    lines = [
        f'"""The XDR types that {ROOT} reaches, as a flat program. Generated: do not edit.',
        "",
        f"Made by tools/compile_xdr_table.py, which explains the instructions, from stellar-sdk {version}.",
        '"""',
        "",
        "# fmt: off",
        "",
        f'ROOT = "{ROOT}"',
        f'STELLAR_SDK = "{version}"',
        "",
        "# Slots of the walker's marks.",
        *(f"{name} = {number}" for name, number in SLOT.items()),
        f"SLOTS = {len(SLOTS)}",
        "",
        "#: Instructions and arm tables; the root's routine begins at 1.",
        "PROGRAM: tuple[int, ...] = (",
        *wrapped([f"{word}," for word in program]),
        ")",
        "",
        '#: Position of an instruction -> the fields of its lead ("name:bytes ..."), its own, what it is, arm names.',
        "LABELS: dict[int, tuple[str, str, str, dict[int, str]]] = {",
        *(f"    {at}: {label.row()!r}," for at, label in labels.items()),
        "}",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the table, or check it."""
    parser = argparse.ArgumentParser(description="Compile stellar-sdk's XDR types into bronze/xdr/table.py.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the committed table is stale")
    text = render()
    if not parser.parse_args().check:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    print(f"{TARGET} is stale: run python tools/compile_xdr_table.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
