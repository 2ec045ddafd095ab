"""The shape of the program: who may import whom, no circles, sizes, public names, test files and test names.

Each check is a function of a tree of sources and returns one line for each violation, so that the tests at the end
can show on a copy of the tree that it fails when it has to.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.source_tree import PACKAGES, Module, Tree, circles, import_graph, read_tree

ROOT = Path(__file__).resolve().parents[1]

#: Everybody may import these; they import only each other, downwards.
GROUND = {
    "bronze.retry": {"bronze.errors", "bronze.log_fields", "bronze.measurements", "bronze.waiting"},
    "bronze.metric_families": {"bronze.measurements"},
    "bronze.measurements": {"bronze.log_fields"},
    "bronze.log_fields": set(),
    "bronze.waiting": {"bronze.errors"},
    "bronze.errors": set(),
    "bronze.checksums": set(),
    "bronze.redact": set(),
    "bronze.producer": set(),
    "bronze.timestamps": set(),
    "bronze.stellar": set(),
}

#: Who may import whom, from the top downwards: a row names rooms of later rows only. A room is a package with all
#: that lies below it, or a module that stands beside the rooms. A room may always import itself and GROUND.
ALLOWED: dict[str, set[str]] = {
    "pipeline.flex_template": {"pipeline.main", "pipeline.exit_status", "pipeline.settings", "bronze.storage"},
    "pipeline.main": {"pipeline.commands", "pipeline.early_signals"},
    "pipeline.commands": {
        "pipeline.early_signals", "pipeline.exit_status", "pipeline.launch", "pipeline.report", "pipeline.sample",
        "pipeline.settings", "pipeline.sizes", "pipeline.telemetry",
        "bronze.authenticity", "bronze.commit", "bronze.dataset", "bronze.job", "bronze.lake", "bronze.outcomes",
        "bronze.partitioning", "bronze.verify", "bronze.xdr",
    },
    "pipeline.launch": {
        "pipeline.early_signals", "pipeline.exit_status", "pipeline.report", "pipeline.settings", "pipeline.sizes",
        "pipeline.telemetry",
        "transforms",
        "bronze.archives", "bronze.audit", "bronze.authenticity", "bronze.catalog", "bronze.commit", "bronze.dataset",
        "bronze.ingest", "bronze.job", "bronze.lake", "bronze.ledger", "bronze.outcomes", "bronze.partitioning",
        "bronze.storage", "bronze.verify", "bronze.xdr",
    },
    "pipeline.report": {"pipeline.sizes", "bronze.dataset", "bronze.partitioning", "bronze.verify"},
    "pipeline.telemetry": {"pipeline.settings", "pipeline.sizes", "bronze.outcomes", "bronze.partitioning"},
    "pipeline.settings": {
        "bronze.archives", "bronze.dataset", "bronze.job", "bronze.lake", "bronze.ledger", "bronze.partitioning",
        "bronze.storage",
    },
    "pipeline.sample": {"bronze.lake"},
    "pipeline.beam_worker": set(),
    "pipeline.early_signals": set(),
    "pipeline.exit_status": set(),
    "pipeline.sizes": set(),
    "transforms": {
        "bronze.commit", "bronze.ingest", "bronze.job", "bronze.lake", "bronze.outcomes", "bronze.partitioning",
        "bronze.storage", "bronze.verify",
    },
    "bronze.job": {
        "bronze.archives", "bronze.audit", "bronze.authenticity", "bronze.catalog", "bronze.commit", "bronze.dataset",
        "bronze.ingest", "bronze.lake", "bronze.ledger", "bronze.outcomes", "bronze.partitioning", "bronze.storage",
        "bronze.verify", "bronze.xdr",
    },
    "bronze.verify": {
        "bronze.archives", "bronze.audit", "bronze.authenticity", "bronze.commit", "bronze.dataset", "bronze.ledger",
        "bronze.partitioning", "bronze.storage",
    },
    "bronze.commit": {
        "bronze.archives", "bronze.audit", "bronze.authenticity", "bronze.catalog", "bronze.dataset", "bronze.outcomes",
        "bronze.partitioning", "bronze.storage",
    },
    "bronze.ingest": {
        "bronze.authenticity", "bronze.dataset", "bronze.lake", "bronze.ledger", "bronze.outcomes",
        "bronze.partitioning", "bronze.storage", "bronze.xdr",
    },
    "bronze.catalog": {"bronze.dataset", "bronze.outcomes", "bronze.partitioning"},
    "bronze.archives": {"bronze.audit", "bronze.storage"},
    "bronze.audit": {"bronze.outcomes", "bronze.partitioning", "bronze.storage"},
    "bronze.dataset": {
        "bronze.authenticity", "bronze.ledger", "bronze.outcomes", "bronze.partitioning", "bronze.storage",
    },
    "bronze.lake": {"bronze.storage"},
    "bronze.outcomes": {"bronze.authenticity", "bronze.partitioning"},
    "bronze.partitioning": set(),
    "bronze.authenticity": {"bronze.ledger"},
    "bronze.ledger": {"bronze.xdr"},
    "bronze.xdr": set(),
    "bronze.storage": set(),
    **GROUND,
}  # fmt: skip

MAX_MODULE_LINES = 350
MAX_CLASS_LINES = 200
MAX_TEST_WORDS = 8
#: Generated from the protocol's definition.
LONG_MODULES = {"bronze/xdr/table.py"}

#: One `room.name` a line: what may be imported from a room's `__init__`.
PUBLIC_NAMES = ROOT / "tests" / "public_names.txt"

#: Test files of tests/{bronze,pipeline,transforms} that test something else than one module.
CROSS_MODULE_TESTS = {
    "bronze/storage/object_store/test_faults.py",
    "bronze/xdr/test_fuzz.py",
    "bronze/xdr/test_table_fresh.py",
    "bronze/commit/test_unlocked_chain.py",
    "bronze/commit/test_chain_properties.py",
    "bronze/commit/test_lost_events.py",
    "bronze/commit/test_commit_cost.py",
    "bronze/verify/test_independence.py",
    "bronze/verify/test_lies.py",
}


def room_of(module: str) -> str | None:
    """The row of ALLOWED that a module belongs to; None for the top packages themselves."""
    return next((room for room in ALLOWED if module == room or module.startswith(room + ".")), None)


def forbidden_imports(tree: Tree) -> list[str]:
    """Imports that the table does not allow, and modules that no row covers."""
    found = []
    for name, module in tree.items():
        room = room_of(name)
        if room is None and name not in PACKAGES:
            found.append(f"{name} stands in no room of the table")
        for target in sorted({imported.target for imported in module.imports}):
            other = room_of(target)
            if room is None or other not in {room, *ALLOWED[room], *(() if room in GROUND else GROUND)}:
                found.append(f"{name} imports {target}")
    return found


def import_circles(tree: Tree) -> list[str]:
    """Groups of modules each of which imports, directly or not, every other one of its group."""
    return [" <-> ".join(group) for group in circles(import_graph(tree))]


def private_imports(tree: Tree) -> list[str]:
    """Imports of another module's private names, and uses of them through an imported module."""
    found = []
    for name, module in tree.items():
        for imported in module.imports:
            if imported.name and _is_private(imported.name):
                found.append(f"{name} imports {imported.target}.{imported.name}")
        modules = {imported.alias: imported.target for imported in module.imports if imported.name is None}
        for node in ast.walk(module.syntax):
            if isinstance(node, ast.Attribute) and _is_private(node.attr) and ast.unparse(node.value) in modules:
                found.append(f"{name} uses {modules[ast.unparse(node.value)]}.{node.attr}")
    return found


