"""Load the settings: the environment overrides the file, the file the defaults; all problems are reported at once."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bronze.errors import ConfigError
from bronze.redact import MASK, redact, secrets_in
from pipeline.settings.checks import cross_problems
from pipeline.settings.document import Document, read_file
from pipeline.settings.model import IDENTITY_KEYS, Section, Settings
from pipeline.settings.problem import KeyPath, Problem, key_name
from pipeline.settings.types import EXAMPLE_ANCHOR, EXAMPLE_ARCHIVE, is_dsn

_ERA = "ERA_ID VERSION_LABEL NETWORK LEDGER_START LEDGER_END PARTITION_SIZE ALLOW_OVERWRITE"
_SOURCE = (
    "LOCAL_PATH GCS_BUCKET GCS_PREFIX S3_BUCKET S3_PREFIX S3_ENDPOINT S3_REGION DATASTORE_TYPE DATASTORE_PATH MODE"
)
_STORAGE = "BACKEND LOCAL_DIR GCS_BUCKET S3_BUCKET S3_ENDPOINT S3_REGION PREFIX"

#: Environment variable, to the key that it sets.
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
    "AUTHENTICITY_SIGNATURES": ("authenticity", "signatures"),
    "AUTHENTICITY_VALIDATORS": ("authenticity", "validators"),
    "AUTHENTICITY_ATTESTATION": ("authenticity", "attestation"),
    "AUTHENTICITY_EVENTS": ("authenticity", "events"),
    "BRONZE_PRIMARY_TABLE": ("bronze", "primary_table"),
    "BRONZE_COMPRESSION": ("bronze", "compression"),
}

#: How the port variables begin that Kubernetes sets for each Service: for one called ``metrics`` it is METRICS_PORT.
_KUBERNETES_PORT = ("tcp://", "udp://", "sctp://")

#: Longest part of a value that a message quotes, in characters.
_MAX_QUOTED = 120


def load(
    path: str | Path | None = None, environ: Mapping[str, str] | None = None, *, unused: Collection[str] = ()
) -> Settings:
    """Load the settings.

    Args:
        path: the YAML file; None: the one that the variable CONFIG_FILE names, if any.
        environ: the environment; None: that of the process. An empty variable counts as not set, but for those of
            an era's identity: there it is an error.
        unused: sections that are neither read nor checked; they have their defaults.

    Raises:
        ConfigError: the file cannot be read, or it or the environment is wrong. The message lists every problem, one a
            line, with the key, its value and what is allowed; secrets are masked.
    """
    return load_with_origins(path, environ, unused=unused)[0]


def load_with_origins(
    path: str | Path | None = None, environ: Mapping[str, str] | None = None, *, unused: Collection[str] = ()
) -> tuple[Settings, dict[KeyPath, str]]:
    """The settings as `load` gives them, and for keys that were given where: ``line 7``, or the name of a variable."""
    environ = os.environ if environ is None else environ
    path = path or environ.get("CONFIG_FILE") or None
    document = read_file(path) if path else Document()
    try:
        return _resolve(document, environ, unused)
    except ConfigError as error:
        where = path or "no file is named (--config FILE or CONFIG_FILE; `bronze-copier init` writes one)"
        raise ConfigError(f"{where}: {error}") from None


def log_format(path: str | Path | None = None, environ: Mapping[str, str] | None = None) -> str:
    """The format of the log that file and environment name, also where other settings are wrong; ``text`` without one.

    For errors that keep `load` from giving settings.
    """
    environ = os.environ if environ is None else environ
    path = path or environ.get("CONFIG_FILE") or None
    section: Any = None
    with suppress(ConfigError):
        section = read_file(path).values.get("logging") if path else None
    stated = environ.get("LOG_FORMAT") or (section.get("format") if isinstance(section, dict) else None)
    try:
        return Settings.model_validate({"logging": {"format": stated}}).logging.format
    except ValidationError:
        return "text"


def from_document(document: Document, environ: Mapping[str, str], *, unused: Collection[str] = ()) -> Settings:
    """Make the settings from a document that was read already; see `load`."""
    return _resolve(document, environ, unused)[0]


def _resolve(
    document: Document, environ: Mapping[str, str], unused: Collection[str]
) -> tuple[Settings, dict[KeyPath, str]]:
    values: dict[str, Any] = {name: deepcopy(value) for name, value in document.values.items() if name not in unused}
    origins = {key: f"line {line}" for key, line in document.lines.items()}
    problems = [problem for problem in document.problems if not (problem.key and problem.key[0] in unused)]
    problems += _apply_environment(values, environ, origins, unused)
    try:
        settings, broken = Settings.model_validate(values), set[KeyPath]()
    except ValidationError as error:
        settings, broken = _without_broken(values, error)
        problems += _validation_problems(error)
    broken |= {(name,) for name in unused}
    # After a syntax error the keys that follow it are unknown, so that none of them can be called missing.
    if document.values or not document.problems:
        problems += cross_problems(settings, broken)
    if problems:
        count = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
        lines = (f"  - {replace(one, origin=one.origin or origins.get(one.key, ''))}" for one in problems)
        raise ConfigError("\n".join([f"the settings have {count}", *lines]))
    return settings, origins


def _apply_environment(
    values: dict[str, Any], environ: Mapping[str, str], origins: dict[KeyPath, str], unused: Collection[str]
) -> Iterator[Problem]:
    """Override `values` with the variables of the environment; yield the problems of those that cannot be used."""
    for variable, path in VARIABLES.items():
        value = environ.get(variable)
        if variable == "METRICS_PORT" and value and value.startswith(_KUBERNETES_PORT):
            continue
        has_eras = path[0] == "era" and bool(values.get("eras"))
        names_chain = path[0] == "era" and path[-1] in IDENTITY_KEYS and not has_eras
        if value is None or path[0] in unused or not (value or names_chain):
            continue
        if has_eras:
            message = "is set in the environment, but the file has `eras`: unset it, or configure one `era`"
            yield Problem(("era", *path[1:]), message, origin=variable)
            continue
        holder: Any = values
        if len(path) == 2:
            if values.get(path[0]) is None:
                values[path[0]] = {}
            holder = values[path[0]]
        if not isinstance(holder, dict):
            continue  # not a section: reported by the validation
        if variable == "METRICS_ADDRESS":
            holder.pop("port", None)  # that of the file; METRICS_PORT is applied after this
        holder[path[-1]] = value
        origins[path] = variable


def _without_broken(values: dict[str, Any], error: ValidationError) -> tuple[Settings, set[KeyPath]]:
    """The settings with the default for each key that `error` reports, and these keys."""
    broken: set[KeyPath] = set()
    for detail in error.errors():
        path = tuple(detail["loc"])
        broken.add(path)
        holder: Any = values
        for part in path[:-1]:
            holder = holder[part]
        if isinstance(holder, list):
            valid = {"eras": {}, "anchors": EXAMPLE_ANCHOR, "archives": EXAMPLE_ARCHIVE}
            holder[int(path[-1])] = valid.get(str(path[-2]), "broken")
        else:
            holder.pop(path[-1], None)
    return Settings.model_validate(values), broken


def _validation_problems(error: ValidationError) -> Iterator[Problem]:
    for detail in error.errors():
        key = tuple(detail["loc"])
        kind = detail["type"]
        if kind == "extra_forbidden":
            yield Problem(key, f"is not a key{_suggestion(key)}")
        elif kind == "value_error":
            yield Problem(key, f"{_quoted(key, detail['input'])} {detail['ctx']['error']}")
        elif kind == "tuple_type":
            yield Problem(key, "must be a list (`[a, b]`, or one `- a` a line)")
        else:
            yield Problem(key, "must be a section of keys and values")


def _quoted(key: KeyPath, value: object) -> str:
    if isinstance(value, (dict, list)):
        return "a section or list"
    text = str(value)
    if key == ("catalog", "postgres_dsn") and not is_dsn(text):
        text = MASK  # it is not known which part of it is the password
    text = redact(text, secrets_in(text))
    return repr(text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…")


def _suggestion(key: KeyPath) -> str:
    """The nearest known key of the section, or the key of this name in another section."""
    sections = {name: field.annotation for name, field in Settings.model_fields.items()}
    keys = {
        name: list(kind.model_fields)
        for name, kind in sections.items()
        if isinstance(kind, type) and issubclass(kind, Section)
    }
    keys["eras"] = keys["era"]
    word = str(key[-1])
    section = key[:-1]
    known = keys[str(section[0])] if section else list(sections)
    if near := get_close_matches(word.lower(), known, 1):
        return f": did you mean {key_name((*section, near[0]))}?"
    elsewhere = [f"{name}.{word}" for name, names in keys.items() if word in names and name != "eras"]
    if elsewhere:
        return f": did you mean {' or '.join(elsewhere)}?"
    return f": known are {', '.join(known)}"
