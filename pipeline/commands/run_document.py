"""What ``plan --json``, ``run --json`` and ``run --summary FILE`` say; docs/json.md has the schemas.

Keys are only added while the names of the schemas stay.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bronze.authenticity.quorum import Attestation
from bronze.outcomes import Outcome, PartitionFailure
from bronze.partitioning.partition import Partition
from bronze.partitioning.plan import EraPlan
from pipeline.commands.authentic_text import anchoring_document
from pipeline.launch.existence import Round
from pipeline.launch.forecast import EraForecast
from pipeline.launch.places import find_places
from pipeline.launch.prepare import Prepared
from pipeline.telemetry.totals import Totals

PLAN_SCHEMA = "bronze-copier/plan/1"


def plan_document(prepared: Prepared, forecasts: Sequence[EraForecast]) -> dict[str, Any]:
    """The plan of a run, with the forecasts of its eras."""
    layout, newest = prepared.lake.layout, prepared.newest
    eras = []
    for plan, existence, forecast in zip(prepared.plans, prepared.existence, forecasts, strict=True):
        problems = {**existence.problems, **existence.uncorrected}
        eras.append(
            {
                **_planned(prepared, plan),
                "next_ledger": plan.start,
                "last_ledger": plan.end,
                "missing": [_range(one) for one in sorted(existence.missing)],
                "unfinished": [_range(one) for one in existence.unfinished],
                "superfluous": [_range(one) for one in existence.superfluous],
                "problems": [{**_range(one), "problem": text} for one, text in sorted(problems.items())],
                **_forecast(forecast),
            }
        )
    return {
        "schema": PLAN_SCHEMA,
        "exit_status": 0,
        "places": dataclasses.asdict(find_places(prepared.connections)),
        "layout": {
            "ledgers_per_file": layout.ledgers_per_file,
            "files_per_directory": layout.files_per_directory,
            "extension": layout.extension,
        },
        "newest": {"ledger": newest.ledger, "key": newest.key} if newest else None,
        "eras": eras,
    }


def planned_part(prepared: Prepared) -> dict[str, Any]:
    """What a run's document says as soon as the run is planned."""
    return {
        "run_id": prepared.job.run.run_id,
        "places": dataclasses.asdict(find_places(prepared.connections)),
        "eras": [
            {
                **_planned(prepared, plan),
                "committed": None,
                "head": None,
                "gaps": [],
                "attested_through": None,
                **anchoring_document(None),
            }
            for plan in prepared.plans
        ],
    }


def totals_part(totals: Totals) -> dict[str, Any]:
    """What a run's document says of the partitions whose outcome is known."""
    refused = [failure for failure in totals.failures if failure.published]
    return {
        "partitions": {
            **{str(outcome): totals.outcomes[outcome] for outcome in Outcome},
            "failed": len(totals.failures) - len(refused),
            "refused": len(refused),
            "pending": len(totals.pending),
            "stopped": len(totals.stopped),
        },
        "ledgers": totals.ledgers,
        "files": totals.files,
        "raw_bytes": totals.raw_bytes,
        "parquet_bytes": totals.parquet_bytes,
        "failures": [_failure(failure) for failure in _in_order(totals.failures)],
        "pending": [
            {
                "chain": pending.chain,
                **_range(pending.partition),
                "blocked_at": pending.blocked_at,
                "reason": pending.reason,
            }
            for pending in sorted(totals.pending.values(), key=lambda one: (one.chain, one.partition))
        ],
        "outstanding": list(totals.outstanding),
        "would_write": [
            {
                "chain": summary.chain,
                **_range(summary.partition),
                "rows": summary.row_count,
                "bytes": summary.byte_size,
                "checksum": summary.checksum,
            }
            for summary in totals.measured
        ],
    }


def ended_part(last: Round, attested: Mapping[str, Attestation]) -> dict[str, Any]:
    """What a run's document says of the chains when its last round has ended.

    Args:
        attested: by chain, how far it is attested; chains whose attestation was not asked for are left out.
    """
    eras = []
    for plan, position in zip(last.prepared.plans, last.positions, strict=True):
        chain, has_begun = plan.era.chain, position.next_ledger > plan.era.ledger_start
        attestation = attested.get(chain)
        eras.append(
            {
                **_planned(last.prepared, plan),
                "committed": position.next_ledger - 1 if has_begun else None,
                "head": position.head or None,
                "gaps": [_range(gap) for gap in last.gaps.get(chain, ())],
                "attested_through": attestation.through if attestation else None,
                **anchoring_document(last.anchored.get(chain)),
            }
        )
    missing = [{"chain": chain, **_range(one), "problem": text} for (chain, one), text in sorted(last.problems.items())]
    return {"eras": eras, "missing": missing}


def _planned(prepared: Prepared, plan: EraPlan) -> dict[str, Any]:
    return {
        "chain": plan.era.chain,
        "first": plan.partitions[0].start if plan.partitions else None,
        "last": plan.partitions[-1].end if plan.partitions else None,
        "partitions": len(plan.partitions),
        "ledgers": plan.ledger_count,
        "files": plan.file_count(prepared.lake.layout.ledgers_per_file),
        "incomplete_tail": plan.incomplete_tail,
    }


def _forecast(forecast: EraForecast) -> dict[str, Any]:
    count, expected = forecast.objects, forecast.time
    return {
        "published": len(forecast.published),
        "skipped": forecast.skipped,
        "replaced": forecast.replaced,
        "to_copy": {"partitions": len(forecast.to_copy), "ledgers": forecast.ledgers},
        "objects": None
        if count is None
        else {
            "expected": count.expected,
            "listed": count.listed,
            "missing": count.missing,
            "empty": count.empty,
            "doubles": count.doubles,
            "behind_newest": count.behind_newest,
            "missing_ledgers": [_range(one) for one in count.missing_ledgers],
            "empty_ledgers": [_range(one) for one in count.empty_ledgers],
            "lacking": count.lacking,
            "lacking_partitions": [_range(one) for one in count.first_lacking],
        },
        "bytes_to_read": forecast.bytes_to_read,
        "bytes_to_write": forecast.bytes_to_write,
        "time": {
            "basis": str(expected.basis),
            "shortest_s": _rounded(expected.shortest_s),
            "longest_s": _rounded(expected.longest_s),
            "workers": expected.workers,
        },
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _failure(failure: PartitionFailure) -> dict[str, Any]:
    return {
        "chain": failure.chain,
        **_range(failure.partition),
        "is_published": failure.published,
        "error_type": failure.error_type,
        "error": failure.message,
    }


def _in_order(failures: Iterable[PartitionFailure]) -> list[PartitionFailure]:
    return sorted(failures, key=lambda one: (one.chain, one.partition))


def _range(partition: Partition) -> dict[str, int]:
    return {"start": partition.start, "end": partition.end}
