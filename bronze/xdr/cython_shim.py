"""The part of the ``cython`` module that ``walker.py`` uses, for an interpreter without Cython.

Types occur in annotations only, which are never evaluated, so none are defined here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

compiled = False


class _Gil:
    """``with nogil:`` and ``@nogil``, neither of which does anything."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_exception: object) -> None:
        pass

    def __call__(self, function: T) -> T:
        return function


nogil = gil = _Gil()


def cclass(decorated: T) -> T:
    """A decorator that changes nothing."""
    return decorated


cfunc = inline = cclass


def boundscheck(_on: bool) -> Callable[[T], T]:
    """Nothing: Python always checks."""
    return cclass


def exceptval(*, check: bool) -> Callable[[T], T]:
    """Nothing: Python functions raise."""
    return cclass
