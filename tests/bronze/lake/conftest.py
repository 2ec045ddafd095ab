"""Shared by the tests of the lake.

Builders (plain functions):
    make_lake   a directory of empty objects with the given keys, and its ``.config.json`` when one is given
    keys        the object keys of a range of ledgers
"""

from __future__ import annotations

import json
from pathlib import Path

from bronze.lake.layout import LakeLayout
from bronze.storage.local import LocalStore


def make_lake(root: Path, names: list[str] = [], config: object = None) -> LocalStore:  # noqa: B006
    """A lake of empty objects with these keys: opening a lake reads none of them."""
    store = LocalStore(root)
    root.mkdir()
    for name in names:
        store.path(name).parent.mkdir(exist_ok=True)
        store.path(name).touch()
    if config is not None:
        data = config if isinstance(config, bytes) else json.dumps(config).encode()
        store.create(".config.json", data)
    return store


def keys(layout: LakeLayout, start: int, end: int) -> list[str]:
    return sorted({layout.key(ledger) for ledger in range(start, end + 1)})
