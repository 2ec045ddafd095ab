"""Break each guard in a copy of the tree, and run the nearest tests: ``python -m tests.guards.mutations``.

Prints whether a test noticed (killed) or not (survived); exit status 1 when a guard survives, or its text is not found.
``--only WORD`` runs those whose description or file holds the word; ``--jobs N`` runs so many at once.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.guards.table import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
#: What a copy of the tree needs.
PARTS = ("bronze", "pipeline", "transforms", "tests", "tools", "pyproject.toml", "setup.py")
TIMEOUT_S = 300


def _copied(folder: Path) -> Path:
    tree = folder / "project"
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            tree.mkdir(exist_ok=True)
            shutil.copy(source, tree / part)
    shared = ROOT.parent / "shared"
    if shared.exists():
        (folder / "shared").symlink_to(shared)
    return tree


def verdict(mutation: Mutation) -> str:
    """``killed``, ``survived`` or ``not found``."""
    with tempfile.TemporaryDirectory(prefix="bronze-guards-") as name:
        tree = _copied(Path(name))
        path = tree / mutation.file
        text = path.read_text(encoding="utf-8")
        if text.count(mutation.old) != 1:
            return "not found"
        path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        tests = [test for test in mutation.tests if (tree / test).exists()]
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            ran = subprocess.run(
                command, cwd=tree, env=environment, capture_output=True, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return "killed"
        return {0: "survived", 1: "killed", 2: "killed"}.get(ran.returncode, f"pytest ended with {ran.returncode}")


def main() -> int:
    """Run the mutations; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.guards.mutations", description=__doc__)
    parser.add_argument("--only", default="", metavar="WORD")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    options = parser.parse_args()
    chosen = [one for one in MUTATIONS if options.only in f"{one.file} {one.protects}"]
    found: dict[str, int] = {}
    with ThreadPoolExecutor(options.jobs) as pool:
        for mutation, result in zip(chosen, pool.map(verdict, chosen), strict=True):
            found[result] = found.get(result, 0) + 1
            print(f"{result:10} {mutation.file}: {mutation.protects}", flush=True)
    print(", ".join(f"{count} {result}" for result, count in sorted(found.items())))
    return 0 if found.keys() <= {"killed"} else 1


if __name__ == "__main__":
    sys.exit(main())
