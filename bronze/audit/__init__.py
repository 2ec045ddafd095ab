"""The audit stream (PAS 1.1): events and their hash chain, the event files, and their delivery to an HTTP endpoint.

Begin at `EventLog` (the files of one chain) and `Event` (the format). When an event is made and in what order it is
recorded is decided in `bronze.commit`, not here. `bronze.audit.endpoint` loads the HTTP client, so it is not imported
here.
"""

from bronze.audit.delivery import DeliveryCursor, EventDelivery
from bronze.audit.event import Event, hash_document, make_event, parse_event
from bronze.audit.event_log import EventLog, in_link_order

__all__ = [
    "DeliveryCursor",
    "Event",
    "EventDelivery",
    "EventLog",
    "hash_document",
    "in_link_order",
    "make_event",
    "parse_event",
]
