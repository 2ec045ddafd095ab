"""Beam's own metrics hold the figures of the program."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.metrics import MetricsFilter
from apache_beam.runners.portability.fn_api_runner import fn_runner

from bronze.measurements import PARTITION_DONE, PARTITION_FAILED, Measurement
from transforms.beam_metrics import NAMESPACE, pass_to_beam

_DONE = {"outcome": "written", "rows": 8, "raw_bytes": 100, "parquet_bytes": 60, "table": "t"}


class _Measure(beam.DoFn):
    def process(self, element: int) -> None:
        failed = Measurement(PARTITION_FAILED, 0.5, {"error_type": "LakeError"})
        pass_to_beam([Measurement(PARTITION_DONE, element, _DONE), failed])


def test_beam_metrics_hold_counters_and_distributions() -> None:
    pipeline = beam.Pipeline(runner=fn_runner.FnApiRunner())
    pipeline | beam.Create([1, 2]) | beam.ParDo(_Measure())
    result = pipeline.run()
    result.wait_until_finish()
    found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))
    counters = {one.key.metric.name: one.committed for one in found["counters"]}
    durations = {one.key.metric.name: one.committed for one in found["distributions"]}
    assert counters["ledgers_processed"] == 16
    assert counters["partition_errors.LakeError"] == 2
    assert (durations["partition_duration_ms"].sum, durations["partition_duration_ms"].count) == (3000, 2)
    assert durations["parquet_bytes.t"].max == 60