def detours(tree: Tree) -> list[str]:
    """Imports of a name from a room's `__init__` that only passes it on: modules import from where it is defined."""
    found = []
    for name, module in tree.items():
        for imported in module.imports:
            room = tree[imported.target]
            passed_on = {item.alias for item in room.imports}
            if room.is_package and imported.name in passed_on and name != room.name:
                found.append(f"{name} imports {imported.name} through {room.name}")
    return found


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def too_long(tree: Tree) -> list[str]:
    """Modules and classes above their number of lines."""
    found = []
    for module in tree.values():
        path = module.path.as_posix()
        if module.lines > MAX_MODULE_LINES and path not in LONG_MODULES:
            found.append(f"{path} is longer than {MAX_MODULE_LINES} lines")
        for node in ast.walk(module.syntax):
            if isinstance(node, ast.ClassDef) and (node.end_lineno or 0) - node.lineno + 1 > MAX_CLASS_LINES:
                found.append(f"{path}: class {node.name} is longer than {MAX_CLASS_LINES} lines")
    return found


def rooms(tree: Tree) -> Iterator[Module]:
    """The rooms that are packages, from the top downwards."""
    return (tree[room] for room in ALLOWED if room in tree and tree[room].is_package)


def faulty_rooms(tree: Tree) -> list[str]:
    """Rooms without a docstring or `__all__`, and names in `__all__` that do not exist."""
    found = []
    for room in rooms(tree):
        if not ast.get_docstring(room.syntax):
            found.append(f"{room.name} has no docstring")
        if room.exported is None:
            found.append(f"{room.name} has no __all__")
            continue
        imported = {item.alias: item for item in room.imports}
        for name in room.exported:
            item = imported.get(name)
            exists = name in room.bound if item is None else item.name is None or item.name in tree[item.target].bound
            if not exists:
                found.append(f"{room.name} exports {name}, which does not exist")
    return found


