"""Names that become path segments."""

from __future__ import annotations

import pytest

from bronze.errors import ConfigError
from bronze.partitioning.path_names import checked_segment, is_plain_segment


@pytest.mark.parametrize("name", ["pre_p23", "v1", "pubnet", "1", "v1.2-rc", "A", "x" * 128])
def test_plain_segment_is_returned(name: str) -> None:
    assert is_plain_segment(name)
    assert checked_segment(name, "era_id") == name


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
def test_other_names_are_refused(name: str) -> None:
    assert not is_plain_segment(name)
    with pytest.raises(ConfigError, match=r"era_id .* is not a plain path segment"):
        checked_segment(name, "era_id")
