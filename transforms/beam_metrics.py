"""The program's figures as Beam metrics, so that a runner's own monitoring shows them.

Beam knows a metric of a stage by namespace and name only: the values of labels are parts of the name. Its
distributions hold whole numbers, so seconds become milliseconds, and ``_seconds`` becomes ``_ms``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from apache_beam.metrics import Metrics

from bronze.measurements import Measurement
from bronze.metric_families import FAMILIES, Figure, Kind, figures

NAMESPACE = "bronze_copier"


def pass_to_beam(measured: list[Measurement]) -> None:
    """Add the measurements to Beam's metrics of the current stage, and empty the list; in the worker's own thread."""
    while measured:
        for figure in figures(measured.pop()):
            _updater(figure.family, figure.labels)(_whole(figure))


def metric_name(family: str, labels: tuple[str, ...] = ()) -> str:
    """The name of a family's Beam metric: ``partition_errors.FrameError``."""
    name = f"{family.removesuffix('_seconds')}_ms" if family.endswith("_seconds") else family
    return ".".join((name, *labels))


@functools.cache
def _updater(family: str, labels: tuple[str, ...]) -> Callable[[int], None]:
    name, kind = metric_name(family, labels), FAMILIES[family].kind
    if kind is Kind.COUNTER:
        increase: Callable[[int], None] = Metrics.counter(NAMESPACE, name).inc
        return increase
    if kind is Kind.GAUGE:
        set_to: Callable[[int], None] = Metrics.gauge(NAMESPACE, name).set
        return set_to
    observe: Callable[[int], None] = Metrics.distribution(NAMESPACE, name).update
    return observe


def _whole(figure: Figure) -> int:
    return round(figure.value * 1000) if figure.family.endswith("_seconds") else round(figure.value)
