"""Delivery of every event that is not yet delivered."""

from __future__ import annotations

import logging

from bronze.audit.delivery import count_undelivered
from bronze.commit.chain_state import ChainState
from bronze.commit.downstream import Downstream
from bronze.errors import DeliveryError, DeliveryRejectedError
from bronze.job.connections import Connections
from bronze.log_fields import chain_fields, error_fields
from pipeline.sizes import number_of

_LOG = logging.getLogger(__name__)


def check_events(connections: Connections) -> None:
    """Check that no chain has lost events that it would not deliver then. Raises `StateError`."""
    for era in connections.job.eras:
        log, checkpoint = connections.event_log(era), connections.checkpoint(era)
        ChainState(era, log, checkpoint, Downstream()).check_events()


def deliver_all(connections: Connections) -> tuple[int, list[str]]:
    """Deliver every event that is not yet delivered, of all eras of the job.

    Returns:
        How many were sent, and what is still not delivered, a sentence for each era.
    """
    sent, outstanding = 0, []
    for era in connections.job.eras if connections.delivers else ():
        try:
            sent += connections.delivery(era).deliver()
        except (DeliveryError, DeliveryRejectedError) as error:
            _LOG.error("%s", error, extra=chain_fields(era.chain) | error_fields(error))
            log, cursor = connections.event_log(era), connections.delivery_cursor(era)
            assert log is not None
            assert cursor is not None
            count = number_of(count_undelivered(log, cursor), "event")
            outstanding.append(f"{count} of {era.chain} not yet delivered to the endpoint: {error}")
    return sent, outstanding
