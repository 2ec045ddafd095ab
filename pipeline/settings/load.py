"""Puts the settings together: the environment over the file over the defaults, with all errors listed at once."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bronze.errors import ConfigError
from bronze.redact import MASK, redact, secrets_in
from pipeline.settings.checks import cross_problems
from pipeline.settings.document import Document, KeyPath, key_name, read_file
from pipeline.settings.model import Section, Settings
from pipeline.settings.types import is_dsn

_ERA = "ERA_ID VERSION_LABEL NETWORK LEDGER_START LEDGER_END PARTITION_SIZE ALLOW_OVERWRITE"
_SOURCE = (
    "LOCAL_PATH GCS_BUCKET GCS_PREFIX S3_BUCKET S3_PREFIX S3_ENDPOINT S3_REGION DATASTORE_TYPE DATASTORE_PATH MODE"
)
_STORAGE = "BACKEND LOCAL_DIR GCS_BUCKET S3_BUCKET S3_ENDPOINT S3_REGION PREFIX"

#: Variable of the environment, to the key it stands for.
VARIABLES: dict[str, tuple[str, ...]] = {
    "COPIER_ID": ("copier_id",),
    **{name: ("era", name.lower()) for name in _ERA.split()},
    **{f"SOURCE_{name}": ("source", name.lower()) for name in _SOURCE.split()},
    **{f"STORAGE_{name}": ("storage", name.lower()) for name in _STORAGE.split()},
    "CATALOG_DSN": ("catalog", "postgres_dsn"),
    "CATALOG_NAMESPACE": ("catalog", "namespace"),
    "CATALOG_STRICT": ("catalog", "strict"),
    "PAS_ENABLED": ("pas", "enabled"),
    "PAS_ENDPOINT": ("pas", "endpoint"),
    "PAS_BACKUP_DIR": ("pas", "backup_dir"),
    "PAS_STRICT": ("pas", "strict"),
    "CHECKPOINT_ENABLED": ("checkpoint", "enabled"),
    "CHECKPOINT_DIR": ("checkpoint", "dir"),
    "MAX_IN_FLIGHT_PARTITIONS": ("perf", "max_in_flight_partitions"),
    "LOG_FORMAT": ("logging", "format"),
    "LOG_LEVEL": ("logging", "level"),
    "METRICS_ENABLED": ("metrics", "enabled"),
    "METRICS_ADDRESS": ("metrics", "address"),
    "METRICS_PORT": ("metrics", "port"),
    "BRONZE_PRIMARY_TABLE": ("bronze", "primary_table"),
    "BRONZE_COMPRESSION": ("bronze", "compression"),
}

#: Longest part of a value that an error shows, in characters.
_SHOWN = 120


def load(
    path: str | Path | None = None, environ: Mapping[str, str] | None = None, *, unused: Collection[str] = ()
) -> Settings:
    """Load the settings.

    Args:
        path: the YAML file; None takes the one that CONFIG_FILE names, if any.
        environ: the environment; None is the process's own. An empty variable counts as not set.
        unused: sections that are not read, so that nothing can be wrong with them; they have their defaults.

    Raises:
        ConfigError: the file cannot be read, or something in it or in the environment is wrong. The message
            lists every error, one a line, with the key, its value and what is allowed; secrets are masked.
    """
    environ = os.environ if environ is None else environ
    path = path or environ.get("CONFIG_FILE") or None
    document = read_file(path) if path else Document()
    try:
        return from_document(document, environ, unused=unused)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}" if path else str(error)) from None


def from_document(document: Document, environ: Mapping[str, str], *, unused: Collection[str] = ()) -> Settings:
    """Make the settings of a file that was read already; see `load`."""
    values: dict[str, Any] = {name: deepcopy(value) for name, value in document.values.items() if name not in unused}
    origins = {path: f"line {line}" for path, line in document.lines.items()}
    problems = list(document.problems)
    problems += _overlay(values, environ, origins, unused)
    try:
        settings, broken = Settings.model_validate(values), set[KeyPath]()
    except ValidationError as error:
        settings, broken = _without_broken(values, error)
        problems += _described(error, origins)
    broken |= {(name,) for name in unused}
    # After a syntax error nothing is known of the keys that follow it, so nothing is said of what is missing.
    if document.values or not document.problems:
        for problem in cross_problems(settings, broken):
            problems.append(_at(problem.keys[0], problem.message, origins))
    if problems:
        count = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
        raise ConfigError("\n".join([f"the settings have {count}", *(f"  - {problem}" for problem in problems)]))
    return settings


def _overlay(
    values: dict[str, Any], environ: Mapping[str, str], origins: dict[KeyPath, str], unused: Collection[str]
) -> Iterator[str]:
    """Put what the environment says over `values`; yield what cannot be put there."""
    for variable, path in VARIABLES.items():
        value = environ.get(variable)
        if not value or path[0] in unused:
            continue
        if path[0] == "era" and values.get("eras"):
            yield f"{variable} is set in the environment, but the file has `eras`: unset it, or configure one `era`"
            continue
        holder: Any = values
        if len(path) == 2:
            if values.get(path[0]) is None:
                values[path[0]] = {}
            holder = values[path[0]]
        if not isinstance(holder, dict):
            continue  # no section: reported as that
        if variable == "METRICS_ADDRESS":
            holder.pop("port", None)  # the file's; METRICS_PORT comes after this
        holder[path[-1]] = value
        origins[path] = variable


def _without_broken(values: dict[str, Any], error: ValidationError) -> tuple[Settings, set[KeyPath]]:
    """The settings where what `error` reports has its default, and the keys that it reports."""
    broken: set[KeyPath] = set()
    for detail in error.errors():
        path = tuple(detail["loc"])
        broken.add(path)
        holder: Any = values
        for part in path[:-1]:
            holder = holder[part]
        if isinstance(holder, list):
            holder[int(path[-1])] = {} if path[0] == "eras" else "broken"
        else:
            holder.pop(path[-1], None)
    return Settings.model_validate(values), broken


def _described(error: ValidationError, origins: Mapping[KeyPath, str]) -> Iterator[str]:
    for detail in error.errors():
        path = tuple(detail["loc"])
        kind = detail["type"]
        if kind == "extra_forbidden":
            yield _at(path, f"is not a key{_suggestion(path)}", origins)
        elif kind == "value_error":
            yield _at(path, f"{_shown(path, detail['input'])} {detail['ctx']['error']}", origins)
        elif kind == "tuple_type":
            yield _at(path, "must be a list (`[a, b]`, or one `- a` a line)", origins)
        else:
            yield _at(path, "must be a section of keys and values", origins)


def _at(path: KeyPath, message: str, origins: Mapping[KeyPath, str]) -> str:
    """`message` about the key at `path`, with where that was given."""
    origin = origins.get(path)
    return f"{key_name(path)}{f' ({origin})' if origin else ''}: {message}"


def _shown(path: KeyPath, value: object) -> str:
    if isinstance(value, (dict, list)):
        return "a section or list"
    text = str(value)
    if path == ("catalog", "postgres_dsn") and not is_dsn(text):
        text = MASK  # nothing tells which part of it is the password
    text = redact(text, secrets_in(text))
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _suggestion(path: KeyPath) -> str:
    """The nearest known key, in the same section or with the same name in another."""
    sections = {name: field.annotation for name, field in Settings.model_fields.items()}
    keys = {
        name: list(kind.model_fields)
        for name, kind in sections.items()
        if isinstance(kind, type) and issubclass(kind, Section)
    }
    keys["eras"] = keys["era"]
    word = str(path[-1])
    home = path[:-1]
    beside = keys[str(home[0])] if home else list(sections)
    if near := get_close_matches(word.lower(), beside, 1):
        return f": did you mean {key_name(home + (near[0],))}?"
    elsewhere = [f"{section}.{word}" for section, names in keys.items() if word in names and section != "eras"]
    if elsewhere:
        return f": did you mean {' or '.join(elsewhere)}?"
    return f": known are {', '.join(beside)}"


def known_keys() -> Iterator[str]:
    """Every key, such as ``era.era_id``; those of an element of ``eras`` are those of ``era``."""
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from (f"{name}.{key}" for key in kind.model_fields)
        else:
            yield name
