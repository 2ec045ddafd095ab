"""Whether a run is well, as a document for probes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipeline.sizes import format_time
from pipeline.telemetry.run_state import Snapshot


def health(found: Snapshot, *, stalled_after_s: float) -> tuple[int, dict[str, Any]]:
    """The HTTP status and the document of ``/health``.

    503 means that the run makes no progress for `stalled_after_s` seconds (``stalled``), that its last partitions all
    failed or that endpoint or catalog do not take what it commits (``failing``), or that a store does not answer and
    is waited for (``unreachable``).
    """
    status = (
        "unreachable"
        if found.unreachable
        else "failing"
        if found.is_failing
        else "stalled"
        if found.idle_s >= stalled_after_s
        else "ok"
    )
    document = {
        "status": status,
        "doing": found.phase or "copying",
        "chains": {
            "/".join(one.chain): {
                "last_committed_ledger": one.committed or None,
                "partitions": one.planned,
                "done": one.done,
                "failed": one.failed,
                "waiting_for_commit": one.waiting,
            }
            for one in found.chains
        },
        "unreachable_since": _times(found.unreachable),
        "behind_since": _times(found.behind),
        "lake_latest_ledger": found.lake_latest,
        "seconds_since_progress": round(found.idle_s, 1),
        "ledgers_per_second": round(found.ledgers_per_second, 1),
        "retries": found.retries,
        "last_error": found.last_error or None,
    }
    return (200 if status == "ok" else 503), document


def is_alive(found: Snapshot, *, stalled_after_s: float) -> bool:
    """Whether a restart could not help: the run makes progress, or waits for what it says that it waits for."""
    return found.idle_s < stalled_after_s or bool(found.unreachable)


def _times(since: Iterable[tuple[str, float]]) -> dict[str, str]:
    return {name: format_time(seconds) for name, seconds in since}
