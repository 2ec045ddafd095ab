"""The XDR reader: a table compiled from the types, and a walker that follows it.

The walker is compiled by Cython where it was built, else the same source is interpreted (some 60 times
slower). ``BRONZE_READER`` chooses: ``interpreted``; ``compiled``, which is an error when it was not
built; unset or empty, compiled when it was built.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from bronze.errors import ConfigError

__all__ = ["COMPILED", "Walker", "load_walker"]

_NAME = f"{__name__}.walker"


def load_walker(*, interpreted: bool) -> ModuleType:
    """The module of the walker: the compiled one, or its source interpreted whether or not it was built.

    Both can be loaded side by side.

    Raises:
        ConfigError: the compiled one is asked for and was not built.
    """
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


def _chosen() -> ModuleType:
    choice = os.environ.get("BRONZE_READER", "")
    if choice not in ("", "compiled", "interpreted"):
        raise ConfigError(f"BRONZE_READER is {choice!r}, not compiled or interpreted")
    built = _built(Path(__file__).with_name("walker.py")) is not None
    return load_walker(interpreted=choice == "interpreted" or not (choice or built))


_walker = _chosen()
COMPILED: bool = _walker.COMPILED
Walker = _walker.Walker
