"""The SCP messages in a history archive's ``scp`` files: which value a quorum of validators externalized for a ledger.

A record is an SCPHistoryEntry of one ledger: quorum sets, which anybody can write and which do not count here, and the
envelopes of its nodes. An EXTERNALIZE statement names the value that the node has taken, and so does a CONFIRM, which
accepts it as committed; PREPARE and NOMINATE promise nothing. What is signed is
``SHA-256(passphrase) || ENVELOPE_TYPE_SCP || SCPStatement``.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from bronze.authenticity.findings import node_name
from bronze.authenticity.value_signature import signature_holds
from bronze.errors import ArchiveError

_ENVELOPE_TYPE_SCP = struct.pack(">I", 1)
_WORD = struct.Struct(">I")
_PREPARE, _CONFIRM, _EXTERNALIZE, _NOMINATE = range(4)
_KEY_BYTES = 32
#: Nested quorum sets; core allows 4.
_MAX_NESTING = 4
#: Much more than any network has, so that a count cannot make a loop long.
_MAX_COUNT = 10_000


@dataclass(frozen=True, slots=True)
class ScpEnvelope:
    """A node's message for one ledger.

    Attributes:
        node: the public key, 32 bytes.
        ledger: the slot that the statement is about.
        value: what the node has taken (XDR of a StellarValue); None when the statement does not say that.
        statement: the XDR that is signed.
        signature: 64 bytes in every honest envelope.
    """

    node: bytes
    ledger: int
    value: bytes | None
    statement: bytes
    signature: bytes

    def holds(self, network_id: bytes) -> bool:
        """Whether the signature is valid under the network whose id (SHA-256 of its passphrase) is given."""
        return signature_holds(self.node, self.signature, network_id + _ENVELOPE_TYPE_SCP + self.statement)


def read_envelopes(records: Iterable[memoryview], ledger: int) -> list[ScpEnvelope]:
    """The envelopes for `ledger`; none when the file has no record of it.

    Args:
        records: of a ``scp`` file.

    Raises:
        ArchiveError: a record is no SCPHistoryEntry.
    """
    found: list[ScpEnvelope] = []
    for number, record in enumerate(records, 1):
        try:
            at = _Reader(record)
            found += [one for one in _envelopes(at, ledger) if one.ledger == ledger]
        except (ValueError, struct.error) as error:
            raise ArchiveError(f"record {number} of its SCP messages is damaged: {error}") from None
    return found


def externalized(
    envelopes: Iterable[ScpEnvelope], network_id: bytes, nodes: Collection[str]
) -> Mapping[bytes, set[str]]:
    """The values that were taken, each with those of `nodes` (``G...``) whose signature on it holds."""
    found: dict[bytes, set[str]] = {}
    for envelope in envelopes:
        if envelope.value is None:
            continue
        name = node_name(envelope.node)
        if name in nodes and name not in found.get(envelope.value, ()) and envelope.holds(network_id):
            found.setdefault(envelope.value, set()).add(name)
    return found


class _Reader:
    """Reads XDR from the front of a record; ValueError or ``struct.error`` where it is not what is expected."""

    def __init__(self, view: memoryview) -> None:
        self.view = view
        self.at = 0

    def word(self) -> int:
        (value,) = _WORD.unpack_from(self.view, self.at)
        self.at += 4
        return int(value)

    def count(self) -> int:
        value = self.word()
        if value > _MAX_COUNT:
            raise ValueError(f"a count is {value}")
        return value

    def fixed(self, size: int) -> bytes:
        data = bytes(self.view[self.at : self.at + size])
        if len(data) != size:
            raise ValueError("it is cut off")
        self.at += size
        return data

    def opaque(self) -> bytes:
        size = self.word()
        data = self.fixed(size)
        self.fixed(-size % 4)
        return data

    def key(self) -> bytes:
        kind = self.word()
        if kind:
            raise ValueError(f"a key has the unknown type {kind}")
        return self.fixed(_KEY_BYTES)

    def ballot(self) -> bytes:
        """The value of a ballot."""
        self.word()
        return self.opaque()

    def optional_ballot(self) -> None:
        present = self.word()
        if present > 1:
            raise ValueError(f"an optional value has the flag {present}")
        if present:
            self.ballot()

    def quorum_set(self, level: int = 0) -> None:
        if level > _MAX_NESTING:
            raise ValueError("its quorum sets are nested too deeply")
        self.word()
        for _ in range(self.count()):
            self.key()
        for _ in range(self.count()):
            self.quorum_set(level + 1)


def _envelopes(at: _Reader, ledger: int) -> Iterator[ScpEnvelope]:
    """The envelopes of one record; of one about another ledger none, and it is not read on."""
    version = at.word()
    if version:
        raise ValueError(f"its version is {version}, expected 0")
    for _ in range(at.count()):
        at.quorum_set()
    if at.word() != ledger:
        return
    for _ in range(at.count()):
        start = at.at
        node = at.key()
        slot = at.word() << 32 | at.word()
        value = _pledges(at)
        statement = bytes(at.view[start : at.at])
        yield ScpEnvelope(node, slot, value, statement, at.opaque())
    if at.at != len(at.view):
        raise ValueError(f"{len(at.view) - at.at} bytes follow its messages")


def _pledges(at: _Reader) -> bytes | None:
    kind = at.word()
    if kind == _EXTERNALIZE:
        value = at.ballot()
        at.word()
        at.fixed(32)
        return value
    if kind == _CONFIRM:
        value = at.ballot()
        at.fixed(3 * 4 + 32)
        return value
    if kind == _PREPARE:
        at.fixed(32)
        at.ballot()
        at.optional_ballot()
        at.optional_ballot()
        at.fixed(2 * 4)
        return None
    if kind == _NOMINATE:
        at.fixed(32)
        for _ in range(2):
            for _ in range(at.count()):
                at.opaque()
        return None
    raise ValueError(f"a statement has the unknown type {kind}")
