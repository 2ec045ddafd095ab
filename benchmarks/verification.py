"""Measures the verifier: each level against the least work that it can be, two workers against one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.lakes import BenchLake
from benchmarks.runs import Figures, medians, run_case
from benchmarks.targets import Measured
from benchmarks.verify_cases import VERIFY_CASES


def measure_verification(lake: BenchLake, work: Path, repeat: int) -> Measured:
    """Publish the lake once, then audit it in turn; the cases alternate."""
    runs: dict[str, list[Figures]] = {}
    size = max(10, -(-lake.ledgers // 16))  # 16 partitions: as many for each of two workers
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        out = Path(scratch) / "published"
        run_case("program", lake, out, size, 2)
        parquet = sum(path.stat().st_size for path in out.rglob("*.parquet"))
        for _ in range(repeat):
            for case in VERIFY_CASES:
                runs.setdefault(case, []).append(run_case(case, lake, out, size, 1, keep=True))
    return Measured(lake.name, lake.ledgers, lake.stored_bytes, parquet, medians(runs))
