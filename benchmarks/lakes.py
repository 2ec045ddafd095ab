"""Builds the lakes that are measured on: long, hash-chained, of ledgers that do not compress against each other.

From real ledgers when ``../shared`` is there, else by the project's own generator. A lake that was built is
kept under the work directory and used again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from bronze.lake.layout import LakeLayout
from pipeline.sample import SampleOptions, write_sample_lake

SHARED = Path(__file__).resolve().parents[2] / "shared"


@dataclass(frozen=True, slots=True)
class BenchLake:
    """A lake to measure on; `first` and `last` are inclusive ledgers."""

    name: str
    root: str
    network: str
    first: int
    last: int
    layout: LakeLayout
    stored_bytes: int

    @property
    def ledgers(self) -> int:
        """Ledgers in it."""
        return self.last - self.first + 1


def real_lake(work: Path, ledger: str, count: int) -> BenchLake:
    """A lake of `count` copies of one real ledger, each with hashes, keys and signatures of its own."""
    source = next((SHARED / "ledgers").glob(f"{ledger}-*.xdr.zst"))
    root = work / f"lake-{ledger}-{count}"
    if not (root / ".config.json").exists():
        maker = [sys.executable, str(SHARED / "tools" / "make_lake.py"), str(root), "--repeat", source.name]
        subprocess.run(
            [*maker, "--count", str(count), "--rehash", "--network", "pubnet"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    first = int(ledger)
    return _lake(ledger, root, "pubnet", first, first + count - 1, LakeLayout(1, 64000, "zst"))


def sample_lake(work: Path, count: int, transactions: int = 100) -> BenchLake:
    """A lake of the project's own generator: protocol 26, about 3 KB a transaction."""
    root = work / f"lake-sample-{count}-{transactions}"
    options = SampleOptions(ledgers=count, transactions=transactions, protocols=(26,))
    if not root.exists():
        write_sample_lake(root, options)
    made = json.loads(json.dumps(asdict(options.layout)))
    return _lake("sample", root, "standalone", options.first, options.first + count - 1, LakeLayout(**made))


def _lake(name: str, root: Path, network: str, first: int, last: int, layout: LakeLayout) -> BenchLake:
    stored = sum(path.stat().st_size for path in root.rglob("*.xdr.zst"))
    return BenchLake(name, str(root), network, first, last, layout, stored)
