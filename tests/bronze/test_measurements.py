"""Measurements reach every observer, with the fields of the work they belong to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from bronze.log_fields import log_fields
from bronze.measurements import RETRY, SOURCE_READ, Measurement, collected_in, observed_by, report


def test_observer_gets_value_and_fields() -> None:
    seen: list[Measurement] = []
    with observed_by(seen.append), log_fields(era_id="e"):
        report(RETRY, operation="read")
    report(RETRY, operation="read")
    (measured,) = seen
    assert (measured.name, measured.value) == (RETRY, 1.0)
    assert (measured.fields["era_id"], measured.fields["operation"]) == ("e", "read")


def test_measurements_of_copied_context_are_collected() -> None:
    collected: list[Measurement] = []
    with ThreadPoolExecutor(1) as pool, collected_in(collected):
        pool.submit(copy_context().run, report, SOURCE_READ, 0.5).result()
        pool.submit(report, SOURCE_READ, 1.5).result()
    assert [measured.value for measured in collected] == [0.5]
