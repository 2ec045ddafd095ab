"""Reading of small JSON objects from a store: bounded, parsed, and with one form of error message.

`read_json_object` does all of it. Who has the bytes already (inside `bronze.storage.store.Store.update`, or because
they are hashed) combines `unusable_object_error` and `load_json_object`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from bronze.errors import DataError, ObjectTooLargeError, StateError
from bronze.storage.store import Store

Parsed = TypeVar("Parsed")


def read_json_object(
    store: Store,
    key: str,
    max_bytes: int,
    parse: Callable[[dict[str, Any]], Parsed],
    *,
    kind: str,
    remedy: str = "",
    error: type[DataError] = StateError,
) -> Parsed:
    """Read the JSON object at `key` and parse it.

    Args:
        max_bytes: the largest size to accept, inclusive; checked before anything is loaded.
        parse: makes a value of the JSON object. A ``KeyError`` stands for a missing key; a ``ValueError`` or
            ``TypeError`` says what is invalid.
        kind, remedy, error: see `unusable_object_error`; the object is named ``"{kind} {url}/{key}"``.

    Raises:
        DataError: of the class `error`: the object is too large, or is not what it should be.
        ObjectNotFoundError: there is no such object.
        StoreError: the store failed.
    """
    with unusable_object_error(f"{kind} {store.url}/{key}", remedy=remedy, error=error):
        return parse(load_json_object(store.read(key, max_bytes), max_bytes))


@contextmanager
def unusable_object_error(name: str, *, remedy: str = "", error: type[DataError] = StateError) -> Iterator[None]:
    """Turn whatever shows that an object is unusable into one error.

    A ``KeyError`` becomes "{name} lacks the key …"; ``ValueError``, ``TypeError``, ``AttributeError``,
    ``RecursionError`` and `ObjectTooLargeError` become "{name} cannot be used: …". All other errors pass unchanged.

    Args:
        name: the object as people know it, such as ``"manifest s3://bucket/…/_manifest.json"``.
        remedy: what to do about it, a sentence without its full stop; appended to the message.
        error: the class to raise.
    """
    try:
        yield
    except KeyError as cause:
        raise error(_message(f"{name} lacks the key {cause}", remedy)) from cause
    except (ValueError, TypeError, AttributeError, RecursionError, ObjectTooLargeError) as cause:
        raise error(_message(f"{name} cannot be used: {cause}", remedy)) from cause


def load_json_object(data: bytes, max_bytes: int) -> dict[str, Any]:
    """Parse a JSON object of at most `max_bytes` bytes.

    Raises:
        ValueError: it is larger, is not valid JSON, or is another JSON value than an object.
    """
    if len(data) > max_bytes:
        raise ValueError(f"{len(data)} bytes, expected at most {max_bytes}")
    try:
        document = json.loads(data)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"it is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(f"it is not a JSON object but {_kind_of(document)}")
    return document


def _kind_of(value: object) -> str:
    if value is None:
        return "null"
    return {list: "an array", str: "a string", bool: "a boolean"}.get(type(value), "a number")


def _message(message: str, remedy: str) -> str:
    return f"{message}. {remedy}" if remedy else message
