"""What all tests share: how Hypothesis searches, and that no test works with the secrets of the one before it.

A shared machine may stall for any time, so no example has a deadline; the same examples every run, so that a
red run says something about the change.

Fixture:
    no_secrets  used by every test: what runs in this process left in its environment for their workers is gone
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
