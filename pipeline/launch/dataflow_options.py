"""The Beam options of a run on Dataflow: which are needed, which are refused, and the defaults of the others."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bronze.errors import ConfigError
from pipeline.launch.beam_parser import unknown_to_beam

#: What a job gets that does not say otherwise. docs/dataflow.md explains each.
DEFAULTS = {
    "machine_type": "n2-standard-2",
    "disk_size_gb": "30",
    "max_num_workers": "40",
    "number_of_worker_harness_threads": "2",
}
_REQUIRED = ("project", "region", "temp_location", "sdk_container_image")
#: Other names that Beam takes for the same options.
_ALIASES = {"worker_machine_type": "machine_type", "worker_disk_size_gb": "disk_size_gb"}
#: Options that would run other code than that of the image, or another job than a copy.
_REFUSED = frozenset(
    {
        "save_main_session", "requirements_file", "requirements_cache", "setup_file", "extra_package", "extra_packages",
        "beam_plugin", "beam_plugins", "sdk_location", "prebuild_sdk_container_engine", "environment_type",
        "environment_config", "environment_options", "job_endpoint", "artifact_endpoint", "pickle_library", "update",
        "transform_name_mapping", "dataflow_service_account_key", "view_as", "type_check_additional",
    }
)  # fmt: skip
_COUNTS = ("disk_size_gb", "max_num_workers", "num_workers", "number_of_worker_harness_threads")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9./_:-]*[:@][A-Za-z0-9._:-]+")
_MACHINE_VCPUS = re.compile(r"-(\d{1,3})$")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataflowOptions:
    """How a run uses Dataflow.

    Attributes:
        arguments: for Beam, complete.
        is_streaming: whether partitions are committed while others are encoded.
        partitions_at_once: partitions that all workers can encode at once.
    """

    arguments: tuple[str, ...]
    is_streaming: bool
    partitions_at_once: int


def parse_dataflow_options(arguments: Sequence[str], secrets: Collection[str] = ()) -> DataflowOptions:
    """Read the Beam options of a run on Dataflow.

    Args:
        arguments: as after ``--`` on the command line.
        secrets: what no option may contain: Dataflow shows them in its console.

    Raises:
        ConfigError: one is missing, refused, not known to Beam, or holds a secret.
    """
    given = _split(arguments)
    if held := next((name for name, values in given.items() for one in values if _holds(one, secrets)), None):
        raise ConfigError(
            f"--{held} holds a secret, and Dataflow shows the options of a job: name it with"
            " catalog.postgres_dsn_secret or pas.endpoint_secret"
        )
    if refused := sorted(given.keys() & _REFUSED):
        raise ConfigError(
            f"--{', --'.join(refused)}: the image has all that a worker needs, and nothing is sent along; leave it out"
        )
    last = {_ALIASES.get(name, name): values[-1] for name, values in given.items() if values}
    if missing := [name for name in _REQUIRED if not last.get(name)]:
        raise ConfigError(f"a run on Dataflow needs --{', --'.join(missing)} (docs/dataflow.md)")
    if not _IMAGE.fullmatch(last["sdk_container_image"]):
        raise ConfigError(
            f"--sdk_container_image is {last['sdk_container_image']!r}, but must be an image of this program with its"
            " tag or digest (docs/dataflow.md)"
        )
    for name in ("temp_location", "staging_location"):
        if name in last and not last[name].startswith("gs://"):
            raise ConfigError(f"--{name} is {last[name]!r}, but must be below gs://")
    added = {name: value for name, value in DEFAULTS.items() if name not in last}
    last = added | last
    for name in _COUNTS:
        if name in last and not (last[name].isdecimal() and 1 <= int(last[name]) <= 100_000):
            raise ConfigError(f"--{name} is {last[name]!r}, but must be a whole number from 1 to 100000")
    complete = (
        *(argument for argument in arguments if argument != "--streaming"),
        *(f"--{name}={value}" for name, value in added.items()),
        "--experiments=disable_logging_submission_environment",
    )
    if unknown := unknown_to_beam(complete):
        raise ConfigError(f"Beam does not know {' '.join(unknown)}: leave it out, or write it as Beam does")
    processes = _MACHINE_VCPUS.search(last["machine_type"])
    return DataflowOptions(
        arguments=complete,
        is_streaming="streaming" in given,
        partitions_at_once=int(last["max_num_workers"]) * int(processes[1] if processes else 1),
    )


def _split(arguments: Sequence[str]) -> dict[str, list[str]]:
    """The values of each option; none for a flag."""
    given: dict[str, list[str]] = {}
    name = ""
    for argument in arguments:
        if argument.startswith("--"):
            option, equals, value = argument.partition("=")
            name = option.removeprefix("--")
            values = given.setdefault(name, [])
            if equals:
                values.append(value)
        elif name:
            given[name].append(argument)
        else:
            raise ConfigError(f"{argument!r} is no option: Beam's options begin with --")
    return given


def _holds(value: str, secrets: Collection[str]) -> bool:
    return any(secret in value for secret in secrets if secret)
