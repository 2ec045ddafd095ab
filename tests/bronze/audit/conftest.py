"""Events and an HTTP server that the tests of the audit stream share.

``chained(count)`` makes the first events of the chain of ERA; ``server`` is a real HTTP endpoint, reached without a
proxy.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bronze.audit.event import Event, make_event
from bronze.dataset.schema import PRIMARY_TABLE
from tests.bronze.conftest import PRODUCER, summary
from tests.support.http_endpoint import EventEndpoint

TIMESTAMP = "2026-01-01T00:00:00Z"


def event(start: int, end: int, prev: str, content: str = "a") -> Event:
    return make_event(summary(start, end, content), PRIMARY_TABLE, prev, PRODUCER, TIMESTAMP)


def chained(count: int) -> list[Event]:
    """The events of 2-11, 12-21, …, each following the one before."""
    events: list[Event] = []
    for first in range(2, 2 + 10 * count, 10):
        events.append(event(first, first + 9, events[-1].event_hash if events else ""))
    return events


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server(no_proxy: None) -> Iterator[EventEndpoint]:
    with EventEndpoint() as made:
        yield made
