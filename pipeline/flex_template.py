"""The launcher of the Dataflow Flex Template: from the template's parameters to ``run --submit``.

Google's launcher starts it with ``--name=value`` for each parameter, and with Beam options of its own. Parameters are
made from the settings: each key that makes sense on Dataflow is one, called ``section_key``, so none is forgotten.
``templates/dataflow/metadata.json`` describes them (`tools/make_template_metadata.py`).
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from bronze.errors import ConfigError
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
from pipeline.exit_status import DONE, OUTSTANDING, USAGE
from pipeline.settings.model import Section, Settings
from pipeline.settings.problem import KeyPath

#: The template's own parameters: what they stand for is more than one key.
PLACES = ("lake", "output", "state", "pas_events")
CONFIG, STREAMING = "config", "commit_while_encoding"
OWN = (*PLACES, CONFIG, STREAMING)
#: Keys that are no parameters, and why.
LEFT_OUT: dict[str, str] = {
    **dict.fromkeys(
        ("source.mode", "source.local_path", "source.gcs_bucket", "source.gcs_prefix", "source.s3_bucket",
         "source.s3_prefix", "source.datastore_type", "source.datastore_path"),
        "stated by the parameter `lake`",
    ),
    **dict.fromkeys(
        ("storage.backend", "storage.local_dir", "storage.gcs_bucket", "storage.s3_bucket"),
        "stated by the parameter `output`",
    ),
    **dict.fromkeys(("checkpoint.enabled", "checkpoint.dir"), "stated by the parameter `state`"),
    "pas.backup_dir": "stated by the parameter `pas_events`",
    **dict.fromkeys(("catalog.postgres_dsn", "pas.endpoint"), "secrets: Dataflow shows parameters"),
    **dict.fromkeys(("source.s3_endpoint", "storage.s3_endpoint"), "of services that need keys of their own"),
    "source.poll_seconds": "of runs that follow a lake",
    **dict.fromkeys(
        ("perf.max_in_flight_partitions", "perf.workers", "perf.wave_partitions", "perf.shared_filesystem"),
        "Dataflow decides",
    ),
    **dict.fromkeys(
        ("logging.format", "logging.progress_seconds", "metrics.enabled", "metrics.address", "metrics.port",
         "metrics.path", "metrics.textfile", "metrics.pushgateway", "metrics.stalled_after_seconds"),
        "of a process that stays",
    ),
    **dict.fromkeys(("authenticity.anchors_file", "authenticity.validators"), "files of one machine"),
}  # fmt: skip
_MAX_CONFIG_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SettingParameter:
    """A parameter that stands for one key of the settings.

    Attributes:
        kind: the key's type, with what checks it.
        default: its default; None or empty text: none.
    """

    name: str
    path: KeyPath
    kind: Any
    default: Any


def setting_parameters() -> Iterator[SettingParameter]:
    """The parameters that stand for keys of the settings, in their order."""
    for name, kind in get_type_hints(Settings, include_extras=True).items():
        if name in Settings.model_fields:
            if isinstance(kind, type) and issubclass(kind, Section):
                yield from _of_section(name, kind)
            elif not _is_list(kind):
                yield SettingParameter(name, (name,), kind, Settings.model_fields[name].default)


def _of_section(section: str, model: type[Section]) -> Iterator[SettingParameter]:
    for key, kind in get_type_hints(model, include_extras=True).items():
        is_section = isinstance(kind, type) and issubclass(kind, Section)
        if key in model.model_fields and f"{section}.{key}" not in LEFT_OUT and not is_section and not _is_list(kind):
            yield SettingParameter(f"{section}_{key}", (section, key), kind, model.model_fields[key].default)


def _is_list(kind: Any) -> bool:
    """Lists, of eras or anchors, are given with the parameter `config`."""
    return get_origin(kind) is tuple or any(get_origin(one) is tuple for one in get_args(kind))


def split_arguments(arguments: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The template's parameters among ``arguments``, and the rest, which is Beam's.

    Raises:
        ConfigError: a parameter has no value.
    """
    names = {*OWN, *(one.name for one in setting_parameters())}
    given: dict[str, str] = {}
    beam_options = []
    for argument in arguments:
        option, equals, value = argument.partition("=")
        name = option.removeprefix("--")
        if not option.startswith("--") or name not in names:
            beam_options.append(argument)
        elif not equals:
            raise ConfigError(f"--{name}: write it --{name}=VALUE")
        elif value:  # the console sends parameters that were left empty
            given[name] = value
    return given, beam_options


