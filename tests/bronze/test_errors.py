"""The exception tree: what may pass, where an error was met, and that it crosses processes whole."""

from __future__ import annotations

import inspect
import pickle

import pytest

from bronze import errors
from bronze.errors import (
    BronzeError,
    CatalogUnavailableError,
    DataError,
    DeliveryError,
    LakeError,
    StoreError,
    XdrError,
    is_transient,
)

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BronzeError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_is_drawn_in_the_tree_and_explained(kind: type[BronzeError]) -> None:
    assert kind is BronzeError or f" {kind.__name__} " in (errors.__doc__ or "")
    assert kind.__doc__


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_transient(kind: type[BronzeError]) -> None:
    error = XdrError("x", offset=1, path="p") if kind is XdrError else kind("x")
    assert is_transient(error) == (kind in (StoreError, CatalogUnavailableError, DeliveryError))


def test_local_files_may_recover() -> None:
    assert is_transient(OSError(5, "Input/output error"))
    assert not is_transient(ValueError())


def test_where_it_was_met_begins_the_message_and_is_said_once() -> None:
    error = LakeError("holds ledgers 1-2")
    assert error.at("object a") is error
    assert str(error.at("object b")) == "object a: holds ledgers 1-2"


@pytest.mark.parametrize("error", [LakeError("x"), XdrError("bad length", offset=40, path="LedgerCloseMeta.v1")])
def test_pickled_and_back(error: DataError) -> None:
    found = pickle.loads(pickle.dumps(error.at("object a")))
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert found.where == "object a"
    assert vars(found) == vars(error)
