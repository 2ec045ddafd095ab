"""The checkpoint of a chain: how far it is committed.

``checkpoint.json`` with one era configured, ``checkpoint_{network}_{era_id}_{version_label}.json`` with
several; either is accepted on reading when its content matches. Operators edit it by hand to restart
from a ledger: what it says is obeyed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field

from bronze.checksums import is_checksum
from bronze.errors import ObjectNotFoundError, ObjectTooLargeError, StateError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.stellar import MAX_LEDGER
from bronze.storage.json_object import load_json_object, unusable_object_error
from bronze.storage.store import Store
from bronze.timestamps import rfc3339

SINGLE = "checkpoint.json"
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a chain is committed.

    Attributes:
        last_ledger: last committed ledger, inclusive.
        partition: the last committed partition; None when an operator left it out.
        checksum: of the file of `partition`; empty when none is stated.
    """

    last_ledger: int
    partition: Partition | None
    checksum: str = field(default="", compare=False)


class CheckpointFile:
    """The checkpoint of `era` in `store`.

    Args:
        single: whether one era is configured in all, which decides the file's name.
    """

    def __init__(self, store: Store, era: Era, copier_id: str, *, single: bool) -> None:
        self._store = store
        self._era = era
        self._copier_id = copier_id
        self._own = SINGLE if single else f"checkpoint_{era.file_prefix}.json"
        self._other = f"checkpoint_{era.file_prefix}.json" if single else SINGLE

    @property
    def store(self) -> Store:
        """The store that the file is in."""
        return self._store

    def content(self) -> bytes:
        """The bytes of what there is under either name; empty when there is none, or it is too large to be one."""
        found = b""
        for name in self.names:
            with suppress(ObjectNotFoundError, ObjectTooLargeError):
                found += self._store.read(name, _MAX_BYTES)
        return found

    def load(self) -> Checkpoint | None:
        """The checkpoint, or None when there is none yet.

        Raises:
            StateError: it is corrupt, or of another chain.
        """
        found = self._read(self._own)
        return self._read_other() if found is None else found

    @property
    def names(self) -> tuple[str, str]:
        """The names that the checkpoint may have, its own first."""
        return self._own, self._other

    def read(self, name: str) -> Checkpoint | None:
        """The checkpoint in the file `name` alone. Raises `StateError` as `load` does."""
        return self._read(name, foreign_is_none=name == SINGLE != self._own)

    def save(
        self, partition: Partition, checksum: str, allowed: Callable[[Checkpoint | None], bool] = lambda _: True
    ) -> None:
        """Replace the checkpoint: everything up to the end of `partition` is committed.

        Args:
            allowed: whether it may be replaced, by what it says now; no other copier comes in between.
        """
        document = {
            "copier_id": self._copier_id,
            "network": self._era.network,
            "era_id": self._era.era_id,
            "version_label": self._era.version_label,
            "last_committed_ledger": partition.end,
            "last_committed_partition": {"start": partition.start, "end": partition.end, "checksum": checksum},
            "updated_at": rfc3339(),
        }

        def change(data: bytes | None) -> bytes | None:
            # Under its other name the checkpoint stays where it is, and counts until this one is there.
            now = self._parse(self._own, data) if data is not None else self._read_other()
            return json.dumps(document, indent=2, ensure_ascii=False).encode() if allowed(now) else None

        self._store.update(self._own, change)

    def _read_other(self) -> Checkpoint | None:
        return self._read(self._other, foreign_is_none=self._other == SINGLE)

    def _read(self, name: str, *, foreign_is_none: bool = False) -> Checkpoint | None:
        try:
            with self._unusable(name):
                data = self._store.read(name, _MAX_BYTES)
        except ObjectNotFoundError:
            return None
        return self._parse(name, data, foreign_is_none=foreign_is_none)

    def _parse(self, name: str, data: bytes, *, foreign_is_none: bool = False) -> Checkpoint | None:
        with self._unusable(name):
            document = load_json_object(data, _MAX_BYTES)
            chain = "/".join(str(document[key]) for key in ("network", "era_id", "version_label"))
            last_ledger = _ledger(document["last_committed_ledger"])
            stated = document.get("last_committed_partition") or {}
            partition = Partition(_ledger(stated["start"]), _ledger(stated["end"])) if stated else None
            checksum = str(stated.get("checksum", ""))
        if chain == self._era.chain:
            return Checkpoint(last_ledger, partition, checksum if is_checksum(checksum) else "")
        if foreign_is_none:
            return None
        raise StateError(
            f"checkpoint {self._store.url}/{name} is of the chain {chain}, expected {self._era.chain}. Name the right"
            " checkpoint.dir, or run `bronze-copier repair`, which sets the file aside and creates another"
        )

    def _unusable(self, name: str) -> AbstractContextManager[None]:
        """Report whatever shows that the file `name` is damaged as one error."""
        remedy = "Restore it, or run `bronze-copier repair`, which rebuilds it from the event files"
        return unusable_object_error(f"checkpoint {self._store.url}/{name}", remedy=remedy)


def _ledger(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_LEDGER:
        raise ValueError(f"{value!r} is not a ledger number")
    return value
