"""The exception tree: which failures are transient, which stop a run, and that errors cross processes unchanged."""

from __future__ import annotations

import errno
import inspect
import pickle

import pytest

from bronze import errors
from bronze.errors import (
    ArchiveError,
    BronzeError,
    CatalogError,
    CatalogUnavailableError,
    DataError,
    DeliveryError,
    DeliveryRejectedError,
    DiskFullError,
    LakeError,
    LockedError,
    NewerFormatError,
    OutageError,
    StoreError,
    UnreachableError,
    WorkerError,
    XdrError,
    is_transient,
    is_unreachable,
    stops_run,
)

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BronzeError)]
TRANSIENT = {UnreachableError, ArchiveError, StoreError, CatalogUnavailableError, DeliveryError, WorkerError}
STOPPING = {
    DiskFullError,
    OutageError,
    CatalogError,
    CatalogUnavailableError,
    DeliveryError,
    DeliveryRejectedError,
    LockedError,
}


def make(kind: type[BronzeError]) -> BronzeError:
    return XdrError("x", offset=1, path="p") if issubclass(kind, XdrError) else kind("x")


def drawn_parents() -> dict[str, str]:
    """The parent of each class in the tree of the module's docstring."""
    path: list[str] = []
    parents = {}
    for line in (errors.__doc__ or "").splitlines():
        branch, dash, rest = line.partition("── ")
        if dash:
            depth = len(branch[4:]) // 4 + 1
            name = rest.split()[0]
            path[depth:] = [name]
            parents[name] = path[depth - 1]
        elif line.strip() == "BronzeError":
            path = ["BronzeError"]
    return parents


def test_docstring_tree_matches_the_classes() -> None:
    assert drawn_parents() == {kind.__name__: kind.__base__.__name__ for kind in CLASSES if kind is not BronzeError}  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_transient_errors_are_exactly_these(kind: type[BronzeError]) -> None:
    assert kind.transient == (kind in TRANSIENT)
    assert is_transient(make(kind)) == kind.transient


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_errors_that_stop_a_run_are_these(kind: type[BronzeError]) -> None:
    assert kind.stops_run == (kind in STOPPING)
    assert stops_run(make(kind)) == kind.stops_run


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_docstring_tree_states_both_attributes(kind: type[BronzeError]) -> None:
    (line,) = [line for line in (errors.__doc__ or "").splitlines() if f" {kind.__name__} " in f"{line} "][:1]
    assert ("transient" in line) == kind.transient
    assert ("stops the run" in line) == kind.stops_run


@pytest.mark.parametrize(
    ("error", "expected"),
    [(OSError(5, "Input/output error"), True), (PermissionError(13, "x"), False), (ValueError(), False)],
    ids=lambda value: type(value).__name__,
)
def test_foreign_errors_are_transient_by_class(error: Exception, expected: bool) -> None:
    assert is_transient(error) == expected
    assert not stops_run(error)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_stops_run(number: int) -> None:
    assert stops_run(OSError(number, "x"))
    assert not is_transient(OSError(number, "x"))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UnreachableError("503"), True),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), True),
        (TimeoutError(errno.ETIMEDOUT, "x"), True),
        (OSError(errno.ESTALE, "x"), True),
        (StoreError("size differs"), False),
        (OSError(errno.EIO, "x"), False),
        (FileNotFoundError(errno.ENOENT, "x"), False),
        (PermissionError(errno.EACCES, "x"), False),
    ],
)
def test_unreachable_stores_are_told_from_others(error: Exception, expected: bool) -> None:
    assert is_unreachable(error) == expected


def test_location_prefixes_the_message_once() -> None:
    error = LakeError("holds ledgers 1-2")
    assert error.at("object a") is error
    assert str(error.at("object b")) == "object a: holds ledgers 1-2"
    assert str(LakeError("object a is missing").at("object a")) == "object a is missing"


@pytest.mark.parametrize(
    "error",
    [
        LakeError("x"),
        *(kind("bad length", offset=40, path="LedgerCloseMeta.v1") for kind in (XdrError, NewerFormatError)),
    ],
)
def test_data_errors_survive_pickling(error: DataError) -> None:
    found = pickle.loads(pickle.dumps(error.at("object a")))
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert found.where == "object a"
    assert vars(found) == vars(error)
