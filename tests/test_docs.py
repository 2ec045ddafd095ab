"""What the pages name exists: files, definitions in them, linked pages, commands and options."""

from __future__ import annotations

import ast
import contextlib
import io
import re
from pathlib import Path

import pytest

from pipeline.main import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)
FOLDERS = "bronze|transforms|pipeline|tests|docs|templates|tools|benchmarks"

#: A file or folder of the project in code quotes, perhaps with a wildcard or braces.
_PATH = re.compile(rf"`((?:{FOLDERS})/[\w./*{{}},-]*)`")
#: A page named without quotes.
_PAGE = re.compile(r"(?<![\w/(\[])(docs/[\w-]+\.md|[A-Z]+\.md)\b")
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[\w-]+)?\)")
#: A definition and where it is: `name` or `Class.method` in `file`.
_DEFINITION = re.compile(rf"`([A-Za-z_][\w.]*)(?:\(\))?` in `((?:{FOLDERS})/[\w./]+\.py)`")
#: A dotted module, as for `python -m`.
_MODULE = re.compile(r"python -m ((?:benchmarks|tests)[\w.]*)")


def missing_paths(text: str, folder: Path) -> list[str]:
    """The files and folders that a page names and that are not there; `folder` is the page's own."""
    found = [path for path in _PATH.findall(text) if not _exists(path)]
    found += [page for page in _PAGE.findall(text) if not (ROOT / page).exists()]
    found += [link for link in _LINK.findall(text) if not (folder / link).exists()]
    return found + [name for name in _MODULE.findall(text) if not _is_module(name)]


def missing_definitions(text: str) -> list[str]:
    """The classes, functions, methods and constants that a page places in a file that does not define them."""
    return [
        f"{name} in {path}"
        for name, path in _DEFINITION.findall(text)
        if not (ROOT / path).exists() or name not in _defined(ROOT / path)
    ]


def _exists(path: str) -> bool:
    braces = re.search(r"\{([^}]*)\}", path)
    if braces:
        return all(_exists(path.replace(braces[0], option)) for option in braces[1].split(","))
    return any(ROOT.glob(path.rstrip("/"))) if "*" in path else (ROOT / path).exists()


def _is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__main__.py").exists()


def _defined(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{name}" for part in node.body for name in _names(part)}
        names |= _names(node)
    return names


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_existing_files(page: Path) -> None:
    assert missing_paths(page.read_text(encoding="utf-8"), page.parent) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_place_definitions_correctly(page: Path) -> None:
    assert missing_definitions(page.read_text(encoding="utf-8")) == []


def help_of(*command: str) -> str:
    """The help text of a command."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main([*command, "--help"])
    return out.getvalue()


def test_readme_lists_commands_and_options() -> None:
    (table,) = re.findall(r"\| command or option.*?\n\n", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    cells = "\n".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))
    listed = help_of().partition("\ncommands ")[2].partition("\n\n")[0]
    commands = set(re.findall(r"^  ([a-z]+) ", listed, re.MULTILINE))
    assert "run" in commands
    assert set(re.findall(r"^`([a-z]+)", cells, re.MULTILINE)) == commands
    option = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")
    assert set(option.findall(cells)) | {"-h"} == set(
        option.findall(help_of("run").partition("options:")[2].partition("examples:")[0])
    )


def test_missing_file_is_found() -> None:
    text = "`bronze/nothing.py`, `bronze/*/nothing.py`, docs/nothing.md, [x](docs/none.md), `python -m tests.nothing`"
    assert missing_paths(text, ROOT) == [
        "bronze/nothing.py",
        "bronze/*/nothing.py",
        "docs/nothing.md",
        "docs/none.md",
        "tests.nothing",
    ]


def test_misplaced_definition_is_found() -> None:
    text = "`Partition` in `bronze/partitioning/partition.py`, `Partition` in `bronze/stellar.py`"
    assert missing_definitions(text) == ["Partition in bronze/stellar.py"]
