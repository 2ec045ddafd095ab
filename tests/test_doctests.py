"""The examples in the docstrings of bronze hold."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import bronze

#: Modules whose format or arithmetic an example shows best; each must have one.
WITH_EXAMPLES: set[str] = {
    "bronze.audit.event",
    "bronze.dataset.dataset",
    "bronze.dataset.manifest",
    "bronze.dataset.schema",
    "bronze.lake.layout",
    "bronze.partitioning.partition",
    "bronze.partitioning.path_names",
    "bronze.timestamps",
}
MODULES = sorted(found.name for found in pkgutil.walk_packages(bronze.__path__, "bronze."))


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
    assert result.attempted > 0 or name not in WITH_EXAMPLES


def test_modules_with_examples_exist() -> None:
    assert set(MODULES) >= WITH_EXAMPLES
