"""Open a lake: settle its layout and network from ``.config.json``, the settings and its object names.

Opening costs one small object and a few listings. Where two of these sources state the same property, they have
to agree; ``.config.json`` is optional, as older lakes have none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from bronze.errors import ConfigError, LakeError, ObjectNotFoundError
from bronze.lake.lake import Lake, list_objects
from bronze.lake.layout import LakeLayout, ParsedName, parse_directory, parse_object
from bronze.stellar import MAX_LEDGER, known_passphrase, network_of
from bronze.storage.json_object import read_json_object
from bronze.storage.store import Store

CONFIG_KEY = ".config.json"
#: A lake's configuration is a few lines; more than this is something else.
_MAX_CONFIG_BYTES = 64 * 1024
#: Names that one request to an object store lists.
_PAGE = 1000
_VERSION = re.compile(r"1(\.[0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeOptions:
    """Configured lake properties; None means detect.

    Attributes:
        network: name of the network that the lake has to belong to; None: it may belong to any.
        passphrase: of that network; None: the one that is known for the name, if any.
        ledgers_per_file, files_per_directory: at least 1.
        extension: ``zst`` or ``zstd``.
    """

    network: str | None
    passphrase: str | None = None
    ledgers_per_file: int | None = None
    files_per_directory: int | None = None
    extension: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _LakeConfig:
    """What ``.config.json`` states; None where it states nothing."""

    passphrase: str | None = None
    ledgers_per_file: int | None = None
    files_per_directory: int | None = None


@dataclass(frozen=True, slots=True)
class _Sample:
    """An object of the lake, from whose name the layout is detected."""

    key: str
    name: ParsedName


def open_lake(store: Store, options: LakeOptions) -> Lake:
    """Open the lake at the root of `store`.

    Raises:
        ConfigError: the lake belongs to another network, contradicts `options`, or is a directory inside a lake.
        LakeError: ``.config.json`` is damaged or contradicts the object names, or the layout cannot be detected.
    """
    if parse_directory(store.url.rstrip("/").rpartition("/")[2]) is not None:
        raise ConfigError(f"{store.url} is named as a directory inside a lake: give the lake's root")
    config = _read_config(store)
    _check_network(store, options, config.passphrase)
    sample = _find_sample(store)

    def resolve(name: str, configured: int | None, stated: int | None, detect: Callable[[_Sample], int]) -> int:
        return _resolve(store, name, configured, stated, sample, detect)

    layout = LakeLayout(
        resolve("ledgers_per_file", options.ledgers_per_file, config.ledgers_per_file, _ledgers_per_file),
        resolve("files_per_directory", options.files_per_directory, config.files_per_directory, _files_per_directory),
        _resolve_extension(store, options.extension, sample),
        is_mixed=sample is not None and store.is_remote and _holds_both_extensions(store, sample),
    )
    if sample is not None and layout.key(sample.name.start) != sample.key:
        raise LakeError(
            f"the lake {store.url} holds {sample.key}, but with {layout.ledgers_per_file} ledgers per file and"
            f" {layout.files_per_directory} files per directory this would be {layout.key(sample.name.start)}:"
            f" {CONFIG_KEY} or source.ledgers_per_file, source.files_per_directory do not match the lake"
        )
    return Lake(store, layout, config.passphrase)


def _find_sample(store: Store) -> _Sample | None:
    """The newest object whose name and directory are not cut off at the last ledger there can be, else the newest."""
    newest = None
    for key, name in list_objects(store):
        directory = parse_directory(key.rpartition("/")[0])
        if MAX_LEDGER not in (name.end, directory.end if directory else 0):
            return _Sample(key, name)
        newest = newest or _Sample(key, name)
    return newest


def _read_config(store: Store) -> _LakeConfig:
    try:
        return read_json_object(
            store, CONFIG_KEY, _MAX_CONFIG_BYTES, _parse_config, kind="lake configuration", error=LakeError
        )
    except ObjectNotFoundError:
        return _LakeConfig()


def _parse_config(document: dict[str, Any]) -> _LakeConfig:
    version = document.get("version")
    if version is not None and not _VERSION.fullmatch(str(version)):
        raise ValueError(f"version is {version!r}, this program reads 1.x: a newer bronze-copier may read it")
    compression = document.get("compression")
    if compression not in (None, "zstd", "zst"):
        raise ValueError(f"compression is {compression!r}, only 'zstd' is supported")
    passphrase = document.get("networkPassphrase")
    if passphrase is not None and not isinstance(passphrase, str):
        raise TypeError(f"networkPassphrase is {passphrase!r}, expected str")
    return _LakeConfig(
        passphrase=passphrase,
        ledgers_per_file=_count(document, "ledgersPerBatch"),
        files_per_directory=_count(document, "batchesPerPartition"),
    )


def _count(document: dict[str, Any], name: str) -> int | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, expected int")
    if not 1 <= value <= MAX_LEDGER:
        raise ValueError(f"{name} is {value}, expected 1 to {MAX_LEDGER}")
    return value


def _check_network(store: Store, options: LakeOptions, passphrase: str | None) -> None:
    if passphrase is None or options.network is None:
        return
    expected = options.passphrase or known_passphrase(options.network)
    actual = network_of(passphrase)
    if expected is not None and passphrase != expected:
        raise ConfigError(
            f"the lake {store.url} belongs to the network {passphrase!r} ({actual or 'not a public one'}),"
            + (
                f" but source.network_passphrase is {expected!r}"
                if options.passphrase
                else f" but era.network {options.network!r} means {expected!r}"
            )
        )
    if expected is None and actual is not None:
        raise ConfigError(
            f"era.network is {options.network!r}, which is not a known network, but the lake {store.url} belongs to"
            f" {actual!r} ({passphrase!r}): set era.network to {actual!r}"
        )


def _resolve(
    store: Store,
    name: str,
    configured: int | None,
    stated: int | None,
    sample: _Sample | None,
    detect: Callable[[_Sample], int],
) -> int:
    """One number of the layout: as ``.config.json`` states it, else as configured, else detected from `sample`."""
    if stated is not None:
        if configured is not None and configured != stated:
            raise ConfigError(f"source.{name} is {configured}, but {CONFIG_KEY} of the lake {store.url} says {stated}")
        return stated
    if configured is not None:
        return configured
    if sample is None:
        raise LakeError(
            f"the lake {store.url} has no {CONFIG_KEY} and no object to detect its layout from: is it the lake's root?"
            f" Otherwise set source.{name}"
        )
    return detect(sample)


def _ledgers_per_file(sample: _Sample) -> int:
    return sample.name.end - sample.name.start + 1


def _files_per_directory(sample: _Sample) -> int:
    directory = parse_directory(sample.key.rpartition("/")[0])
    if directory is None:
        return 1
    # A directory smaller than its file makes no layout: 1 does not give the sample's key, which is then an error.
    return max(1, (directory.end - directory.start + 1) // _ledgers_per_file(sample))


def _resolve_extension(store: Store, configured: str | None, sample: _Sample | None) -> str:
    if sample is None:
        return configured or "zst"
    seen = sample.name.extension or "zst"
    if configured is not None and configured != seen:
        raise ConfigError(
            f"source.extension is {configured!r}, but the lake {store.url} holds {sample.key}: leave it out, objects"
            " of both extensions are read"
        )
    return seen


def _holds_both_extensions(store: Store, sample: _Sample) -> bool:
    """Whether the first names in the sample's directory, as many as one request lists, have both extensions.

    Disks are not asked: there it costs next to nothing to look for both names of each object.
    """
    names = (parse_object(child.name) for child in islice(store.list_children(sample.key.rpartition("/")[0]), _PAGE))
    return len({name.extension for name in names if name is not None}) > 1
