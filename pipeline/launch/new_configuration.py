"""The text of a first configuration: commented YAML with absolute places, for a lake that was looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from bronze.stellar import FIRST_LEDGER
from bronze.storage.location import StorageLocation
from pipeline.launch.lake_facts import LakeFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the lake cannot tell.

    Attributes:
        destination: where everything is written: an absolute path, or a URL.
        era_id: name of the era.
        partition_size: ledgers.
    """

    destination: StorageLocation
    era_id: str
    partition_size: int


def configuration_text(lake: LakeFacts, wishes: Wishes, *, version: str, made_at: str) -> str:
    """The configuration file.

    Args:
        version: of this program.
        made_at: a day, for the first line.
    """
    return "\n".join(_lines(lake, wishes, version, made_at)) + "\n"


def _lines(lake: LakeFacts, wishes: Wishes, version: str, made_at: str) -> Iterator[str]:
    size, layout = wishes.partition_size, lake.layout
    first_end = lake.first + size - 1
    yield f"# Made by `bronze-copier init` {version} on {made_at}. All places are absolute."
    yield "# docs/configuration.md explains every key; `bronze-copier config --config FILE` shows all of them."
    yield "#"
    yield f"# The lake then: ledgers {lake.first} to {lake.last}, {layout.ledgers_per_file} in each file,"
    yield f"# {layout.files_per_directory} files in each directory" + (
        f", network {_scalar(lake.passphrase)}." if lake.passphrase else "; it does not state its network."
    )
    yield ""
    yield "era:"
    yield f"  era_id: {_scalar(wishes.era_id)}"
    yield "  version_label: v1"
    yield f"  network: {_scalar(lake.network)}"
    yield "  # These two decide which partitions there are: never change them once something is published."
    whose = "that there is" if lake.first <= FIRST_LEDGER else "of the lake"
    yield f"  ledger_start: {lake.first:<10}  # the first ledger {whose}"
    yield f"  partition_size: {size:<8}  # ledgers in each file: {lake.first}-{first_end}, then from {first_end + 1} on"
    yield "  ledger_end: 0             # 0: everything that the lake has, and will have"
    if lake.last < first_end:
        yield f"  # No partition is complete before the lake has ledger {first_end}: choose a smaller size."
    yield ""
    yield "source:"
    yield from _source(lake.location)
    yield ""
    yield "storage:"
    yield from _storage(wishes.destination)
    yield "  prefix: bronze/"
    base = wishes.destination.url.rstrip("/")
    yield ""
    yield "# The audit stream: one event for each partition, hash-chained. endpoint: a URL that events are posted to."
    yield "pas:"
    yield "  enabled: true"
    yield f"  backup_dir: {_scalar(f'{base}/pas')}"
    yield ""
    yield "# How far each chain is committed."
    yield "checkpoint:"
    yield f"  dir: {_scalar(f'{base}/state')}"
    yield ""
    yield "# A PostgreSQL catalog of what is published. Give the password in the environment instead: CATALOG_DSN."
    yield "# catalog:"
    yield "#   postgres_dsn: postgresql://user@host:5432/database"


def _source(location: StorageLocation) -> Iterator[str]:
    if location.scheme == "local":
        yield "  mode: local"
        yield f"  local_path: {_scalar(location.path)}"
        return
    mode = {"gs": "gcs", "s3": "s3"}[location.scheme]
    yield f"  mode: {mode}"
    yield f"  {mode}_bucket: {_scalar(location.bucket)}"
    if location.prefix:
        yield f"  {mode}_prefix: {_scalar(f'{location.prefix}/')}"
    yield from _options(location)
    if location.anonymous:
        yield "  anonymous: true"


def _storage(location: StorageLocation) -> Iterator[str]:
    if location.scheme == "local":
        yield "  backend: local"
        yield f"  local_dir: {_scalar(location.path)}"
        return
    backend = {"gs": "gcs", "s3": "s3"}[location.scheme]
    yield f"  backend: {backend}"
    yield f"  {backend}_bucket: {_scalar(location.url if location.prefix else location.bucket)}"
    yield from _options(location)


def _options(location: StorageLocation) -> Iterator[str]:
    for name, value in (("s3_endpoint", location.endpoint), ("s3_region", location.region)):
        if value:
            yield f"  {name}: {_scalar(value)}"


def _scalar(text: str | None) -> str:
    """The text as a YAML scalar: JSON's strings are YAML's."""
    return json.dumps(text, ensure_ascii=False)
