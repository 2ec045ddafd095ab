"""A Galexie ledger lake: its layout, its newest ledger, the objects of a range.

Opening a lake costs one small object and a few listings. Object keys are computed, never listed: see
`bronze.lake.layout`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass

from bronze.errors import ConfigError, LakeError, ObjectNotFoundError, ObjectTooLargeError
from bronze.lake.layout import LakeLayout, ParsedName, parse_directory, parse_object
from bronze.stellar import FIRST_LEDGER, known_passphrase, network_of
from bronze.storage.store import Store, join

CONFIG_KEY = ".config.json"
#: A lake's configuration is a few lines; more than this is something else.
_MAX_CONFIG = 64 * 1024


@dataclass(frozen=True, slots=True)
class LakeOptions:
    """What the settings say of a lake; None where they say nothing."""

    network: str
    passphrase: str | None = None
    ledgers_per_file: int | None = None
    files_per_directory: int | None = None
    extension: str | None = None


@dataclass(frozen=True, slots=True)
class NewestObject:
    """The newest object of a lake: its key and the last ledger (inclusive) of its name."""

    key: str
    ledger: int


class Lake:
    """A lake that was opened: `layout` is settled and agrees with the names seen."""

    def __init__(self, store: Store, layout: LakeLayout, passphrase: str | None) -> None:
        self.store = store
        self.layout = layout
        self.passphrase = passphrase

    @property
    def is_remote(self) -> bool:
        """Whether each object costs a request to another machine."""
        return self.store.is_remote

    def key(self, ledger: int) -> str:
        """Key of the object that holds `ledger`."""
        return self.layout.key(ledger)

    def read(self, key: str, most: int | None = None) -> memoryview:
        """The object's bytes as they are stored.

        Raises:
            LakeError: it is missing, or has more than `most` bytes.
        """
        try:
            return self.store.read_view(key, most)
        except ObjectNotFoundError as error:
            raise LakeError(f"object {self.describe(key)} is missing from the lake") from error
        except ObjectTooLargeError as error:
            raise LakeError(str(error)) from error

    def describe(self, key: str) -> str:
        """The object as people look for it."""
        return f"{self.store.url}/{key}"

    def file_starts(self, start: int, end: int) -> range:
        """First ledgers of the names of the files that hold the inclusive range `start`..`end`.

        Ledgers 0 and 1 exist in no file.
        """
        first = max(start, FIRST_LEDGER)
        return range(self.layout.file_start(first), end + 1, self.layout.ledgers_per_file)

    def newest(self) -> NewestObject | None:
        """The newest object, or None when the lake is empty. Names sort newest first."""
        return next((NewestObject(key, name.end) for key, name in _objects(self.store)), None)


def open_lake(store: Store, expected: LakeOptions) -> Lake:
    """Open the lake at the root of `store`.

    Raises:
        ConfigError: it is another network's, or contradicts the settings.
        LakeError: its ``.config.json`` is damaged or contradicts its names, or its layout cannot be found out.
    """
    config = _read_config(store)
    stated = config.get("networkPassphrase")
    passphrase = stated if isinstance(stated, str) else None
    _check_network(store, expected, passphrase)
    sample = next(_objects(store), None)
    layout = LakeLayout(
        _agreed(store, "ledgers_per_file", expected.ledgers_per_file, config.get("ledgersPerBatch"), sample),
        _agreed(store, "files_per_directory", expected.files_per_directory, config.get("batchesPerPartition"), sample),
        _agreed_extension(store, expected.extension, sample),
    )
    if sample is not None:
        key, name = sample
        if layout.key(name.start) != key:
            raise LakeError(
                f"the lake {store.url} holds {key}, but with {layout.ledgers_per_file} ledgers per file and"
                f" {layout.files_per_directory} files per directory this would be {layout.key(name.start)}:"
                f" {CONFIG_KEY} or source.ledgers_per_file, source.files_per_directory do not fit the lake"
            )
    return Lake(store, layout, passphrase)


def _read_config(store: Store) -> dict[str, object]:
    try:
        data = store.read(CONFIG_KEY, _MAX_CONFIG)
    except ObjectNotFoundError:
        return {}
    except ObjectTooLargeError as error:
        raise LakeError(str(error)) from error
    where = f"{store.url}/{CONFIG_KEY}"
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise LakeError(f"{where} is no JSON: {error}") from error
    if not isinstance(config, dict):
        raise LakeError(f"{where} is no JSON object")
    for name, kind in (("networkPassphrase", str), ("ledgersPerBatch", int), ("batchesPerPartition", int)):
        value = config.get(name)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise LakeError(f"{where}: {name} is {value!r}, expected {kind.__name__}")
        if isinstance(value, int) and not 1 <= value <= 0xFFFFFFFF:
            raise LakeError(f"{where}: {name} is {value}, expected 1 to 4294967295")
    compression = config.get("compression", "zstd")
    if compression != "zstd":
        raise LakeError(f"{where}: compression is {compression!r}, only 'zstd' is known")
    return config


def _check_network(store: Store, expected: LakeOptions, passphrase: str | None) -> None:
    wanted = expected.passphrase or known_passphrase(expected.network)
    if passphrase is None:
        return
    if wanted is not None and passphrase != wanted:
        raise ConfigError(
            f"the lake {store.url} is of the network {passphrase!r} ({network_of(passphrase) or 'not a public one'}),"
            f" but era.network {expected.network!r} means {wanted!r}"
        )
    actual = network_of(passphrase)
    if wanted is None and actual is not None:
        raise ConfigError(
            f"era.network is {expected.network!r}, which is no known network, but the lake {store.url} is of"
            f" {actual!r} ({passphrase!r}): name the era's network {actual!r}"
        )


def _agreed(
    store: Store, name: str, configured: int | None, stated: object, sample: tuple[str, ParsedName] | None
) -> int:
    if isinstance(stated, int):
        if configured is not None and configured != stated:
            raise ConfigError(f"source.{name} is {configured}, but {CONFIG_KEY} of the lake {store.url} says {stated}")
        return stated
    if configured is not None:
        return configured
    if sample is None:
        raise LakeError(
            f"the lake {store.url} has no {CONFIG_KEY} and no object to find its layout from: is it the lake's root?"
            f" Otherwise set source.{name}"
        )
    key, file = sample
    per_file = file.end - file.start + 1
    if name == "ledgers_per_file":
        return per_file
    directory, slash, _ = key.rpartition("/")
    if not slash:
        return 1
    parsed = parse_directory(directory)
    if parsed is None:  # _objects yields nothing else
        raise LakeError(f"{store.url}/{directory} is no directory of a lake")
    return (parsed.end - parsed.start + 1) // per_file


def _agreed_extension(store: Store, configured: str | None, sample: tuple[str, ParsedName] | None) -> str:
    if sample is None:
        return configured or "zst"
    seen = sample[1].extension or "zst"
    if configured is not None and configured != seen:
        raise ConfigError(f"source.extension is {configured!r}, but the lake {store.url} holds {sample[0]}")
    return seen


def _objects(store: Store) -> Iterator[tuple[str, ParsedName]]:
    """Keys and names of the lake's objects, newest first; lazily, a listing for each directory entered."""
    for entry in store.list_children(""):
        if not entry.is_prefix:
            name = parse_object(entry.name)
            if name is not None:
                yield entry.name, name
        elif parse_directory(entry.name) is not None:
            for child in store.list_children(entry.name):
                name = None if child.is_prefix else parse_object(child.name)
                if name is not None:
                    yield join(entry.name, child.name), name


def missing_files(lake: Lake, start: int, end: int, most: int = 20) -> tuple[int, list[str]]:
    """Count the files of the inclusive range that the lake lacks, and name the first `most` of them.

    Costs one listing for each directory of the range, whatever the number of files.
    """
    missing = 0
    named: list[str] = []
    for directory, ledgers in itertools.groupby(lake.file_starts(start, end), lake.layout.directory):
        present = {entry.name for entry in lake.store.list_children(directory.rstrip("/"))}
        for ledger in ledgers:
            key = lake.key(ledger)
            if key.rpartition("/")[2] not in present:
                missing += 1
                if len(named) < most:
                    named.append(key)
    return missing, named
