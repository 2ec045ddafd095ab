"""How far each chain is delivered, and the delivery of the events behind that.

``pas-delivered.json`` beside the event files holds the hash of the last delivered event of each chain:
``{"pubnet/pre_p23/v1": "sha256:…"}``. It is written after the delivery, so an event may be delivered twice, with the
same bytes, but none is left out and none is delivered before the one it follows.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bronze.audit.chain_hash_file import ChainHashFile
from bronze.audit.event import Event
from bronze.audit.event_log import EventLog
from bronze.errors import DeliveryError, DeliveryRejectedError
from bronze.log_fields import chain_fields, error_fields
from bronze.measurements import EVENT_DELIVERED, EVENT_FAILED, report
from bronze.storage.store import Store

if TYPE_CHECKING:  # the cursor is needed where no HTTP client is
    from bronze.audit.endpoint import DeliveryEndpoint

DELIVERED = "pas-delivered.json"
_LOG = logging.getLogger(__name__)


class DeliveryCursor:
    """How far `chain` is delivered, kept in the delivery record at the root of `store`, beside the event files."""

    def __init__(self, store: Store, chain: str) -> None:
        self.chain = chain
        self._record = ChainHashFile(
            store=store,
            name=DELIVERED,
            kind="delivery record",
            entry="event",
            remedy="Restore the file, or remove it: every event that has a file is then delivered again (the endpoint"
            " recognises them by their ids)",
        )

    def last(self) -> str | None:
        """Hash of the event delivered last; None when none was.

        Raises:
            StateError: the file is damaged.
        """
        return self._record.load().get(self.chain)

    def advance(self, before: str | None, after: str) -> str | None:
        """Move the cursor to the event hash `after`, if it still is at `before`.

        Returns:
            Where the cursor is now.

        Raises:
            StateError: the file is damaged.
        """
        return self._record.set(self.chain, after, expected=[before])


def count_undelivered(log: EventLog, cursor: DeliveryCursor) -> int:
    """How many events that have a file are not known to be delivered.

    Raises:
        StateError: the delivery record or an event file is damaged, or the chain is broken.
    """
    last = cursor.last()
    if last is not None and last == log.head():
        return 0
    hashes = [event.event_hash for event in log.load()]
    return len(hashes) - (hashes.index(last) + 1 if last in hashes else 0)


class EventDelivery:
    """Delivers the events of one chain in the order of their links, at least once each."""

    def __init__(self, log: EventLog, cursor: DeliveryCursor, endpoint: DeliveryEndpoint) -> None:
        self._log = log
        self._cursor = cursor
        self._endpoint = endpoint

    def deliver(self, newest: Event | None = None) -> int:
        """Deliver every event behind the cursor, and advance the cursor after each of them.

        Only two small files are read when the cursor is at the chain's head, and no event file when `newest` is the
        only event to deliver. Other processes may deliver the same chain at the same time. Must not be called while
        the event log is locked.

        Args:
            newest: the chain's last event, when it is known: the chain head may not be updated yet.

        Returns:
            How many events were sent.

        Raises:
            DeliveryRejectedError, DeliveryError: the first event that could not be delivered; it and the events after
                it are left for the next call.
            StateError: the delivery record, the chain heads or an event file are damaged, or the chain is broken.
        """
        last = self._cursor.last()
        head = newest.event_hash if newest else self._log.head()
        if last is not None and last == head:
            return 0
        events = [newest] if newest and (newest.prev_hash or None) == last else self._events_after(last)
        sent = 0
        while events:
            event = events.pop(0)
            self._send(event)
            sent += 1
            last = self._cursor.advance(last, event.event_hash)
            if last != event.event_hash:  # another process is ahead, or somebody edited the record
                events = self._events_after(last)
        return sent

    def _send(self, event: Event) -> None:
        try:
            self._endpoint.send(event)
        except (DeliveryError, DeliveryRejectedError) as error:
            report(EVENT_FAILED, 1, **chain_fields(event.chain), **error_fields(error))
            raise
        report(EVENT_DELIVERED, 1, **chain_fields(event.chain))
        _LOG.debug("delivered the event %s of %s %s", event.event_hash, event.chain, event.partition)

    def _events_after(self, last: str | None) -> list[Event]:
        """The events that follow `last`; all events that have a file when `last` has none."""
        with self._log.lock():  # a listing may miss a file that is created meanwhile, and show the next one
            events = self._log.load()
        for number, event in enumerate(events):
            if event.event_hash == last:
                return events[number + 1 :]
        if events and (last or "") != events[0].prev_hash:
            _LOG.warning(
                "the events of %s from %s to %s have no files in %s any more and may never have been delivered",
                self._cursor.chain, last or "the first", events[0].prev_hash or "nothing", self._log.where,
            )  # fmt: skip
        return events
