"""Runs cases, each in its own process."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.lakes import BenchLake

Figures = dict[str, float]


def run_case(
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
    cores: Collection[int] = (),
    wave: int = 0,
    authenticity: str = "report",
    observed: bool = False,
) -> Figures:
    """Run one case in its own process, `under` a profiler if given; `keep` what was published before it.

    Args:
        places: the settings of source and storage, when they are not on the disk.
        cores: that it may use, whose speed is measured then; empty: those of this process, and it is not.
        wave: partitions of one wave; 0: as the program chooses.
        authenticity: ``report`` (the lakes are invented, and it costs what ``require`` does) or ``off``.
        observed: with metrics served and written to a file, progress lines each second, and the log at level info.
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
        f"perf: {{workers: {workers}, wave_partitions: {wave}}}\n"
        f"authenticity: {{signatures: {authenticity}, events: {authenticity}}}\n"
        + (
            f"metrics: {{enabled: true, address: '127.0.0.1:0', textfile: {out / 'metrics.prom'}}}\n"
            "logging: {level: info, format: json, progress_seconds: 1}\n"
            if observed
            else "logging: {level: warn}\n"
        ),
        encoding="utf-8",
    )
    spec = {
        "lake": lake.root,
        "first": lake.first,
        "last": lake.last,
        "layout": asdict(lake.layout),
        "out": str(out),
        "config": str(config),
        "cores": list(cores),
    }
    command = [*under, sys.executable, "-m", "benchmarks.cases", case, json.dumps(spec)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: Figures = next(json.loads(line) for line in result.stdout.splitlines() if line.startswith("{"))
    return figures


def medians(runs: Mapping[str, Sequence[Figures]]) -> dict[str, Figures]:
    """The median of each figure of each case."""
    return {
        name: {key: statistics.median(run[key] for run in found) for key in found[0]} for name, found in runs.items()
    }
