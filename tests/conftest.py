"""Shared by all tests: settings of Hypothesis, and secrets that do not leak from one test into the next.

Examples have no deadline, because a shared machine may stall, and are the same in every run, so that a failure
belongs to the change under test.

Fixture:
    no_secrets  used by every test: removes secrets that an earlier run in this process left in the environment
"""

import os

import pytest
from hypothesis import settings

from bronze.job.spec import DSN_VARIABLE, ENDPOINT_VARIABLE

settings.register_profile("here", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("here")


@pytest.fixture(autouse=True)
def no_secrets() -> None:
    # Not by monkeypatch: a test that undoes its patches would get back what a fixture of the session had left.
    for name in (DSN_VARIABLE, ENDPOINT_VARIABLE):
        os.environ.pop(name, None)
