"""Tells the telemetry of a run what is planned."""

from __future__ import annotations

from bronze.commit.position import ChainPosition
from bronze.log_fields import chain_fields
from bronze.metric_families import chain_of
from bronze.partitioning.plan import EraPlan
from bronze.timestamps import seconds_of
from bronze.xdr import is_compiled
from pipeline.launch.archives import committed_partitions
from pipeline.launch.prepare import Prepared
from pipeline.telemetry.run_progress import ChainProgress
from pipeline.telemetry.session import Telemetry


def begin_progress(telemetry: Telemetry, prepared: Prepared) -> None:
    """Tell `telemetry` that the run is planned, and has its locks."""
    target = prepared.job.target

    def newest() -> int | None:
        found = prepared.lake.newest()
        return found.ledger if found else None

    telemetry.begin(
        _chains(prepared),
        table=target.table,
        storage=target.location.path if target.location.scheme == "local" else None,
        reader="compiled" if is_compiled() else "interpreted",
        newest=newest,
    )


def continue_progress(telemetry: Telemetry, prepared: Prepared) -> None:
    """Tell `telemetry` that further partitions are planned."""
    telemetry.state.plan_more(_chains(prepared))


def _chains(prepared: Prepared) -> list[ChainProgress]:
    return [
        _chain_progress(prepared, plan, position)
        for plan, position in zip(prepared.plans, prepared.positions, strict=True)
    ]


def _chain_progress(prepared: Prepared, plan: EraPlan, position: ChainPosition) -> ChainProgress:
    checkpoint = prepared.connections.checkpoint(plan.era)
    known = checkpoint.load() if checkpoint else None
    attestation = prepared.connections.attestation(plan.era)
    has_begun = position.next_ledger > plan.era.ledger_start
    committed = committed_partitions(prepared.listings.of(plan.era), position.next_ledger - 1)
    catch_up = prepared.connections.archive_catch_up(plan.era, committed)
    return ChainProgress(
        chain=chain_of(chain_fields(plan.era.chain)),
        planned=len(plan.partitions),
        planned_ledgers=plan.ledger_count,
        committed=position.next_ledger - 1 if has_begun else 0,
        committed_at=seconds_of(known.updated_at) if known else None,
        attested=attestation.through(position.next_ledger - 1).through if attestation and has_begun else None,
        anchored=catch_up.read().through if catch_up else None,
    )
