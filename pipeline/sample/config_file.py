"""A ready configuration for copying a sample lake: eras cut where the ledgers' format changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bronze.errors import ConfigError, ConflictError
from pipeline.sample.schedule import ChainSchedule

#: Partitions that a sample lake is copied into, about.
_PARTITIONS = 10


def era_starts(plan: ChainSchedule, eras: int) -> list[int]:
    """The first ledgers of `eras` eras of a chain, rising.

    Boundaries lie where the version of the close meta changes; when these do not suffice, where the protocol
    changes too.

    Raises:
        ConfigError: the chain has not that many protocols.
    """
    rest = range(plan.first + 1, plan.last + 1)
    protocols = [ledger for ledger in rest if plan.protocol(ledger) != plan.protocol(ledger - 1)]
    formats = [ledger for ledger in protocols if plan.close_version(ledger) != plan.close_version(ledger - 1)]
    others = [ledger for ledger in protocols if ledger not in formats]
    if not 1 <= eras <= len(protocols) + 1:
        raise ConfigError(
            f"{eras} eras are asked for, and a chain of {len(protocols) + 1} protocols has 1 to {len(protocols) + 1}"
        )
    return sorted([plan.first, *(formats + others)[: eras - 1]])


def configuration(plan: ChainSchedule, *, lake: Path, network: str, eras: int, directory: Path) -> dict[str, Any]:
    """The configuration, as its YAML file has it.

    Args:
        plan: of the lake's chain.
        lake: its root.
        network: the name that partitions are filed under.
        eras: how many.
        directory: everything the copier writes goes under it.

    Raises:
        ConfigError: as of `era_starts`.
    """
    starts = era_starts(plan, eras)
    ends = [start - 1 for start in starts[1:]] + [plan.last]
    tables = [
        {
            "era_id": "sample" if eras == 1 else f"p{plan.protocol(start)}",
            "version_label": "v1",
            "network": network,
            "ledger_start": start,
            "ledger_end": end,
            "partition_size": -(-plan.count // _PARTITIONS),
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
    }


def write_configuration(path: Path, content: dict[str, Any]) -> None:
    """Write `content` to `path` as YAML; its parents are made.

    Raises:
        ConflictError: a file with another content lies there.
    """
    text = "# Written by `bronze-copier sample`.\n" + yaml.safe_dump(content, sort_keys=False)
    if path.exists():
        if path.read_text(encoding="utf-8") != text:
            raise ConflictError(f"{path} exists and is another configuration: give another file, or remove it")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
