"""The Beam options of a run on Flink: which are taken, and what they mean. Everything else is refused."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from bronze.errors import ConfigError
from bronze.job.secrets import DSN_VARIABLE, ENDPOINT_VARIABLE

#: The master that means a cluster within the job server, on this machine.
EMBEDDED = "[local]"
#: Passed on to Flink as they are.
_PASSED_ON = ("max_parallelism", "sdk_worker_parallelism")
_VALUES = frozenset(
    {"runner", "flink_master", "flink_job_server_jar", "job_endpoint", "parallelism", "environment_type"}
    | {"environment_config", *_PASSED_ON}
)
_FLAGS = frozenset({"streaming"})
_ADDRESS = re.compile(r"[A-Za-z0-9._-]+:[0-9]{1,5}")
_WORKER = "bronze-copier-worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlinkOptions:
    """How a run uses Flink.

    Attributes:
        master: ``host:port`` of the cluster's REST service; `EMBEDDED`: a cluster of its own, within the job server.
        jar: Beam's job server for Flink, started for the run; None: `endpoint` is one that runs already.
        endpoint: ``host:port`` of that.
        parallelism: partitions that are encoded at once.
        is_streaming: whether partitions are committed while others are encoded.
        environment_type, environment_config: how Flink starts workers, as Beam writes it.
        passed_on: further options, as they are.
    """

    master: str
    jar: str | None
    endpoint: str | None
    parallelism: int
    is_streaming: bool
    environment_type: str
    environment_config: str
    passed_on: tuple[str, ...] = ()

    @property
    def is_embedded(self) -> bool:
        """Whether the cluster is within the job server."""
        return self.master == EMBEDDED

    @property
    def partitions_at_once(self) -> int:
        """Partitions that all workers can encode at once."""
        return self.parallelism


def parse_flink_options(arguments: Sequence[str], *, workers: int, secrets: Collection[str] = ()) -> FlinkOptions:
    """Read the Beam options of a run on Flink.

    Args:
        arguments: as after ``--`` on the command line.
        workers: the parallelism where none is given.
        secrets: what no option may contain.

    Raises:
        ConfigError: one is not known, is missing, contradicts another, or holds a secret.
    """
    given = _split(arguments)
    master = given.get("flink_master", "")
    if master != EMBEDDED and not _ADDRESS.fullmatch(master):
        raise ConfigError(
            f"--flink_master is {master!r}, but must be host:port of the cluster's REST service, or {EMBEDDED} for a"
            " cluster on this machine that ends with the run"
        )
    jar, endpoint = given.get("flink_job_server_jar"), given.get("job_endpoint")
    if (jar is None) == (endpoint is None):
        raise ConfigError(
            "either --flink_job_server_jar=FILE (Beam's job server, started for this run) or --job_endpoint=host:port"
            " (of one that runs) is needed; docs/flink.md says where to get it"
        )
    if jar is not None and not Path(jar).is_file():
        raise ConfigError(f"--flink_job_server_jar: there is no file {jar!r}")
    if endpoint is not None and not _ADDRESS.fullmatch(endpoint):
        raise ConfigError(f"--job_endpoint is {endpoint!r}, but must be host:port")
    if endpoint is not None and master == EMBEDDED:
        raise ConfigError(
            f"--flink_master={EMBEDDED} needs --flink_job_server_jar: the cluster is within the job server"
        )
    for name in ("parallelism", *_PASSED_ON):
        if name in given and not (given[name].isdecimal() and 1 <= int(given[name]) <= 32_768):
            raise ConfigError(f"--{name} is {given[name]!r}, but must be a whole number from 1 to 32768")
    kind = given.get("environment_type", "PROCESS")
    if kind not in ("PROCESS", "DOCKER", "EXTERNAL"):
        raise ConfigError(f"--environment_type is {kind!r}, but must be PROCESS, DOCKER or EXTERNAL")
    config = given.get("environment_config") or _default_config(kind)
    _check_no_secret(config, secrets)
    return FlinkOptions(
        master=master,
        jar=jar,
        endpoint=endpoint,
        parallelism=int(given.get("parallelism", workers)),
        is_streaming="streaming" in given,
        environment_type=kind,
        environment_config=config,
        passed_on=tuple(f"--{name}={given[name]}" for name in _PASSED_ON if name in given),
    )


def _split(arguments: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        option, equals, value = argument.partition("=")
        name = option.removeprefix("--")
        if not option.startswith("--") or name not in _VALUES | _FLAGS:
            raise ConfigError(
                f"{option}: a run on Flink does not take this option; it takes"
                f" {', '.join(f'--{one}' for one in sorted(_VALUES | _FLAGS))}"
            )
        if name in _FLAGS:
            if equals:
                raise ConfigError(f"--{name} takes no value")
            given[name] = ""
            continue
        given[name] = value if equals else next(rest, "")
    return given


def _default_config(kind: str) -> str:
    if kind != "PROCESS":
        raise ConfigError(f"--environment_type={kind} needs --environment_config")
    beside = Path(sys.executable).with_name(_WORKER)
    command = str(beside) if beside.is_file() else shutil.which(_WORKER)
    if command is None:
        raise ConfigError(
            f"the program {_WORKER} is not installed here: name the boot command of the workers with"
            ' --environment_config=\'{"command": "/path/bronze-copier-worker"}\''
        )
    return json.dumps({"command": command})


def _check_no_secret(config: str, secrets: Collection[str]) -> None:
    if any(one in config for one in (DSN_VARIABLE, ENDPOINT_VARIABLE, *filter(None, secrets))):
        raise ConfigError(
            "--environment_config holds a secret, and Flink shows it in its log and REST service: set"
            f" {DSN_VARIABLE} and {ENDPOINT_VARIABLE} in the environment of the TaskManagers"
        )
