"""Shared by the tests of the settings.

Fixtures:
    load_text   loads settings from the text of a file, and from variables
    errors      the errors of a file's text, one each, without their heading
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bronze.errors import ConfigError
from pipeline.settings import Settings, load

#: The shortest text that loads.
LOCAL = "source: {local_path: ./lake}\n"
#: Settings with two eras.
TWO_ERAS = (
    LOCAL
    + "eras: [{era_id: b, ledger_start: 10, allow_overwrite: true}, {era_id: a, ledger_end: 9, protocol_max: 22}]\n"
)

Load: TypeAlias = Callable[..., Settings]
Errors: TypeAlias = Callable[..., list[str]]


@pytest.fixture
def load_text(tmp_path: Path) -> Load:
    """Loads settings from the text of a file, and from variables."""

    def load_(text: str, **environ: str) -> Settings:
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return load(path, environ)

    return load_


@pytest.fixture
def errors(load_text: Load) -> Callable[..., list[str]]:
    """Loads settings that are wrong, and returns the errors, one each, without their heading."""

    def errors_(text: str, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_text(text, **environ)
        head, *lines = str(caught.value).splitlines()
        assert head.endswith(f"the settings have {len(lines)} error{'' if len(lines) == 1 else 's'}")
        return [line.removeprefix("  - ") for line in lines]

    return errors_


def value_at(settings: Settings, key: str) -> Any:
    """The value of a key such as ``era.era_id``."""
    value: Any = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value
