"""Shared by all tests: settings of Hypothesis, and a check that no test leaves secrets in the environment.

Examples have no deadline, because a shared machine may stall, and are the same in every run, so that a failure
belongs to the change under test.

Fixture:
    no_secrets  used by every test: fails it when a secret of a run is in the environment before or after it
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from bronze.job.secrets import DSN_VARIABLE, ENDPOINT_VARIABLE

settings.register_profile("here", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("here")


def secrets_in_environment() -> list[str]:
    """Names of the variables that workers read secrets from, as far as they are set."""
    return [name for name in (DSN_VARIABLE, ENDPOINT_VARIABLE) if name in os.environ]


@pytest.fixture(autouse=True)
def no_secrets() -> Iterator[None]:
    assert secrets_in_environment() == []
    yield
    assert secrets_in_environment() == []
