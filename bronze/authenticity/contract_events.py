"""Contract events and return values against the result hash: what the meta says is what the network committed to.

The result of a contract invocation is the SHA-256 of its InvokeHostFunctionSuccessPreImage: the return value, then the
events. The results are under the ledger hash. No hash covers ledger entry changes, fees, events of classic operations
and diagnostics.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from bronze.ledger.close_meta import INVOCATION_MARKS, Buffer, CloseMeta

#: From this protocol on, networks write their events in the form of TransactionMetaV4 themselves. Lakes that were
#: backfilled may hold older ledgers in that form, their events rewritten (CAP-67), which the result hash cannot cover.
FIRST_UNIFIED_EVENTS_PROTOCOL = 23

_OPTIONAL_FLAG = 4


@dataclass(frozen=True, slots=True)
class EventCheck:
    """The invocations of one ledger.

    Attributes:
        held: invocations whose return value and events give the hash in their result.
        rewritten: those that do not, in a ledger where CAP-67 lets a lake rewrite them.
        wrong: for the first of those that do not and had to: the hash in its result, and the computed one.
        wrong_count: how many those are.
    """

    held: int
    rewritten: int
    wrong: tuple[bytes, bytes] | None
    wrong_count: int


def check_events(meta: CloseMeta, data: Buffer) -> EventCheck:
    """Compute the hash of each successful contract invocation of a ledger and compare.

    Args:
        data: the buffer that `meta` was read from.
    """
    held = rewritten = wrong_count = 0
    wrong = None
    view, marks = memoryview(data), meta.invocations
    for at in range(0, len(marks), INVOCATION_MARKS):
        success, return_v3, return_v4, return_end, events, events_end = marks[at : at + INVOCATION_MARKS]
        unified = return_v4 > return_v3
        returned = return_v4 + _OPTIONAL_FLAG if unified else return_v3
        digest = sha256()
        if returned > success:  # a mark from before belongs to another transaction: this one has no value
            digest.update(view[returned:return_end])
        if events > success:
            digest.update(view[events:events_end])
        stored, computed = view[success : success + 32], digest.digest()
        if stored == computed:
            held += 1
        elif unified and meta.protocol_version < FIRST_UNIFIED_EVENTS_PROTOCOL:
            rewritten += 1
        else:
            wrong_count += 1
            wrong = wrong or (bytes(stored), computed)
    return EventCheck(held, rewritten, wrong, wrong_count)
