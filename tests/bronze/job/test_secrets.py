"""Secrets: they are shown nowhere, pickled nowhere, and reach the workers of their run and no others."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys

import pytest

from bronze.job.secrets import DSN_VARIABLE, ENDPOINT_VARIABLE, Secrets

SECRETS = Secrets(dsn="postgresql://me:hunter2@db/catalog", endpoint="https://me:hunter3@pas/events")


@pytest.mark.parametrize("show", [repr, str, "{}".format, lambda secrets: f"{[secrets]!r}"])
def test_secrets_are_masked_when_shown(show: object) -> None:
    shown = show(SECRETS)  # type: ignore[operator]
    assert "hunter" not in shown
    assert "dsn='***', endpoint='***'" in shown


def test_empty_secrets_are_shown_empty() -> None:
    assert repr(Secrets()) == "Secrets(dsn='', endpoint='')"


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_secrets_refuse_pickling(duplicate: object) -> None:
    with pytest.raises(TypeError, match="secrets are not pickled"):
        duplicate(SECRETS)  # type: ignore[operator]


def test_held_secrets_reach_workers_of_run() -> None:
    with SECRETS.held_for("a"):
        assert Secrets.for_worker("a") is SECRETS
        assert Secrets.for_worker("b") == Secrets()
    assert Secrets.for_worker("a") == Secrets()


def test_held_secrets_nest() -> None:
    inner = Secrets(dsn="inner")
    with SECRETS.held_for("a"):
        with inner.held_for("a"):
            assert Secrets.for_worker("a") is inner
        assert Secrets.for_worker("a") is SECRETS


def test_held_secrets_end_with_error() -> None:
    with pytest.raises(ZeroDivisionError), SECRETS.held_for("a"):
        raise ZeroDivisionError
    assert Secrets.for_worker("a") == Secrets()


def test_exported_secrets_reach_child_processes() -> None:
    program = (
        "from bronze.job.secrets import Secrets\n"
        "found = Secrets.for_worker('any run')\n"
        "print(found.dsn, found.endpoint)"
    )
    with SECRETS.exported():
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [SECRETS.dsn, SECRETS.endpoint]


@pytest.mark.parametrize("before", [{}, {DSN_VARIABLE: "mine"}, {ENDPOINT_VARIABLE: "mine", DSN_VARIABLE: "mine"}])
def test_export_restores_environment(before: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        for name, value in before.items():
            patch.setenv(name, value)
        environment = dict(os.environ)
        with pytest.raises(ZeroDivisionError), SECRETS.exported():
            assert 1 / (os.environ[DSN_VARIABLE] != SECRETS.dsn)
        assert dict(os.environ) == environment


def test_export_hides_other_runs_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without a catalog must not use one that somebody else left in the environment."""
    with monkeypatch.context() as patch:
        patch.setenv(DSN_VARIABLE, "another run's")
        with Secrets(endpoint="mine").exported():
            assert Secrets.from_environment() == Secrets(endpoint="mine")
