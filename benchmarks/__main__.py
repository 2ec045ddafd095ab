"""``python -m benchmarks``: builds the lakes, measures, prints a table and writes JSON.

Every case runs in a process of its own, several times, in turn (A B C, A B C), and the medians are
compared: absolute figures move from machine to machine and from minute to minute, ratios do not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.lakes import SHARED, BenchLake, real_lake, sample_lake
from benchmarks.targets import REMOTE_TARGETS, TARGETS, Measured

Figures = dict[str, float]
#: Ledgers of the lake on which the skipping of existing partitions is measured, two to a partition.
_TINY = 2_000


def main() -> int:
    """Measure; return 1 when a target is missed."""
    options = _options()
    work = Path(options.work)
    work.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"machine": _machine(), "lakes": {}}
    misses = 0
    if options.profile:
        lake = next(_lakes(options, work))
        recorder = ["py-spy", "record", "--native", "--threads", "--rate", "200", "--output", options.profile, "--"]
        with tempfile.TemporaryDirectory(dir=work) as scratch:
            _run("program", lake, Path(scratch) / "p", max(10, lake.ledgers // 16), 1, under=recorder)
        return 0
    for lake in _lakes(options, work):
        print(f"\n{lake.name}: {lake.ledgers} ledgers, {lake.stored_bytes / 1e6:.0f} MB stored", flush=True)
        measured = _measure(lake, work, options.repeat, remote=options.remote)
        report["lakes"][lake.name] = asdict(measured)
        print(measured.table())
        for target in TARGETS + (REMOTE_TARGETS if options.remote else ()):
            verdict = target.judge(measured)
            misses += verdict.missed
            print(f"  {verdict.line()}")
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=2), encoding="utf-8")
    return 1 if misses else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n\n")[0])
    parser.add_argument("--work", default=str(Path(tempfile.gettempdir()) / "bronze-benchmarks"), metavar="DIR")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of each case (default 3)")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--lakes", default="", metavar="A,B", help="of 2024, 2026, sample; default: what can be had")
    parser.add_argument("--profile", metavar="FILE.svg", help="instead: a flame graph of one program run, by py-spy")
    parser.add_argument(
        "--remote", action="store_true", help="from and to an S3 server on this machine too, 50 ms away (needs Go)"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of ledgers, for a quick look")
    return parser.parse_args()


def _lakes(options: argparse.Namespace, work: Path) -> Iterator[BenchLake]:
    names = [name for name in options.lakes.split(",") if name] or (["2024", "2026"] if SHARED.exists() else ["sample"])
    for name in names:
        if name == "2024":
            yield real_lake(work, "53312000", int(2000 * options.scale))
        elif name == "2026":
            yield real_lake(work, "63092982", int(600 * options.scale))
        else:
            yield sample_lake(work, int(1000 * options.scale))


def _measure(lake: BenchLake, work: Path, repeat: int, *, remote: bool) -> Measured:
    runs: dict[str, list[Figures]] = {}
    half = max(10, -(-lake.ledgers // 16))  # 16 partitions: as many for each of two workers
    shapes = {"one": (half, 1), "two": (half, 2)}
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        for turn in range(repeat):
            runs.setdefault("primitives", []).append(_run("primitives", lake, Path(scratch) / "p", half, 1))
            runs.setdefault("loop", []).append(_run("loop", lake, Path(scratch) / "l", half, 1))
            for name, (size, workers) in shapes.items():
                out = Path(scratch) / name
                runs.setdefault(name, []).append(_run("program", lake, out, size, workers))
                if turn == repeat - 1 and name == "two":
                    parquet = sum(path.stat().st_size for path in out.rglob("*.parquet"))
            # A single partition: its decoding is spread over the cores.
            runs.setdefault("alone", []).append(_run("program", lake, Path(scratch) / "a", lake.ledgers, 2))
        runs["four"] = [_run("program", lake, Path(scratch) / "f", half, 4)]
        for size in (100, 1000, 20_000):
            runs[f"rss{size}"] = [_run("program", lake, Path(scratch) / "r", size, 1)]
        runs["read"] = [_run("read", lake, Path(scratch) / "r", 20_000, 1, keep=True) for _ in range(repeat)]
        if remote:
            for workers in (1, 2):
                with _remote(lake) as places:
                    name = f"remote{workers}"
                    found = [
                        _run("program", lake, Path(scratch) / name, half, workers, places=places(turn))
                        for turn in range(repeat)
                    ]
                    runs[name] = found
        runs["plan"] = [_run("plan", lake, Path(scratch) / "plan", half, 1)]
        tiny = sample_lake(work, _TINY, transactions=1)
        _run("program", tiny, Path(scratch) / "s", 2, 2, chain=False)
        runs["skip"] = [_run("program", tiny, Path(scratch) / "s", 2, 2, chain=False, keep=True)]
    medians = {
        name: {key: statistics.median(run[key] for run in found) for key in found[0]} for name, found in runs.items()
    }
    return Measured(lake.name, lake.ledgers, lake.stored_bytes, parquet, medians)


def _run(
    case: str,
    lake: BenchLake,
    out: Path,
    size: int,
    workers: int,
    *,
    keep: bool = False,
    chain: bool = True,
    under: Sequence[str] = (),
    places: str = "",
) -> Figures:
    """Run one case in a process of its own, `under` a profiler if asked; `keep` what was published before it.

    Args:
        places: the settings of source and storage, when they are not on the disk.
    """
    if not keep:
        shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    config = out / "config.yaml"
    config.write_text(
        f"era: {{era_id: bench, version_label: v1, network: {lake.network}, ledger_start: {lake.first},"
        f" ledger_end: {lake.last}, partition_size: {size}}}\n"
        + (
            places
            or f"source: {{mode: local, local_path: {lake.root}}}\n"
            f"storage: {{backend: local, local_dir: {out / 'data'}}}\n"
        )
        + f"pas: {{enabled: {chain}, backup_dir: {out / 'pas'}}}\n"
        f"checkpoint: {{enabled: {chain}, dir: {out / 'state'}}}\n"
        f"perf: {{workers: {workers}}}\n"
        "logging: {level: warn}\n",
        encoding="utf-8",
    )
    spec = {
        "lake": lake.root,
        "first": lake.first,
        "last": lake.last,
        "layout": asdict(lake.layout),
        "out": str(out),
        "config": str(config),
    }
    command = [*under, sys.executable, "-m", "benchmarks.cases", case, json.dumps(spec)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: Figures = next(json.loads(line) for line in result.stdout.splitlines() if line.startswith("{"))
    return figures


@contextmanager
def _remote(lake: BenchLake) -> Iterator[Callable[[int], str]]:
    """An S3 server that holds the lake, 50 ms away; gives settings, with a destination of its own for each number."""
    from tests.support.s3_server import REGION, environment, running_s3_server

    os.environ.update(environment())
    with running_s3_server() as server:
        bucket = server.new_bucket()
        store = server.place(bucket, "lake").open()
        with ThreadPoolExecutor(8) as pool:
            paths = [path for path in Path(lake.root).rglob("*") if path.is_file()]
            list(pool.map(lambda path: store.create(str(path.relative_to(lake.root)), path.read_bytes()), paths))
        command = [sys.executable, "-m", "benchmarks.latency", str(server.port), "50"]
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


def _machine() -> dict[str, Any]:
    return {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}


if __name__ == "__main__":
    sys.exit(main())
