"""The same run from and to the disk, and from and to an S3 server 50 ms away.

What is asked is what the distance costs the program, so server and latency run on other cores than it does: they stand
for another machine. On two cores the program has one of them in both runs, and two workers that share it. The chain's
files lie on the disk in both: what commits cost far away depends on the size of partitions alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks.lakes import BenchLake
from benchmarks.runs import Figures, medians, run_case
from benchmarks.targets import Measured
from bronze.storage.opening import open_store

_MILLISECONDS = 50
_WORKERS = 2
#: Partitions of the lake, in one wave near and far: as many as the program chooses for two workers and an object store.
_PARTITIONS = 24


def measure_remote(lake: BenchLake, work: Path, repeat: int) -> Measured:
    """Run the program near and far in turn, `repeat` times each."""
    ours, theirs = _shared_out(sorted(os.sched_getaffinity(0)))
    size = -(-lake.ledgers // _PARTITIONS)
    runs: dict[str, list[Figures]] = {"near": [], "far": []}
    with _affinity(theirs), tempfile.TemporaryDirectory(dir=work) as scratch, _server(lake) as places:
        for turn in range(repeat):
            for name, found in runs.items():
                out = Path(scratch) / name
                far = places(turn) if name == "far" else ""
                found.append(run_case("program", lake, out, size, _WORKERS, places=far, cores=ours, wave=_PARTITIONS))
                if not far:
                    parquet = sum(path.stat().st_size for path in out.rglob("*.parquet"))
                shutil.rmtree(out)
    return Measured(lake.name, lake.ledgers, lake.stored_bytes, parquet, medians(runs))


def _shared_out(cores: list[int]) -> tuple[list[int], list[int]]:
    """The program's cores (as many as it has workers, or half of all) and the others; a single one is shared."""
    mine = min(_WORKERS, len(cores) // 2)
    return (cores[:mine], cores[mine:]) if mine else (cores, cores)


@contextmanager
def _affinity(cores: list[int]) -> Iterator[None]:
    """Let this process, and those it starts, use only these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _server(lake: BenchLake) -> Iterator[Callable[[int], str]]:
    """A server that holds the lake; gives the settings of its places, with a destination of its own for each number."""
    from tests.support.s3_server import REGION, environment, running_s3_server

    os.environ.update(environment())
    with running_s3_server() as server:
        bucket = server.new_bucket()
        store = open_store(server.location(bucket, "lake"))
        with ThreadPoolExecutor(8) as pool:
            paths = [path for path in Path(lake.root).rglob("*") if path.is_file()]
            list(pool.map(lambda path: store.create(str(path.relative_to(lake.root)), path.read_bytes()), paths))
        command = [sys.executable, "-m", "benchmarks.latency", str(server.port), str(_MILLISECONDS)]
        proxy = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert proxy.stdout is not None
            reached = f"s3_endpoint: 'http://127.0.0.1:{proxy.stdout.readline().strip()}', s3_region: {REGION}"
            yield (
                lambda number: (
                    f"source: {{mode: s3, s3_bucket: {bucket}, s3_prefix: lake, {reached}}}\n"
                    f"storage: {{backend: s3, s3_bucket: {bucket}, prefix: 'out{number}/', {reached}}}\n"
                )
            )
        finally:
            proxy.kill()
            proxy.communicate()
