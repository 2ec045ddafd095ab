"""Break each guard in a copy of the tree, and run the nearest tests: ``python -m tests.guards.mutations``.

Prints whether a test noticed (killed, or hung when they did not end) or not (survived). Exit status 1 when a guard
survives or its text is not found, 2 when a test fails although nothing is broken: then nothing can be told by it.
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
#: Seconds for the tests of one mutation; those that nothing is broken for have more, as the machine may be busy.
TIMEOUT_S = 300
UNBROKEN_TIMEOUT_S = 900


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


def _status(tree: Path, tests: Iterable[str], *, timeout_s: float = TIMEOUT_S) -> int | None:
    """Run the tests on a copy; pytest's exit status, or None when they did not end in time."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    # No cached bytecode: a text of the same length that was changed within a second would not be noticed.
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return None
    return done.returncode


def failing_unbroken(tests: Iterable[str], pool: Executor) -> list[str]:
    """Those of the test files that do not pass on the tree as it is: they would seem to notice every mutation.

    What fails is run once more, alone: some tests have time limits that a busy machine exceeds.
    """
    with tempfile.TemporaryDirectory(prefix="bronze-guards-") as name:
        tree = _copied(Path(name))
        chosen = [test for test in sorted(set(tests)) if (tree / test).exists()]

        def fails(test: str) -> bool:
            return _status(tree, [test], timeout_s=UNBROKEN_TIMEOUT_S) != 0

        failing = [test for test, is_failing in zip(chosen, pool.map(fails, chosen), strict=True) if is_failing]
        return list(filter(fails, failing))


def verdict(mutation: Mutation) -> str:
    """``killed``, ``hung``, ``survived``, ``not found``, or why the tests could not be run."""
    with tempfile.TemporaryDirectory(prefix="bronze-guards-") as name:
        tree = _copied(Path(name))
        path = tree / mutation.file
        text = path.read_text(encoding="utf-8")
        if text.count(mutation.old) != 1:
            return "not found"
        path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        tests = [test for test in mutation.tests if (tree / test).exists()]
        # A mutation that keeps the tests from being collected shows nothing of them.
        status = _status(tree, tests)
        return {0: "survived", 1: "killed", None: "hung"}.get(status, f"pytest ended with {status}")


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
    if not found.keys() <= {"killed", "hung"}:
        return 1
    return 2 if failing else 0


if __name__ == "__main__":
    sys.exit(main())
