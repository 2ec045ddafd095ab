"""A configuration that copies a sample lake: its eras begin where the format of the ledgers changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from bronze.errors import ConfigError, ConflictError
from pipeline.sample.schedule import ChainSchedule

#: Approximate number of partitions that a sample lake is copied into.
_PARTITIONS = 10
#: The file of validators that stands beside the configuration.
VALIDATORS_NAME = "validators.cfg"
_HOME_DOMAIN = "sample.example"


def era_starts(schedule: ChainSchedule, eras: int) -> list[int]:
    """The first ledgers of `eras` eras of a chain, ascending.

    Eras begin where the version of the close meta changes; if there are more eras than that, also where the protocol
    changes.

    Raises:
        ConfigError: there are more eras than protocols, or fewer than 1.
    """
    rest = range(schedule.first + 1, schedule.last + 1)
    protocols = [ledger for ledger in rest if schedule.protocol(ledger) != schedule.protocol(ledger - 1)]
    formats = [ledger for ledger in protocols if schedule.close_version(ledger) != schedule.close_version(ledger - 1)]
    others = [ledger for ledger in protocols if ledger not in formats]
    if not 1 <= eras <= len(protocols) + 1:
        raise ConfigError(
            f"--eras is {eras}, but a chain of {len(protocols) + 1} protocols has 1 to {len(protocols) + 1} eras"
        )
    return sorted([schedule.first, *(formats + others)[: eras - 1]])


def validators_file(passphrase: str, validators: Sequence[str]) -> str:
    """A configuration of captive core that names the validators of a sample lake, one organization.

    Args:
        validators: their public keys, ``G...``; at least 3.
    """
    lines = [
        "# Written by `bronze-copier sample`: the nodes that sign its ledgers, as captive core would be told of them.",
        f'NETWORK_PASSPHRASE="{passphrase}"',
        "",
        "[[HOME_DOMAINS]]",
        f'HOME_DOMAIN="{_HOME_DOMAIN}"',
        'QUALITY="HIGH"',
    ]
    for number, key in enumerate(validators, 1):
        lines += ["", "[[VALIDATORS]]", f'NAME="sample{number}"', f'HOME_DOMAIN="{_HOME_DOMAIN}"']
        lines += [f'PUBLIC_KEY="{key}"']
    return "\n".join(lines) + "\n"


def sample_configuration(
    schedule: ChainSchedule, *, lake: Path, network: str, eras: int, directory: Path
) -> dict[str, Any]:
    """The content of the configuration file.

    Args:
        schedule: the schedule of the chain in the lake.
        lake: the root of the lake.
        network: the name of the network, for `era.network`.
        eras: number of eras.
        directory: the directory below which the copier writes everything.

    Raises:
        ConfigError: see `era_starts`.
    """
    starts = era_starts(schedule, eras)
    ends = [start - 1 for start in starts[1:]] + [schedule.last]
    tables = [
        {
            "era_id": "sample" if eras == 1 else f"p{schedule.protocol(start)}",
            "version_label": "v1",
            "network": network,
            "ledger_start": start,
            "ledger_end": end,
            "partition_size": -(-schedule.count // _PARTITIONS),
        }
        for start, end in zip(starts, ends, strict=True)
    ]
    return {
        "copier_id": "bronze-copier-sample",
        **({"era": tables[0]} if eras == 1 else {"eras": tables}),
        "source": {"mode": "local", "local_path": str(lake)},
        "storage": {"backend": "local", "local_dir": str(directory / "data"), "prefix": "bronze/"},
        "pas": {"enabled": True, "backup_dir": str(directory / "pas-backup")},
        "checkpoint": {"enabled": True, "dir": str(directory / "state")},
        "authenticity": {"validators": str(directory / VALIDATORS_NAME)},
    }


def write_configuration(path: Path, content: dict[str, Any], validators: str) -> None:
    """Write `content` to `path` as YAML, and the file of validators beside it; parent directories are created.

    Raises:
        ConflictError: one of the files exists with other content.
    """
    text = "# Written by `bronze-copier sample`.\n" + yaml.safe_dump(content, sort_keys=False)
    files = {path: text, path.parent / VALIDATORS_NAME: validators}
    for file, wanted in files.items():
        if file.exists() and file.read_text(encoding="utf-8") != wanted:
            raise ConflictError(f"{file} exists and is another configuration: give another file, or remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    for file, wanted in files.items():
        if not file.exists():
            file.write_text(wanted, encoding="utf-8")
