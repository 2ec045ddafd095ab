"""What the program imports is what setup.py declares, and the lock has exactly what is pinned there."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAM = ("bronze", "transforms", "pipeline")


def plain(name: str) -> str:
    """A distribution's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> dict[str, str]:
    """The distributions that setup.py installs, with their conditions."""
    tree = ast.parse((ROOT / "setup.py").read_text())
    (found,) = [
        keyword.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "install_requires"
    ]
    pairs = [re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?(.*)", text) for text in ast.literal_eval(found)]
    return {plain(pair[1]): pair[2] for pair in pairs if pair}


def imported(source: str) -> Iterator[str]:
    """The top-level modules that `source` cannot do without: not those for types, or that it can replace."""
    tree = ast.parse(source)
    blocks = [
        node for node in ast.walk(tree)
        if isinstance(node, ast.Try) or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]  # fmt: skip
    optional = {id(one) for block in blocks for one in block.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and id(node) not in optional:
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level and id(node) not in optional:
            yield node.module.partition(".")[0]


def undeclared(sources: dict[str, str], names: set[str]) -> set[tuple[str, str]]:
    """Files with an import that no distribution of `names` provides."""
    provided = {module for module, found in packages_distributions().items() if names & set(map(plain, found))}
    known = provided | sys.stdlib_module_names | set(PROGRAM)
    return {(path, module) for path, source in sources.items() for module in imported(source) if module not in known}


def test_every_imported_package_is_declared() -> None:
    sources = {str(path): path.read_text() for room in PROGRAM for path in (ROOT / room).rglob("*.py")}
    assert len(sources) > 200
    assert undeclared(sources, set(declared())) == set()


def test_undeclared_import_is_found() -> None:
    source = (
        "import os\nimport yaml\nfrom nacl.bindings import x\ntry:\n    import foo\nexcept ImportError:\n    pass\n"
    )
    assert undeclared({"a.py": source}, {"pyyaml"}) == {("a.py", "nacl")}


def locked(name: str) -> dict[str, str]:
    """The version of each package in a lock."""
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.partition(" ")[0].split("==") for line in lines if line and not line.startswith("#"))


def test_lock_has_every_pinned_version() -> None:
    run = locked("requirements.txt")
    pinned = {name: condition[2:] for name, condition in declared().items() if condition.startswith("==")}
    assert pinned.keys() >= {"pyarrow", "pynacl"}  # what decides bytes, and which signatures hold
    assert {name: run[name] for name in pinned} == pinned


def test_lock_has_no_packages_of_tests() -> None:
    run, tested = locked("requirements.txt"), locked("requirements-dev.txt")
    assert run.keys() & {"pytest", "hypothesis", "moto", "duckdb", "ruff", "mypy"} == set()
    assert {"pytest", "hypothesis", "moto", "duckdb", "ruff", "mypy"} <= tested.keys()
    assert {name: tested.get(name) for name in run} == run
