"""The YAML document: what is refused, and where the problem is."""

from __future__ import annotations

from pathlib import Path

import pytest

from bronze.errors import ConfigError
from pipeline.settings import load
from pipeline.settings.document import MAX_BYTES
from tests.pipeline.settings.conftest import LOCAL, Errors, Load


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("era: {era_id: a", "line 1, column 16: not valid YAML: while parsing a flow mapping"),
        ("era:\n\tera_id: a", "line 2, column 1: not valid YAML"),
        ("a: b: c", "line 1, column 5: not valid YAML: mapping values are not allowed here"),
        ("just words", "line 1: the file must consist of keys and values"),
        ("- a\n- b", "line 1: the file must consist of keys and values"),
        ("? [a]\n: b", "line 1, column 3: not valid YAML: a key must be a scalar"),
        ("a: *b", "line 1, column 4: not valid YAML: found undefined alias"),
        (f"{LOCAL}---\n{LOCAL}", "not valid YAML: expected a single document"),
        ("copier_id: \x01", "not valid YAML"),
        # safe loading: no tag constructs an object
        ("copier_id: !!python/object/apply:os.system [ls]", "the tag tag:yaml.org,2002:python/object/apply:os.system"),
        ("copier_id: !!python/name:os.system x", "the tag tag:yaml.org,2002:python/name:os.system is not allowed"),
        # documents that expand or recurse
        ("a: &a [*a]", "contains itself"),
        ("a: " + "[" * 50_000, "nested deeper than"),
        ("a: " + "[" * 40 + "]" * 40, "nested deeper than"),
    ],
)
def test_invalid_yaml_is_an_error(errors: Errors, text: str, error: str) -> None:
    assert any(error in found for found in errors(text))


def test_nested_aliases_are_bounded(errors: Errors) -> None:
    rows = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    assert any("more than" in error for error in errors("\n".join(rows)))


def test_duplicate_keys_are_errors(errors: Errors) -> None:
    (error,) = errors("source:\n  local_path: a\n  local_path: b\n")
    assert error == "source.local_path (line 3): is given twice (first in line 2)"


def test_syntax_error_reports_no_missing_keys(errors: Errors) -> None:
    assert len(errors("source: {")) == 1


def test_unreadable_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "missing.yaml", {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load("a\0b", {})
    path = tmp_path / "config.yaml"
    path.write_bytes(b"copier_id: \xff\n")
    with pytest.raises(ConfigError, match="is not valid UTF-8 at byte 11"):
        load(path, {})
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="is larger than"):
        load(path, {})


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~"])
def test_empty_file_loads(load_text: Load, text: str) -> None:
    assert load_text(text, SOURCE_LOCAL_PATH="x").copier_id == "bronze-copier-001"
