"""Secrets: they are shown nowhere, pickled nowhere, and reach the workers of their run and no others."""

from __future__ import annotations

import copy
import pickle

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


def test_worker_elsewhere_finds_secrets_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DSN_VARIABLE, SECRETS.dsn)
    monkeypatch.setenv(ENDPOINT_VARIABLE, SECRETS.endpoint)
    assert Secrets.for_worker("any run") == SECRETS
