"""A real PostgreSQL and a real HTTP endpoint shared by the copies of a test bed, each with a database and a path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.conftest import TABLE, Copier
from tests.support.http_endpoint import EventEndpoint
from tests.support.postgres_server import PostgresServer, running_server

_LINEAGE = (
    "SELECT ledger_start, ledger_end, row_count, checksum, prev_hash, pas_event_hash FROM _meta_lineage"
    " ORDER BY ledger_start"
)


class DownstreamServers:
    """The endpoint and the database server.

    Args:
        postgres: runs.
    """

    def __init__(self, postgres: PostgresServer) -> None:
        self.postgres = postgres
        self.endpoint = EventEndpoint()

    def join(self, settings: dict[str, Any], name: str, *, strict: bool = True) -> None:
        """Point a copy's settings to a new database and to its own path, both called `name`."""
        self.postgres.execute(f'CREATE DATABASE "{name}"')
        settings["catalog"] = {"postgres_dsn": self.postgres.dsn(name), "strict": strict}
        settings["pas"] |= {"endpoint": f"http://127.0.0.1:{self.endpoint.port}/{name}", "strict": strict}

    def problems(self, copy: Copier) -> Iterator[str]:
        """Problems of the rows and the delivered events of `copy`; none without catalog and endpoint."""
        if copy.settings.get("catalog", {}).get("postgres_dsn"):
            yield from self._catalog(copy)
        if copy.settings["pas"].get("endpoint"):
            yield from self._delivered(copy)

    def _catalog(self, copy: Copier) -> Iterator[str]:
        database = copy.settings["catalog"]["postgres_dsn"].rpartition("/")[2]
        hashes = {
            (event["partition"]["ledger_start"], event["partition"]["ledger_end"]): event["chain"]["event_hash"]
            for event in copy.events()
        }
        expected: list[tuple[Any, ...]] = []
        before = None
        for part, manifest in copy.manifests().items():
            table = manifest["tables"][TABLE]
            expected.append((*part, table["row_count"], table["checksum"], before, hashes.get(part)))
            before = table["checksum"]
        lineage = self.postgres.execute(_LINEAGE, database)
        if lineage != expected:
            wrong = [pair for pair in zip(lineage, expected, strict=False) if pair[0] != pair[1]][:1]
            yield f"catalog: {len(lineage)} rows of lineage, expected {len(expected)}; first that differs: {wrong}"
        quality = self.postgres.execute(
            "SELECT ledger_start, ledger_end, passed FROM _meta_quality ORDER BY 1", database
        )
        if quality != [(*part, True) for part in copy.manifests()]:
            yield f"catalog: quality says {quality}"

    def _delivered(self, copy: Copier) -> Iterator[str]:
        path = "/" + copy.settings["pas"]["endpoint"].rpartition("/")[2]
        taken = self.endpoint.taken_at(path)
        first: dict[str, dict[str, Any]] = {}
        for event in taken:
            if first.setdefault(event["event_id"], event) != event:
                yield f"endpoint: {event['event_id']} came with other bytes the second time"
        sent, made = list(first.values()), copy.events()
        if sent != made:
            yield f"endpoint: took {[event['partition'] for event in sent]}, the chain is {_spans(made)}"
        record = copy.root / "pas" / "pas-delivered.json"
        document = json.loads(record.read_bytes()) if record.exists() else {}
        if made and list(document.values()) != [made[-1]["chain"]["event_hash"]]:
            yield f"endpoint: the delivery record says {document}"


@contextmanager
def downstream_servers() -> Iterator[DownstreamServers]:
    """Both servers, running, until the end of the block."""
    with running_server() as postgres:
        servers = DownstreamServers(postgres)
        try:
            yield servers
        finally:
            servers.endpoint.close()


def _spans(events: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(event["partition"]["ledger_start"], event["partition"]["ledger_end"]) for event in events]
