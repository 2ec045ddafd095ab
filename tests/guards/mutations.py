"""Break each guard in a copy of the tree, and run the nearest tests: ``python -m tests.guards.mutations``.

Prints whether a test noticed (killed) or not (survived). Exit status 1 when a guard survives or its text is not found,
2 when a test fails although nothing is broken: then nothing can be told by it.
``--only WORD`` runs those whose description or file holds the word; ``--jobs N`` runs so many at once.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
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


def _run(tree: Path, tests: Iterable[str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run the tests on a copy; may raise `subprocess.TimeoutExpired`."""
    command = [sys.executable, "-m", "pytest", "-q", *options, "-p", "no:cacheprovider", *tests]
    # No cached bytecode: a text of the same length that was changed within a second would not be noticed.
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S,
        check=False,
    )  # fmt: skip


def failing_unbroken(tests: Iterable[str], pool: Executor) -> list[str]:
    """Those of the test files that do not pass on the tree as it is: they would seem to notice every mutation.

    What fails is run once more, alone: some tests have time limits that a busy machine exceeds.
    """
    with tempfile.TemporaryDirectory(prefix="bronze-guards-") as name:
        tree = _copied(Path(name))
        chosen = [test for test in sorted(set(tests)) if (tree / test).exists()]
        statuses = pool.map(lambda test: _run(tree, [test], "-x").returncode, chosen)
        failing = [test for test, status in zip(chosen, statuses, strict=True) if status]
        return [test for test in failing if _run(tree, [test], "-x").returncode]


def verdict(mutation: Mutation) -> str:
    """``killed``, ``survived``, ``not found``, or why the tests could not be run."""
    with tempfile.TemporaryDirectory(prefix="bronze-guards-") as name:
        tree = _copied(Path(name))
        path = tree / mutation.file
        text = path.read_text(encoding="utf-8")
        if text.count(mutation.old) != 1:
            return "not found"
        path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        tests = [test for test in mutation.tests if (tree / test).exists()]
        try:
            status = _run(tree, tests, "-x").returncode
        except subprocess.TimeoutExpired:
            return "killed"
        # A mutation that keeps the tests from being collected shows nothing of them.
        return {0: "survived", 1: "killed"}.get(status, f"pytest ended with {status}")


def main() -> int:
    """Run the mutations; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.guards.mutations", description=__doc__)
    parser.add_argument("--only", default="", metavar="WORD")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    options = parser.parse_args()
    # A shell starts what it runs in the background with this signal ignored, and some tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    chosen = [one for one in MUTATIONS if options.only in f"{one.file} {one.protects}"]
    found: dict[str, int] = {}
    with ThreadPoolExecutor(options.jobs) as pool:
        failing = failing_unbroken((test for one in chosen for test in one.tests), pool)
        for test in failing:
            print(f"{test} does not pass without a mutation, so nothing can be told by it", flush=True)
        told = [one for one in chosen if not set(one.tests) & set(failing)]
        for mutation, result in zip(told, pool.map(verdict, told), strict=True):
            found[result] = found.get(result, 0) + 1
            print(f"{result:10} {mutation.file}: {mutation.protects}", flush=True)
    print(", ".join(f"{count} {result}" for result, count in sorted(found.items())), f"of {len(chosen)}")
    if not found.keys() <= {"killed"}:
        return 1
    return 2 if failing else 0


if __name__ == "__main__":
    sys.exit(main())
