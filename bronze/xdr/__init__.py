"""The XDR reader: a table generated from the types, and a walker that follows it.

What lives here checks the form of one LedgerCloseMeta, every byte of it, and marks where its parts lie. What these
bytes mean (fields, hashes, batches) does not: see `bronze.ledger.close_meta`. Begin at `new_walker`.

The walker is compiled by Cython where it was built, else the same source is interpreted (about 60 times slower).
``BRONZE_READER`` chooses on first use: ``interpreted``; ``compiled``, which is an error when it was not built; unset or
empty, compiled when it was built.
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import os
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Protocol

from bronze.errors import ConfigError

__all__ = ["Walker", "is_compiled", "load_walker", "new_walker"]

_NAME = f"{__name__}.walker"
_LOADING = threading.Lock()


class Walker(Protocol):
    """Walks ledgers, one after another, with memory of its own. Not to be shared by threads."""

    def walk(self, data: bytes | bytearray | memoryview, start: int, end: int) -> tuple[int, ...]:
        """Walk the LedgerCloseMeta that begins at `start` and ends at or before `end` (exclusive).

        Args:
            data: contiguous bytes; only those from `start` up to `end` are looked at.

        Returns:
            The marks: positions in `data` and counts, by the slots of `bronze.xdr.table`.

        Raises:
            XdrError: at the first byte that is wrong.
        """
        ...

    def results(self) -> memoryview:
        """XDR of the last walk's result pairs in apply order, behind their count; the next walk overwrites it."""
        ...

    def notes(self) -> list[int]:
        """Of each contract invocation that the last walk met, the marks from `bronze.xdr.table.SUCCESS` on."""
        ...


def new_walker() -> Walker:
    """A walker of the chosen kind.

    Raises:
        ConfigError: ``BRONZE_READER`` has an unknown value, or requires a compiled walker and none was built.
    """
    walker: Walker = _chosen_module().Walker()
    return walker


def is_compiled() -> bool:
    """Whether `new_walker` gives compiled walkers.

    Raises:
        ConfigError: as `new_walker`.
    """
    compiled: bool = _chosen_module().COMPILED
    return compiled


def load_walker(*, interpreted: bool) -> ModuleType:
    """The module of the walker: the compiled one, or its source interpreted whether or not it was built.

    Both can be loaded side by side.

    Raises:
        ConfigError: the compiled one is requested and was not built.
    """
    with _LOADING:
        return _load_walker(interpreted=interpreted)


def _load_walker(*, interpreted: bool) -> ModuleType:
    name = f"{_NAME}_interpreted" if interpreted else _NAME
    if name in sys.modules:
        return sys.modules[name]
    source = Path(__file__).with_name("walker.py")
    if interpreted:
        loader: importlib.machinery.SourceFileLoader | importlib.machinery.ExtensionFileLoader
        loader = importlib.machinery.SourceFileLoader(name, str(source))
    else:
        built = _built(source)
        if built is None:
            raise ConfigError(
                "the compiled XDR reader was not built: run python setup.py build_ext --inplace, or unset BRONZE_READER"
            )
        loader = importlib.machinery.ExtensionFileLoader(name, str(built))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _built(source: Path) -> Path | None:
    """The extension beside `source` that this interpreter can load."""
    paths = (source.with_name(f"walker{suffix}") for suffix in importlib.machinery.EXTENSION_SUFFIXES)
    return next((path for path in paths if path.exists()), None)


@functools.cache
def _chosen_module() -> ModuleType:
    choice = os.environ.get("BRONZE_READER", "")
    if choice not in ("", "compiled", "interpreted"):
        raise ConfigError(f"BRONZE_READER is {choice!r}, expected 'compiled' or 'interpreted'")
    built = _built(Path(__file__).with_name("walker.py")) is not None
    return load_walker(interpreted=choice == "interpreted" or not (choice or built))