def settings_document(given: dict[str, str], config: dict[str, Any] | None = None) -> dict[str, Any]:
    """The settings that the parameters ``given`` state, over those of ``config``.

    Raises:
        ConfigError: a place is not on an object store, or a parameter contradicts `config`.
    """
    document: dict[str, Any] = {
        name: dict(value) if isinstance(value, dict) else value for name, value in (config or {}).items()
    }
    for parameter in setting_parameters():
        if parameter.name in given:
            if parameter.path[0] == "era" and document.get("eras"):
                raise ConfigError(f"{parameter.name}: the file of `config` has several eras; state it there")
            _set(document, {parameter.path: given[parameter.name]})
    for name in PLACES:
        if name in given:
            _set(document, _place(name, given[name]))
    return document


def _place(name: str, url: str) -> dict[KeyPath, str]:
    location = StorageLocation(url)
    if location.scheme == "local":
        raise ConfigError(f"{name} is {url!r}, but must be gs://bucket/prefix or s3://bucket/prefix")
    if name == "state":
        return {("checkpoint", "dir"): url}
    if name == "pas_events":
        return {("pas", "backup_dir"): url}
    is_google = location.scheme == "gs"
    if name == "lake":
        kind = "GCS" if is_google else "S3"
        return {("source", "mode"): "datastore", ("source", "datastore_type"): kind, ("source", "datastore_path"): url}
    backend = "gcs" if is_google else "s3"
    return {("storage", "backend"): backend, ("storage", f"{backend}_bucket"): url}


def _set(document: dict[str, Any], values: dict[KeyPath, str]) -> None:
    for path, value in values.items():
        holder = document
        for part in path[:-1]:
            if not isinstance(holder.get(str(part)), dict):
                holder[str(part)] = {}
            holder = holder[str(part)]
        holder[str(path[-1])] = value


def _read_config(url: str) -> dict[str, Any]:
    """The settings in an object. Raises `ConfigError` when they are no mapping, `StoreError` when it cannot be read."""
    parent, _, name = url.rpartition("/")
    location = StorageLocation(parent)
    if location.scheme == "local" or not name:
        raise ConfigError(f"config is {url!r}, but must be a YAML file, gs://bucket/…/config.yaml")
    try:
        found = yaml.safe_load(open_store(location).read(name, _MAX_CONFIG_BYTES))
    except yaml.YAMLError as error:
        raise ConfigError(f"config {url} is no YAML: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"config {url} is no list of keys and values")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Submit the job that the parameters describe; 0 when it was submitted, or written where Dataflow takes it from."""
    from pipeline.main import main as run_program

    try:
        given, beam_options = split_arguments(sys.argv[1:] if argv is None else list(argv))
        streaming = given.pop(STREAMING, "false").lower()
        if streaming not in ("true", "false"):
            raise ConfigError(f"{STREAMING} is {streaming!r}, but must be true or false")
        config = _read_config(given.pop(CONFIG)) if CONFIG in given else None
        document = settings_document(given, config)
    except ConfigError as error:
        logging.getLogger(__name__).error("%s", error)
        return USAGE
    if streaming == "true":
        beam_options.append("--streaming")
    if not any(option.partition("=")[0] == "--runner" for option in beam_options):
        beam_options.append("--runner=DataflowRunner")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "config.yaml")
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        os.environ.setdefault("LOG_FORMAT", "gcp")
        status = run_program(["run", "--submit", "--config", str(path), "--", *beam_options])
    return DONE if status == OUTSTANDING else status  # the job is submitted: a later run records what is outstanding
