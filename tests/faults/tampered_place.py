"""A good destination to tamper with, and its audit at the level that claims to find a tampering."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bronze.catalog.catalog import Catalog
from bronze.catalog.lineage import LineageContext
from bronze.commit.reconcile import reconcile
from bronze.dataset.dataset import Dataset
from bronze.ingest.lake_ledgers import LakeLedgers
from bronze.partitioning.partition import Partition
from bronze.storage.local import LocalStore
from bronze.verify.audit import audit_era, seam_findings
from bronze.verify.chain_audit import ExpectedChain, audit_chain
from bronze.verify.era_audit import EraAudit
from bronze.verify.finding import Finding, Level, Severity
from bronze.verify.partition_check import PartitionCheck
from bronze.verify.selection import Selection
from pipeline.launch.catalog_audit import compare_catalog
from pipeline.sample import write_sample_lake
from tests.bronze.conftest import GRID, OPTIONS, Workspace, copy, workspace_at
from tests.support.postgres_server import PostgresServer

#: An audit at this level is what claims to find a tampering; ``chain`` and ``head`` need the event files, and ``head``
#: what is known of the chain from elsewhere as well.
CHAIN, HEAD = "chain", "head"
#: The same, with the chain and the catalog.
CATALOG = "catalog"


@dataclass(frozen=True)
class Place:
    """A destination of two eras that follow each other, with three partitions each; its catalog is `database`."""

    root: Path
    lake: Path
    postgres: PostgresServer
    database: str = "good"

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        """The catalog, opened."""
        with Catalog(self.postgres.dsn(self.database), "tampering") as catalog:
            yield catalog

    def sql(self, statement: str, *parameters: object) -> list[Any]:
        """Run a statement on the catalog's database; its rows."""
        return self.postgres.execute(statement, self.database, parameters)

    def era(self, number: int) -> Workspace:
        base = workspace_at(self.root, self.lake, chain={"single_era": False})
        first = base.of(era_id="e1", ledger_end=GRID[2].end)
        return first if number == 0 else base.of(era_id="e2", ledger_start=GRID[3].start, ledger_end=GRID[5].end)

    def of(self, partition: Partition) -> Workspace:
        return self.era(GRID.index(partition) // 3)


@dataclass(frozen=True)
class Tampering:
    """What was done.

    Attributes:
        claim: the level that claims to find it; empty: none does, as docs/verifying.md says.
        where: what a finding's object, partition or text must name.
        ledger: the ledger that one of the findings must name; None: any.
    """

    what: str
    claim: str
    where: str
    ledger: int | None = None


def make_place(root: Path, postgres: PostgresServer) -> Place:
    """A good destination, with a catalog in a new database."""
    place = Place(root / "good", write_sample_lake(root / "lake", OPTIONS).root, postgres)
    postgres.new_database(place.database)
    for number in (0, 1):
        at = place.era(number)
        copy(at, GRID[3 * number : 3 * number + 3])
        context = LineageContext(
            table="ledgers_lcm_raw", storage_root="file:///data/", source_type="local", source_location="/lake"
        )
        with place.catalog() as catalog:
            reconcile(at.era, at.dataset, at.log, catalog, context, at.era.last_ledger + 1)
    return place


def audit(place: Place, claim: str, known: dict[str, ExpectedChain]) -> list[Finding]:
    """The findings of an audit at the level that `claim` says, but for notes."""
    level = Level.MANIFESTS if claim in (CHAIN, HEAD, CATALOG) else Level(claim)
    audits: list[EraAudit] = []
    for at in (place.era(0), place.era(1)):
        check = PartitionCheck(
            dataset=Dataset(LocalStore(at.data), "bronze", "ledgers_lcm_raw"),
            era=at.era,
            level=level,
            passphrase=OPTIONS.passphrase,
            source=lambda _, at=at: LakeLedgers(at.lake, max_object=1 << 26).read,
        )
        found = audit_era(check, Selection(), lambda check, partitions: map(check.check, partitions))
        if claim in (CHAIN, HEAD, CATALOG):
            expected = known[at.era.chain] if claim == HEAD else ExpectedChain()
            audit_chain(found, at.era, check.dataset, at.log, Selection(), expected)
        if claim == CATALOG:
            with place.catalog() as catalog:
                compare_catalog(found, catalog, at.era, check.dataset, Selection(), at.checkpoint.load())
        audits.append(found)
    findings = [finding for one in audits for finding in one.findings] + list(seam_findings(audits))
    return [finding for finding in findings if finding.severity is not Severity.NOTE]


def known_chains(place: Place) -> dict[str, ExpectedChain]:
    """What an outsider wrote down while the destination was good."""
    return {
        at.era.chain: ExpectedChain(head=at.log.head() or "", events=len(at.log.load()))
        for at in (place.era(0), place.era(1))
    }


def is_found(tampering: Tampering, findings: list[Finding]) -> bool:
    """Whether one of `findings` names the right place."""
    return any(
        tampering.where in f"{finding.object} {finding.partition} {finding.found} {finding.expected}"
        and tampering.ledger in (None, finding.ledger)
        for finding in findings
    )
