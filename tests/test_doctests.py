"""The examples in the docstrings of bronze hold."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import bronze
from pipeline.sample import write_sample_lake
from tests.bronze.conftest import OPTIONS, copy, workspace_at

#: Modules whose format or arithmetic an example shows best; each must have one.
WITH_EXAMPLES: set[str] = {
    "bronze.audit.event",
    "bronze.dataset.dataset",
    "bronze.dataset.manifest",
    "bronze.dataset.published_tables",
    "bronze.dataset.schema",
    "bronze.lake.layout",
    "bronze.partitioning.partition",
    "bronze.partitioning.path_names",
    "bronze.timestamps",
    "bronze.verify",
    "bronze.verify.finding",
    "bronze.verify.selection",
}
MODULES = sorted(found.name for found in pkgutil.walk_packages(bronze.__path__, "bronze."))


@pytest.fixture(scope="session")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What examples may use: `url` of a bronze prefix with one table, and the directory of its `events`."""
    root = tmp_path_factory.mktemp("doctests")
    made: Path = write_sample_lake(root / "lake", OPTIONS).root
    copy(workspace_at(root, made))
    return {"url": str(root / "data" / "bronze"), "events": str(root / "events")}


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_hold(name: str, names: dict[str, str]) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE, extraglobs=names)
    assert result.failed == 0
    assert result.attempted > 0 or name not in WITH_EXAMPLES


def test_modules_with_examples_exist() -> None:
    assert set(MODULES) >= WITH_EXAMPLES
