"""Shared by the tests of the commands.

Fixtures:
    copy        the program with a configuration for 24 ledgers, 8-31, in three partitions
    own_environment, sample_lakes, sample, copier  as in tests/e2e/conftest.py
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.conftest import Copier, LakeFiles, copier, own_environment, sample, sample_lakes

__all__ = ["copier", "copy", "own_environment", "sample", "sample_lakes", "written_names"]


@pytest.fixture
def copy(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """The program with a configuration for 24 ledgers in three partitions."""
    return copier(sample(first=8, ledgers=24).root, ledger_start=8, ledger_end=31, partition_size=8)


def written_names(copy: Copier) -> list[str]:
    """The names of everything beside the configuration."""
    return sorted(path.name for path in copy.root.iterdir() if path.name != "config.yaml")
