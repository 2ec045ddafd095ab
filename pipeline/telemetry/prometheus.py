"""The metric families in a Prometheus registry: counters and histograms from measurements, gauges from the state."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric

from bronze.measurements import Measurement
from bronze.metric_families import CHAIN_LABELS, FAMILIES, PREFIX, Family, Kind, chain_of, figures
from bronze.producer import this_producer
from pipeline.telemetry.run_progress import Chain
from pipeline.telemetry.run_state import RunState, Snapshot


class PrometheusMetrics:
    """The families of a run. Add it to the observers of measurements.

    Args:
        state: what gauges are read from when the metrics are collected.

    Attributes:
        registry: holds every family; the exporters read it.
        reader: ``compiled`` or ``interpreted``, once that is known.
        storage: a local directory below which partitions are published; None on object stores.
    """

    def __init__(self, state: RunState) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.reader = ""
        self.storage: str | None = None
        self._state = state
        self._updaters: dict[tuple[str, Chain, tuple[str, ...]], Callable[[float], None]] = {}
        self._metrics: dict[str, Any] = {}
        for family in FAMILIES.values():
            labels = (*CHAIN_LABELS, *family.labels)
            name = PREFIX + family.name
            if family.kind is Kind.COUNTER:
                self._metrics[family.name] = Counter(name, family.help, labels, registry=self.registry)
            elif family.kind is Kind.HISTOGRAM:
                self._metrics[family.name] = Histogram(
                    name, family.help, labels, registry=self.registry, buckets=family.buckets
                )
        self.registry.register(self)

    def begin(self, chains: list[Chain]) -> None:
        """Give the families of each chain their samples, 0 so far."""
        for family in FAMILIES.values():
            if family.kind is not Kind.GAUGE and family.labels in ((), ("table",)):
                for chain in chains:
                    self._metrics[family.name].labels(*chain, *([self._state.table] if family.labels else []))

    def __call__(self, measurement: Measurement) -> None:
        """Take one measurement."""
        for family, value, labels in figures(measurement):
            key = (family, chain_of(measurement.fields), labels)
            update = self._updaters.get(key)
            if update is None:
                update = self._updaters[key] = self._updater(FAMILIES[family], key[1], labels)
            update(value)

    def _updater(self, family: Family, chain: Chain, labels: tuple[str, ...]) -> Callable[[float], None]:
        if family.kind is Kind.GAUGE:
            return lambda _: None  # read from the state
        child = self._metrics[family.name].labels(*chain, *labels)
        update: Callable[[float], None] = child.inc if family.kind is Kind.COUNTER else child.observe
        return update

    def collect(self) -> Iterator[Metric]:
        """The gauges; called by the registry."""
        found = self._state.snapshot()
        for family in FAMILIES.values():
            if family.kind is not Kind.GAUGE:
                continue
            labels = family.labels if family.of_process else (*CHAIN_LABELS, *family.labels)
            gauge = GaugeMetricFamily(PREFIX + family.name, family.help, labels=labels)
            for values, value in self._gauge(family.name, found):
                gauge.add_metric(values, value)
            yield gauge

    def _gauge(self, name: str, found: Snapshot) -> Iterator[tuple[tuple[str, ...], float]]:
        if name == "build_info":
            producer = this_producer()
            yield (producer.version, producer.git_sha, self.reader), 1
        elif name == "storage_free_bytes":
            if self.storage is not None:
                yield (), shutil.disk_usage(_existing(self.storage)).free
        else:
            for chain in found.chains:
                value = self._of_chain(name, found, chain.chain)
                if value is not None:
                    yield chain.chain, value

    def _of_chain(self, name: str, found: Snapshot, chain: Chain) -> float | None:
        of = next(one for one in found.chains if one.chain == chain)
        if name == "lake_latest_ledger":
            return found.lake_latest
        if name == "checkpoint_age_seconds":
            return None if of.committed_at is None else max(0.0, self._state.now() - of.committed_at)
        return {
            "last_committed_ledger": of.committed,
            "attested_ledger": of.attested,
            "anchored_ledger": of.anchored,
            "worker_queue_depth": of.planned - of.begun,
            "active_workers": len({one.worker for one in found.in_flight if one.chain == chain}),
            "sequencer_pending": of.waiting,
            "ledgers_per_second": found.rates.get(chain, 0.0),
        }[name]


def _existing(path: str) -> str:
    """The nearest directory that exists: that of the first partition is not made yet."""
    while not os.path.exists(path) and os.path.dirname(path) != path:  # noqa: PTH110, PTH120
        path = os.path.dirname(path)  # noqa: PTH120
    return path
