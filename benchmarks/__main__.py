"""``python -m benchmarks``: builds the lakes, measures, prints a table and writes JSON.

Every case runs in its own process, several times, alternating (A B C, A B C), and the medians are
compared: absolute figures differ between machines and from minute to minute, ratios do not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.lakes import SHARED, BenchLake, real_lake, sample_lake
from benchmarks.remote import measure_remote
from benchmarks.runs import Figures, medians, run_case
from benchmarks.targets import REMOTE_TARGETS, TARGETS, VERIFY_TARGETS, Measured
from benchmarks.verification import measure_verification

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
            run_case("program", lake, Path(scratch) / "p", max(10, lake.ledgers // 16), 1, under=recorder)
        return 0
    measure, targets = (measure_remote, REMOTE_TARGETS) if options.remote else (_measure, TARGETS)
    if options.verify:
        measure, targets = measure_verification, VERIFY_TARGETS
    for lake in _lakes(options, work):
        print(f"\n{lake.name}: {lake.ledgers} ledgers, {lake.stored_bytes / 1e6:.0f} MB stored", flush=True)
        measured = measure(lake, work, options.repeat)
        report["lakes"][lake.name] = asdict(measured)
        print(measured.table())
        for target in targets:
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
        "--remote",
        action="store_true",
        help="instead: from and to an S3 server on this machine, 50 ms away, on larger lakes (needs Go)",
    )
    parser.add_argument("--verify", action="store_true", help="instead: of the verifier, level by level")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of ledgers, for a quick look")
    return parser.parse_args()


def _lakes(options: argparse.Namespace, work: Path) -> Iterator[BenchLake]:
    names = [name for name in options.lakes.split(",") if name] or (["2024", "2026"] if SHARED.exists() else ["sample"])
    for name in names:
        # One wave far away, whose end takes a second or so that nothing hides, of partitions that are not too small.
        scale = options.scale * (15 if options.remote else 8 if options.verify else 1)
        if name == "2024":
            yield real_lake(work, "53312000", int(2000 * scale))
        elif name == "2026":
            yield real_lake(work, "63092982", int(600 * scale))
        else:
            yield sample_lake(work, int(1000 * scale))


def _measure(lake: BenchLake, work: Path, repeat: int) -> Measured:
    runs: dict[str, list[Figures]] = {}
    half = max(10, -(-lake.ledgers // 16))  # 16 partitions: as many for each of two workers
    shapes = {"one": (half, 1), "two": (half, 2)}
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        for turn in range(repeat):
            runs.setdefault("primitives", []).append(run_case("primitives", lake, Path(scratch) / "p", half, 1))
            runs.setdefault("loop", []).append(run_case("loop", lake, Path(scratch) / "l", half, 1))
            for name, (size, workers) in shapes.items():
                out = Path(scratch) / name
                runs.setdefault(name, []).append(run_case("program", lake, out, size, workers))
                if turn == repeat - 1 and name == "two":
                    parquet = sum(path.stat().st_size for path in out.rglob("*.parquet"))
            unproven = run_case("program", lake, Path(scratch) / "u", half, 1, authenticity="off")
            runs.setdefault("unproven", []).append(unproven)
            observed = run_case("program", lake, Path(scratch) / "o", half, 1, observed=True)
            runs.setdefault("observed", []).append(observed)
            # A single partition: its decoding is spread over the cores.
            runs.setdefault("alone", []).append(run_case("program", lake, Path(scratch) / "a", lake.ledgers, 2))
        runs["four"] = [run_case("program", lake, Path(scratch) / "f", half, 4)]
        for size in (100, 1000, 20_000):
            runs[f"rss{size}"] = [run_case("program", lake, Path(scratch) / "r", size, 1)]
        runs["read"] = [run_case("read", lake, Path(scratch) / "r", 20_000, 1, keep=True) for _ in range(repeat)]
        runs["plan"] = [run_case("plan", lake, Path(scratch) / "plan", half, 1)]
        tiny = sample_lake(work, _TINY, transactions=1)
        run_case("program", tiny, Path(scratch) / "s", 2, 2, chain=False)
        runs["skip"] = [run_case("program", tiny, Path(scratch) / "s", 2, 2, chain=False, keep=True)]
    return Measured(lake.name, lake.ledgers, lake.stored_bytes, parquet, medians(runs))


def _machine() -> dict[str, Any]:
    return {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}


if __name__ == "__main__":
    sys.exit(main())
