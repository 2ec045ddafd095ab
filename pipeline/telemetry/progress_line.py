"""How far a run is, as one line of the log, and the words for durations and sizes that the live display shares."""

from __future__ import annotations

from pipeline.sizes import format_rate, format_time
from pipeline.telemetry.run_state import Snapshot

#: Seconds without anything read, published or committed that are worth saying.
_IDLE_S = 15.0


def progress_line(found: Snapshot) -> str:
    """The line: what is done, the rate, and the time that is left; or what the run waits for."""
    if found.unreachable:
        return f"{outage_words(found)}; {found.done:,} of {found.planned:,} partitions"
    if found.is_waiting:
        return found.phase
    if found.phase:
        return f"{found.phase} ({format_duration(found.elapsed_s)} so far)"
    percent = 100 * found.done / max(found.planned, 1)
    parts = [
        f"{found.done:,} of {found.planned:,} partitions ({percent:.0f} %), {len(found.in_flight)} in flight",
        f"{found.ledgers:,} ledgers",
        rate_words(found),
    ]
    if found.done < found.planned:
        parts.append(f"{eta_words(found)} left")
        if found.idle_s >= _IDLE_S:
            parts.append(f"nothing was read for {format_duration(found.idle_s)}")
    committed = [str(one.committed) for one in found.chains if one.committed]
    if committed:
        parts.append(f"committed up to {', '.join(committed)}")
    if found.retries:
        parts.append(f"{found.retries:,} retries")
    if found.failures:
        parts.append(f"{found.failures:,} failed")
    if found.behind:
        parts.append(behind_words(found))
    return "; ".join(parts)


def progress_fields(found: Snapshot) -> dict[str, object]:
    """The same figures as fields of the record."""
    return {
        "partitions_done": found.done,
        "partitions_total": found.planned,
        "partitions_in_flight": len(found.in_flight),
        "partitions_failed": found.failures,
        "ledgers": found.ledgers,
        "ledgers_per_second": round(found.ledgers_per_second, 1),
        "eta_s": None if found.eta_s is None else round(found.eta_s),
        "retries": found.retries,
        "idle_s": round(found.idle_s, 1),
        "unreachable": [store for store, _ in found.unreachable],
        "behind": [name for name, _ in found.behind],
    }


def outage_words(found: Snapshot) -> str:
    """``waiting for s3://lake, unreachable since 2026-01-01T00:03:27Z``."""
    stores = (f"{store}, unreachable since {format_time(since)}" for store, since in found.unreachable)
    return f"waiting for {' and '.join(stores)}"


def behind_words(found: Snapshot) -> str:
    """``events are not delivered since 2026-01-01T00:03:27Z``."""
    what = {"endpoint": "events are not delivered", "catalog": "the catalog lacks rows"}
    return ", ".join(f"{what[name]} since {format_time(since)}" for name, since in found.behind)


def rate_words(found: Snapshot) -> str:
    """``1,204 ledgers/s, 90.2 MB/s``; ``0.4 ledgers/s`` where they are few."""
    return f"{format_rate(found.ledgers_per_second)} ledgers/s, {found.bytes_per_second / 1e6:,.1f} MB/s"


def eta_words(found: Snapshot) -> str:
    """The time that is left; ``unknown time`` where nothing is read, or copying has just begun."""
    return "unknown time" if found.eta_s is None else format_duration(found.eta_s)


def format_duration(seconds: float) -> str:
    """``8 s``, ``5:08 min``, ``3:05 h``, ``4 d 3 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    if whole < 2 * 86400:
        return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
