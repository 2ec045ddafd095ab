"""The program's source as data: modules, what each imports, and import circles. Reads syntax only, imports nothing."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("bronze", "transforms", "pipeline")


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One name that a module imports from a module of the tree, wherever in the module the statement stands.

    Attributes:
        target: full name of the imported module.
        name: the name taken out of it, or None when the module itself is imported.
        alias: what it is called in the importing module.
    """

    target: str
    name: str | None
    alias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One parsed file.

    Attributes:
        name: full dotted name; a package's is that of its ``__init__``.
        path: path relative to the root of the tree.
        lines: number of lines.
    """

    name: str
    path: Path
    is_package: bool
    lines: int
    syntax: ast.Module
    imports: tuple[Import, ...]

    @property
    def exported(self) -> tuple[str, ...] | None:
        """The literal ``__all__``, or None where there is none."""
        for statement in self.syntax.body:
            if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or statement.value is None:
                continue
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
                return tuple(ast.literal_eval(statement.value))
        return None

    @property
    def bound(self) -> set[str]:
        """The names that the module's own top-level statements bind, and the keys of its lazy exports."""
        return set(_bound(self.syntax.body))


Tree = Mapping[str, Module]


def read_tree(root: Path, packages: Iterable[str] = PACKAGES) -> Tree:
    """Parse every module of `packages` below `root`; by name."""
    files = {
        _name(file.relative_to(root)): file for package in packages for file in sorted((root / package).rglob("*.py"))
    }
    tree = {}
    for name, file in files.items():
        text = file.read_text(encoding="utf-8")
        is_package = file.name == "__init__.py"
        syntax = _parse(text)
        tree[name] = Module(
            name=name,
            path=file.relative_to(root),
            is_package=is_package,
            lines=text.count("\n"),
            syntax=syntax,
            imports=tuple(_imports(syntax, name if is_package else name.rpartition(".")[0], files)),
        )
    return tree


def import_graph(tree: Tree) -> dict[str, set[str]]:
    """The modules of the tree that each module names in an import.

    The packages above an imported module, which Python imports on the way, do not count.
    """
    return {name: {found.target for found in module.imports} - {name} for name, module in tree.items()}


def circles(graph: Mapping[str, set[str]]) -> list[tuple[str, ...]]:
    """The strongly connected components of more than one node, each sorted (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[tuple[str, ...]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for successor in sorted(graph.get(node, ())):
            if successor not in index:
                visit(successor)
                low[node] = min(low[node], low[successor])
            elif successor in stack:
                low[node] = min(low[node], index[successor])
        if low[node] == index[node]:
            position = stack.index(node)
            component = stack[position:]
            del stack[position:]
            if len(component) > 1:
                found.append(tuple(sorted(component)))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


@functools.cache
def _parse(text: str) -> ast.Module:
    return ast.parse(text)


def _name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(syntax: ast.Module, package: str, modules: Iterable[str]) -> Iterator[Import]:
    known = set(modules)
    for node in ast.walk(syntax):
        if isinstance(node, ast.Import):
            for item in node.names:
                if item.name in known:
                    yield Import(target=item.name, name=None, alias=item.asname or item.name)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                base = package.split(".")[: len(package.split(".")) - node.level + 1]
                source = ".".join([*base, *([node.module] if node.module else [])])
            for item in node.names:
                alias = item.asname or item.name
                if f"{source}.{item.name}" in known:
                    yield Import(target=f"{source}.{item.name}", name=None, alias=alias)
                elif source in known:
                    yield Import(target=source, name=item.name, alias=alias)
        elif isinstance(node, ast.Call) and _is_import_module(node.func):
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and argument.value in known:
                    yield Import(target=str(argument.value), name=None, alias="")


def _is_import_module(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("import_module", "__import__")


def _bound(statements: Iterable[ast.stmt]) -> Iterator[str]:
    for node in statements:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (item.asname or item.name.partition(".")[0] for item in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name))
        elif isinstance(node, ast.If | ast.Try):
            handlers = node.handlers if isinstance(node, ast.Try) else []
            yield from _bound([*node.body, *node.orelse, *(line for handler in handlers for line in handler.body)])
