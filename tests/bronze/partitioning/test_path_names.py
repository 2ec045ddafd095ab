"""Names that become path segments."""

from __future__ import annotations

import pytest

from bronze.errors import ConfigError
from bronze.partitioning.path_names import is_plain_segment, plain_segment


@pytest.mark.parametrize("name", ["pre_p23", "v1", "pubnet", "1", "v1.2-rc", "A", "x" * 128])
def test_plain(name: str) -> None:
    assert is_plain_segment(name)
    assert plain_segment(name, "era_id") == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "-flag",
        "_x",
        "a/b",
        "a\\b",
        "../x",
        "/etc",
        "a b",
        "a\n",  # `$` would let a newline at the end through
        "a\0b",
        "é",
        "٣",  # a digit, but not an ASCII one
        "x" * 129,
    ],
)
def test_not_plain(name: str) -> None:
    assert not is_plain_segment(name)
    with pytest.raises(ConfigError, match=r"era_id .* is not a plain path segment"):
        plain_segment(name, "era_id")