def public_names(tree: Tree) -> list[str]:
    """`room.name` of everything that the rooms export, sorted."""
    return sorted(f"{room.name}.{name}" for room in rooms(tree) for name in room.exported or ())


def stray_tests(root: Path) -> list[str]:
    """Test files that do not stand where the module that they name stands."""
    found = []
    for package in PACKAGES:
        for file in sorted((root / "tests" / package).rglob("test_*.py")):
            path = file.relative_to(root / "tests")
            module = path.with_name(path.name.removeprefix("test_"))
            if not (root / module).exists() and path.as_posix() not in CROSS_MODULE_TESTS:
                found.append(f"tests/{path.as_posix()} tests no module {module.as_posix()}")
    return found


def long_test_names(root: Path) -> list[str]:
    """Names of tests that have more words than `MAX_TEST_WORDS`."""
    names = re.compile(r"^ *(?:async )?def test_(\w+)", re.MULTILINE)
    return [
        f"{file.relative_to(root).as_posix()}: test_{name} has more than {MAX_TEST_WORDS} words"
        for file in sorted((root / "tests").rglob("*.py"))
        for name in names.findall(file.read_text(encoding="utf-8"))
        if name.count("_") + 1 > MAX_TEST_WORDS
    ]


@pytest.fixture(scope="module")
def tree() -> Tree:
    return read_tree(ROOT)


def test_rooms_import_only_allowed_rooms(tree: Tree) -> None:
    assert forbidden_imports(tree) == []


def test_table_only_points_downwards() -> None:
    order = list(ALLOWED)
    assert [
        (room, below) for room, others in ALLOWED.items() for below in others if order.index(below) <= order.index(room)
    ] == []


def test_table_names_only_existing_rooms(tree: Tree) -> None:
    assert set(ALLOWED) <= set(tree)


def test_modules_import_without_circles(tree: Tree) -> None:
    assert import_circles(tree) == []


def test_modules_import_no_private_names() -> None:
    assert private_imports(read_tree(ROOT, [*PACKAGES, "benchmarks", "tests", "tools"])) == []


def test_modules_import_from_defining_module(tree: Tree) -> None:
    assert detours(tree) == []


def test_modules_and_classes_are_short(tree: Tree) -> None:
    assert too_long(tree) == []


def test_rooms_export_existing_names(tree: Tree) -> None:
    assert faulty_rooms(tree) == []


def test_public_names_are_the_recorded_ones(tree: Tree) -> None:
    assert public_names(tree) == PUBLIC_NAMES.read_text(encoding="utf-8").split()


def test_tests_mirror_modules() -> None:
    assert stray_tests(ROOT) == []


def test_test_names_are_short() -> None:
    assert long_test_names(ROOT) == []


def test_cross_module_tests_exist() -> None:
    assert [path for path in CROSS_MODULE_TESTS if not (ROOT / "tests" / path).exists()] == []


# That the checks can fail: each on a copy of the tree with one violation more.


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the three packages and of their tests' file names."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.c"))
        for file in (ROOT / "tests" / package).rglob("test_*.py"):
            empty = tmp_path / file.relative_to(ROOT)
            empty.parent.mkdir(parents=True, exist_ok=True)
            empty.touch()
    return tmp_path


def add(file: Path, text: str) -> None:
    """Append lines to a file of the copy."""
    with file.open("a", encoding="utf-8") as out:
        out.write(text)


