"""The end of a chain: carried on from event to event only where it is known."""

from __future__ import annotations

import pytest

from bronze.audit.event_log import names_digest
from bronze.commit.chain_end import ChainEnd, extended_end
from tests.bronze.audit.conftest import chained

FIRST, SECOND = chained(2)
NAMES = ("first", "second")


def test_end_follows_each_event() -> None:
    one = extended_end(None, "", FIRST, NAMES[0])
    two = extended_end(one, FIRST.event_hash, SECOND, NAMES[1])
    assert one is not None
    assert two is not None
    assert (one.head, one.events, one.files) == (FIRST.event_hash, 1, names_digest(NAMES[:1]))
    assert (two.head, two.events, two.files) == (SECOND.event_hash, 2, names_digest(NAMES))
    assert two.has_event_of(FIRST.partition)
    assert two.has_event_of(SECOND.partition)


@pytest.mark.parametrize(
    "before",
    [
        None,
        ChainEnd(f"sha256:{'0' * 64}", 1, names_digest(NAMES[:1])),  # of another head
        ChainEnd(FIRST.event_hash, 1, ""),  # the names are not known
    ],
)
def test_unknown_end_stays_unknown(before: ChainEnd | None) -> None:
    assert extended_end(before, FIRST.event_hash, SECOND, NAMES[1]) is None
