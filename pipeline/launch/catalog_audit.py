"""Compares the configured catalog with audits, for ``verify --catalog``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bronze.commit.checkpoint import Checkpoint
from bronze.dataset.dataset import Dataset
from bronze.errors import CatalogError, ConfigError, StateError, StoreError
from bronze.partitioning.era import Era
from bronze.verify.catalog_audit import LEVEL, audit_catalog
from bronze.verify.era_audit import EraAudit
from bronze.verify.finding import FindingCollector, Severity
from bronze.verify.selection import Selection
from pipeline.launch.prepare import connect_without_lake
from pipeline.settings.model import Settings

if TYPE_CHECKING:  # psycopg2 is loaded by who opens a catalog
    from bronze.catalog.catalog import Catalog


def add_catalog(audits: Sequence[EraAudit], settings: Settings, selection: Selection) -> None:
    """Compare the catalog that the settings name with the audits; one that cannot be read is a finding of each.

    Raises:
        ConfigError: the settings name no catalog.
    """
    chains = {audit.chain: audit for audit in audits}
    with connect_without_lake(settings, writes=False) as connections:
        catalog = connections.catalog()
        if catalog is None:
            raise ConfigError("--catalog: the configuration has no catalog (catalog.postgres_dsn)")
        for era in connections.job.eras:
            result = chains.get(era.chain)
            if result is None:
                continue
            try:
                file = connections.checkpoint(era)
                checkpoint = file.load() if file else None
            except (StateError, StoreError):  # a finding of the checkpoint's own
                checkpoint = None
            compare_catalog(result, catalog, era, connections.dataset(), selection, checkpoint)


def compare_catalog(
    result: EraAudit,
    catalog: Catalog,
    era: Era,
    dataset: Dataset,
    selection: Selection,
    checkpoint: Checkpoint | None,
) -> None:
    """Compare the catalog's rows of the era with its audit; a catalog that cannot be read is a finding.

    Args:
        checkpoint: of the era's chain; None when it is not known.
    """
    findings = FindingCollector(
        result.findings, era.chain, LEVEL, "the catalog", remedy="correct the row, or remove it"
    )
    try:
        rows = catalog.recorded(era, dataset.table)
        for sentence in catalog.unusable_rows(era, dataset.table):
            findings.add(sentence)
    except CatalogError as error:
        findings.add(f"cannot be read: {error}", severity=Severity.UNCHECKED)
        return
    audit_catalog(
        result,
        rows,
        "the catalog",
        selection,
        path_of=lambda partition: dataset.storage_path(era, partition),
        committed=checkpoint.last_ledger if checkpoint else None,
    )
