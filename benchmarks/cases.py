"""The measured cases, each in its own process: ``python -m benchmarks.cases CASE SPEC`` prints JSON.

``primitives``  the minimum work: decompress, SHA-256, parquet column, SHA-256 of the file
``loop``        the encoder without Beam: those, the walk, all hashes, all columns, the store
``program``     the whole program with Beam, from an opened lake on (start-up excluded)
``skip``        the program over a range in which every partition exists
``plan``        planning all of pubnet: 65 million ledgers, 6,500 partitions
``read``        one ledger by its sequence from a published partition

Those of the verifier are in `benchmarks.verify_cases`.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from benchmarks.speed import Speed
from benchmarks.verify_cases import VERIFY_CASES

MIB = 1 << 20
#: Cases that return what is measured, after they have prepared it.
_PREPARED = {"loop", "program", "read", "bare", "verify_files", "verify_rows", "verify_two"}


def primitives(spec: dict[str, Any]) -> int:
    """The minimum work: no walk, no verification, one column."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import zstandard

    from bronze.dataset.parquet import MIN_ROW_GROUP_BYTES
    from bronze.dataset.sink import HashingSink
    from bronze.lake.layout import LakeLayout

    layout = LakeLayout(**spec["layout"])
    decoder = zstandard.ZstdDecompressor()
    buffer = bytearray(MIN_ROW_GROUP_BYTES + 16 * MIB)
    view = memoryview(buffer)
    with Path(spec["out"], "primitives.parquet").open("wb", buffering=0) as file:
        sink = HashingSink(file)  # type: ignore[arg-type]
        target = pa.PythonFile(sink, mode="w")
        schema = pa.schema([pa.field("xdr_bytes", pa.binary(), nullable=False)])
        writer = pq.ParquetWriter(
            target, schema, compression="zstd", compression_level=3, use_dictionary=False, write_statistics=False,
            write_batch_size=1, data_page_size=64 * 1024,
        )  # fmt: skip
        import array

        offsets = array.array("i", [0])

        def flush() -> None:
            nonlocal offsets
            rows = len(offsets) - 1
            column = pa.Array.from_buffers(pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(view)])
            writer.write_batch(pa.record_batch([column], schema=schema), row_group_size=rows)
            offsets = array.array("i", [0])

        for ledger in range(spec["first"], spec["last"] + 1):
            data = Path(spec["lake"], layout.key(ledger)).read_bytes()
            at = offsets[-1]
            with decoder.stream_reader(data) as reader:
                while got := reader.readinto(view[at:]):
                    at += got
            hashlib.sha256(view[offsets[-1] : at])
            offsets.append(at)
            if at >= MIN_ROW_GROUP_BYTES:
                flush()
        if len(offsets) > 1:
            flush()
        writer.close()
    return spec["last"] - spec["first"] + 1


def loop(spec: dict[str, Any]) -> Callable[[], int]:
    """The encoder and publisher in a plain loop."""
    prepared = _prepare(spec)
    publisher = prepared.connections.copier()
    lake = prepared.lake

    def work() -> int:
        rows = 0
        for plan in prepared.plans:
            for partition in plan.partitions:
                files = lake.file_starts(partition.start, partition.end)
                rows += publisher.copy(plan.era, partition, files).row_count
        return rows

    return work


def program(spec: dict[str, Any]) -> Callable[[], int]:
    """The whole program."""
    from pipeline.launch.beam_import import import_beam

    import_beam()
    from pipeline.launch.progress import begin_progress
    from pipeline.launch.run import run_copy
    from pipeline.launch.runner import choose_runner
    from pipeline.launch.stores import ready_stores
    from pipeline.telemetry import logs
    from pipeline.telemetry.session import start_telemetry

    settings, prepared = _settings(spec), _prepare(spec)
    ready_stores(prepared.connections)
    logs.configure(settings.logging.format, settings.logging.level)

    def work() -> int:
        with start_telemetry(settings) if settings.metrics.is_wanted else nullcontext() as telemetry:
            if telemetry is not None:
                begin_progress(telemetry, prepared)
            finished = run_copy(settings, prepared, choose_runner(settings, prepared.connections))
        if not finished.totals.is_complete:
            raise SystemExit(f"the run left something undone: {finished.totals.failures[:1]}")
        return finished.totals.ledgers or finished.totals.partitions

    return work


def plan(spec: dict[str, Any]) -> int:
    """Plan pubnet, and cut its waves; the number of partitions."""
    from bronze.dataset.dataset import Dataset
    from bronze.dataset.schema import PRIMARY_TABLE
    from bronze.lake.layout import LakeLayout
    from bronze.partitioning.era import Era
    from bronze.partitioning.plan import plan_era
    from bronze.storage.local import LocalStore
    from pipeline.launch.waves import cut_waves
    from transforms.key_by_partition import batch_files

    era = Era(
        era_id="all", version_label="v1", network="pubnet", ledger_start=0, ledger_end=64_999_999, partition_size=10_000
    )
    planned = plan_era(era, 0, None, Dataset(LocalStore(spec["out"]), "bronze", PRIMARY_TABLE), partial=False)
    layout = LakeLayout(1, 64000, "zst")
    waves = list(cut_waves([planned], frozenset(), default_partitions=8))
    assert sum(len(list(batch_files(wave, layout))) for wave in waves) >= len(planned.partitions)
    return len(planned.partitions)


def read(spec: dict[str, Any]) -> Callable[[], int]:
    """Read one ledger with DuckDB from the largest partition there is; warm."""
    import duckdb

    path = max(Path(spec["out"]).rglob("part-*.parquet"), key=lambda found: found.stat().st_size)
    ledger = (spec["first"] + spec["last"]) // 2
    connection = duckdb.connect(config={"threads": 1})
    query = f"SELECT xdr_bytes FROM '{path}' WHERE ledger_sequence = ?"
    for _ in range(3):
        connection.execute(query, [ledger]).fetchall()

    def work() -> int:
        rows = connection.execute(query, [ledger]).fetchall()
        assert len(rows) == 1
        return 1

    return work


def _settings(spec: dict[str, Any]) -> Any:
    from pipeline.settings import load

    return load(spec["config"], {})


def _prepare(spec: dict[str, Any]) -> Any:
    from pipeline.launch.prepare import prepare

    return prepare(_settings(spec))


def _peak_rss() -> int:
    """Bytes. (What getrusage says begins with the peak of the process that started this one.)"""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    """Run one case; print its figures."""
    name, spec = sys.argv[1], json.loads(sys.argv[2])
    if spec["cores"]:
        os.sched_setaffinity(0, spec["cores"])
    case = VERIFY_CASES.get(name) or globals()[name]
    work = case(spec) if name in _PREPARED else lambda: case(spec)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Only where cores are given: it would disturb what takes but milliseconds.
    with Speed() if spec["cores"] else nullcontext() as speed:
        wall, cpu = time.perf_counter(), time.process_time()
        count = work()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu += children.ru_utime + children.ru_stime - before.ru_utime - before.ru_stime
    figures = {"count": count, "wall": wall, "cpu": cpu, "peak_rss": _peak_rss()}
    print(json.dumps(figures | ({"steady": wall * speed.mean} if speed else {})))


if __name__ == "__main__":
    main()
