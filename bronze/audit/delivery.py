"""How far each chain is delivered, and the delivery of what lies behind that.

``pas-delivered.json`` beside the event files holds the hash of the last event delivered of each chain:
``{"pubnet/pre_p23/v1": "sha256:…"}``. It follows the delivery, so an event may be sent again, with the same
bytes, but none is left out and none overtakes the one before it.
"""

from __future__ import annotations

import logging

from bronze.audit.chain_hash_file import ChainHashFile
from bronze.audit.endpoint import DeliveryEndpoint
from bronze.audit.event import Event
from bronze.audit.event_log import EventLog
from bronze.storage.store import Store

DELIVERED = "pas-delivered.json"
_LOG = logging.getLogger(__name__)


class DeliveryCursor:
    """The record of `chain` below the root of `store`, where its event files are."""

    def __init__(self, store: Store, chain: str) -> None:
        self.chain = chain
        self._record = ChainHashFile(
            store,
            DELIVERED,
            what="delivery record",
            entry="event",
            remedy="Restore the file, or remove it: every event that has a file is then delivered again (the endpoint"
            " knows them by their ids)",
        )

    def last(self) -> str | None:
        """Hash of the event delivered last, or None when none was.

        Raises:
            StateError: the file is damaged.
        """
        return self._record.load().get(self.chain)

    def advance(self, before: str | None, event_hash: str) -> str | None:
        """Put the record from `before` to `event_hash`; where it is not `before` any more, it stays.

        Returns:
            The record as it is now.
        """
        return self._record.put(self.chain, event_hash, expected=[before])


class EventDelivery:
    """Delivers the events of one chain in the order of their links, at least once each."""

    def __init__(self, log: EventLog, delivered: DeliveryCursor, endpoint: DeliveryEndpoint) -> None:
        self._log = log
        self._delivered = delivered
        self._endpoint = endpoint

    def deliver(self, newest: Event | None = None) -> int:
        """Deliver every event behind the record, and let the record follow each of them.

        Nothing is read but two small files when the record is at the chain's head, and no event file when
        `newest` is all there is to deliver. Other processes may deliver the same chain meanwhile. Must not be
        called by who holds the events' lock.

        Args:
            newest: the chain's last event, when it is known: the chain head may not have followed it yet.

        Returns:
            How many events were sent.

        Raises:
            DeliveryRejectedError, DeliveryError: the first event that could not be delivered; it and what follows it
                are kept for the next call.
            StateError: the record, the chain heads or an event file are damaged, or the chain is broken.
        """
        last = self._delivered.last()
        head = newest.event_hash if newest else self._log.head()
        if last is not None and last == head:
            return 0
        events = [newest] if newest and (newest.prev_hash or None) == last else self._behind(last)
        sent = 0
        while events:
            event = events.pop(0)
            self._endpoint.send(event)
            sent += 1
            last = self._delivered.advance(last, event.event_hash)
            if last != event.event_hash:  # another process is ahead, or somebody edited the record
                events = self._behind(last)
        return sent

    def _behind(self, last: str | None) -> list[Event]:
        """The events that follow `last`: all that have a file when `last` has none."""
        with self._log.lock():  # a listing may miss a file that is created meanwhile, and show the next one
            events = self._log.load()
        for number, event in enumerate(events):
            if event.event_hash == last:
                return events[number + 1 :]
        if events and (last or "") != events[0].prev_hash:
            _LOG.warning(
                "the events of %s from %s to %s have no files in %s any more and may never have been delivered",
                self._delivered.chain, last or "the first", events[0].prev_hash or "nothing", self._log.where,
            )  # fmt: skip
        return events
