"""The places that a run uses, absolute; and no new chain in a place that depends on where the run was started."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass

from bronze.audit.endpoint import DeliveryEndpoint
from bronze.commit.checkpoint import CheckpointFile
from bronze.dataset.listing import list_dataset
from bronze.errors import ConfigError, StateError
from bronze.job.connections import Connections
from bronze.partitioning.era import Era
from bronze.storage.store import join
from pipeline.settings.model import Settings

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where everything is: absolute paths, or URLs without secrets; None for what is not used.

    Attributes:
        lake, destination, events, checkpoint: directories or URLs; the destination with its prefix.
        catalog: ``host:port/database``.
        endpoint: scheme, host and port.
    """

    lake: str | None
    destination: str
    events: str | None
    checkpoint: str | None
    catalog: str | None
    endpoint: str | None


def find_places(connections: Connections) -> Places:
    """The places of the job; nothing is asked."""
    job = connections.job
    target, events, checkpoint = job.target, job.chain.events, job.chain.checkpoint
    catalog = connections.catalog()
    return Places(
        lake=job.source.location.url if job.source else None,
        destination=f"{target.location.url.rstrip('/')}/{join(target.prefix)}".rstrip("/"),
        events=events.url if events else None,
        checkpoint=checkpoint.url if checkpoint else None,
        catalog=catalog.where if catalog else None,
        endpoint=DeliveryEndpoint(connections.secrets.endpoint, job.run.retry).where if connections.delivers else None,
    )


def warn_of_nested(places: Places) -> None:
    """Log a warning of each place that is written to and lies inside the lake."""
    lake = (places.lake or "").rstrip("/")
    for setting, place in (
        ("storage", places.destination),
        ("pas.backup_dir", places.events),
        ("checkpoint.dir", places.checkpoint),
    ):
        if lake and place and f"{place.rstrip('/')}/".startswith(f"{lake}/"):
            _LOG.warning(
                "%s: %s lies inside the lake %s, whose other readers and writers expect ledgers only: choose another"
                " place before anything is published",
                setting, place, lake,
            )  # fmt: skip


def check_new_chains(settings: Settings, connections: Connections) -> None:
    """Check that no chain would begin in a directory that is written relative to the working directory.

    From another working directory, as cron has, the same configuration would begin a second copy and a second chain.
    A chain that has begun goes on.

    Raises:
        ConfigError: one would; names the places and the way out.
    """
    relative = list(_relative_places(settings))
    if not relative:
        return
    for era in connections.job.eras:
        if not _has_begun(connections, era):
            raise ConfigError(
                f"the chain {era.chain} would begin anew where the working directory says: {'; '.join(relative)}."
                " Nobody is at a terminal to see that, and the same run from another directory would begin a second"
                " copy there: write absolute paths, or say --allow-relative"
            )


def _relative_places(settings: Settings) -> Iterator[str]:
    for name, value, is_used in (
        ("storage.local_dir", settings.storage.local_dir, settings.storage.backend == "local"),
        ("checkpoint.dir", settings.checkpoint.dir, settings.checkpoint.enabled),
        ("pas.backup_dir", settings.pas.backup_dir, settings.pas.enabled),
    ):
        if is_used and "://" not in value and not value.startswith("/"):
            yield f"{name} {value!r} is {os.path.abspath(value)}"  # noqa: PTH100 - resolves "..", but no links


def _has_begun(connections: Connections, era: Era) -> bool:
    """Whether the chain has a checkpoint or an event; where it keeps neither, whether anything is published."""
    checkpoint, log = connections.checkpoint(era), connections.event_log(era)
    if checkpoint is None and log is None:
        return not list_dataset(connections.dataset(), era).is_empty
    return _is_found(checkpoint) or bool(log and (log.head() or log.names()))


def _is_found(checkpoint: CheckpointFile | None) -> bool:
    try:
        return checkpoint is not None and checkpoint.load() is not None
    except StateError:  # damaged: something has begun there
        return True