@pytest.mark.parametrize(
    "statement",
    [
        "from bronze.job.spec import CopyJob\n",
        "import bronze.job.spec\n",
        "def late():\n    from bronze.job import spec\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from bronze.job.spec import CopyJob\n",
        "import importlib\nimportlib.import_module('bronze.job.spec')\n",
        "from ..job.spec import CopyJob\n",
    ],
    ids=["from", "plain", "late", "for-types", "by-string", "relative"],
)
def test_upward_import_is_found(copy: Path, tree: Tree, statement: str) -> None:
    add(copy / "bronze/storage/local.py", statement)
    new = set(forbidden_imports(read_tree(copy))) - set(forbidden_imports(tree))
    assert new == {"bronze.storage.local imports bronze.job.spec"}


def test_module_outside_every_room_is_found(copy: Path) -> None:
    add(copy / "bronze/newcomer.py", "")
    assert "bronze.newcomer stands in no room of the table" in forbidden_imports(read_tree(copy))


def test_circle_inside_room_is_found(copy: Path, tree: Tree) -> None:
    add(copy / "bronze/partitioning/partition.py", "from bronze.partitioning.path_names import is_path_name\n")
    add(copy / "bronze/partitioning/path_names.py", "def late():\n    import bronze.partitioning.partition\n")
    (circle,) = set(import_circles(read_tree(copy))) - set(import_circles(tree))
    assert {"bronze.partitioning.partition", "bronze.partitioning.path_names"} <= set(circle.split(" <-> "))


@pytest.mark.parametrize(
    "statement",
    [
        "from bronze.retry import _x\n",
        "from bronze import retry\nretry._x()\n",
        "import bronze.retry\nbronze.retry._x()\n",
    ],
    ids=["from", "attribute", "dotted"],
)
def test_private_import_is_found(copy: Path, tree: Tree, statement: str) -> None:
    add(copy / "bronze/storage/local.py", statement)
    (new,) = set(private_imports(read_tree(copy))) - set(private_imports(tree))
    assert new in ("bronze.storage.local imports bronze.retry._x", "bronze.storage.local uses bronze.retry._x")


def test_import_through_room_is_found(copy: Path) -> None:
    add(copy / "bronze/commit/sequencer.py", "from bronze.partitioning import Era\n")
    assert "bronze.commit.sequencer imports Era through bronze.partitioning" in detours(read_tree(copy))


def test_long_module_and_class_are_found(copy: Path) -> None:
    add(copy / "bronze/stellar.py", "class Long:\n" + "    x = 1\n" * 400)
    found = too_long(read_tree(copy))
    assert "bronze/stellar.py is longer than 350 lines" in found
    assert "bronze/stellar.py: class Long is longer than 200 lines" in found


def test_faulty_room_is_found(copy: Path) -> None:
    (copy / "bronze/audit/__init__.py").write_text(
        "from bronze.audit.event import Nothing\n__all__ = ['Nothing', 'Lost']\n"
    )
    (copy / "bronze/catalog/__init__.py").write_text('"""A room."""\n')
    assert {
        "bronze.audit has no docstring",
        "bronze.audit exports Nothing, which does not exist",
        "bronze.audit exports Lost, which does not exist",
        "bronze.catalog has no __all__",
    } <= set(faulty_rooms(read_tree(copy)))


def test_new_public_name_is_found(copy: Path, tree: Tree) -> None:
    (copy / "bronze/audit/__init__.py").write_text('"""A room."""\n__all__ = ["novelty"]\nnovelty = 1\n')
    assert "bronze.audit.novelty" in set(public_names(read_tree(copy))) - set(public_names(tree))


def test_stray_test_is_found(copy: Path) -> None:
    add(copy / "tests/bronze/audit/test_nothing.py", "")
    assert "tests/bronze/audit/test_nothing.py tests no module bronze/audit/nothing.py" in stray_tests(copy)


def test_long_test_name_is_found(copy: Path) -> None:
    short, long = "def test_a_b_c_d_e_f_g_h() -> None: ...\n", "def test_a_b_c_d_e_f_g_h_i() -> None: ...\n"
    add(copy / "tests/bronze/audit/test_event.py", short + long)
    assert long_test_names(copy) == ["tests/bronze/audit/test_event.py: test_a_b_c_d_e_f_g_h_i has more than 8 words"]
