"""The checkpoint of a chain: how far it is committed.

``checkpoint.json`` with one era configured, ``checkpoint_{network}_{era_id}_{version_label}.json`` with several, and
where ``checkpoint.json`` is another chain's; either is accepted on reading when its content matches. Operators edit it
by hand to restart from a ledger: what it says is obeyed. It also names the end of the chain of events, so that event
files that are gone are told from an audit stream that was only just enabled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace

from bronze.checksums import is_checksum
from bronze.commit.chain_end import ChainEnd, merged_ranges
from bronze.errors import ObjectNotFoundError, ObjectTooLargeError, StateError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.stellar import checked_ledger
from bronze.storage.json_object import load_json_object, unusable_object_error
from bronze.storage.store import Store
from bronze.timestamps import rfc3339

SINGLE = "checkpoint.json"
_MAX_BYTES = 64 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a chain is committed.

    Attributes:
        last_ledger: last committed ledger, inclusive.
        partition: the last committed partition; None when an operator left it out.
        checksum: of the file of `partition`; empty when none is stated.
        chain: the end of the chain of events; None when it has none, and in files of older versions.
        updated_at: when the file was written, RFC 3339; empty when it does not say.
        name: of the file that says so.
    """

    last_ledger: int
    partition: Partition | None
    checksum: str = field(default="", compare=False)
    chain: ChainEnd | None = field(default=None, compare=False)
    updated_at: str = field(default="", compare=False)
    name: str = field(default="", compare=False)

    @property
    def is_edited(self) -> bool:
        """Whether an operator has set it: what a copier writes names the partition that ends with the last ledger."""
        return self.partition is None or self.partition.end != self.last_ledger


class CheckpointFile:
    """The checkpoint of `era` in `store`.

    Args:
        single: whether one era is configured in all, which decides the file's name: ``checkpoint.json``, unless that is
            another chain's (of an older version label, say), which stays as it is.
    """

    def __init__(self, store: Store, era: Era, copier_id: str, *, single: bool) -> None:
        self._store = store
        self._era = era
        self._copier_id = copier_id
        long = f"checkpoint_{era.file_prefix}.json"
        self._names = (SINGLE, long) if single else (long, SINGLE)

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
            StateError: it is corrupt, or a file with the name of this chain is of another one.
        """
        own, other = self._names
        found = self.read(own)
        return self.read(other) if found is None else found

    @property
    def names(self) -> tuple[str, str]:
        """The names that the checkpoint may have, its own first."""
        return self._names

    def read(self, name: str) -> Checkpoint | None:
        """The checkpoint in the file `name` alone, None when there is none. Raises `StateError` as `load` does."""
        try:
            with self._unusable(name):
                data = self._store.read(name, _MAX_BYTES)
        except ObjectNotFoundError:
            return None
        return self._parse(name, data)

    def save(
        self,
        partition: Partition,
        checksum: str,
        allowed: Callable[[Checkpoint | None], bool] = lambda _: True,
        *,
        chain: ChainEnd | None = None,
        expected: Collection[str] | None = None,
    ) -> None:
        """Replace the checkpoint: everything up to the end of `partition` is committed. What it says already stays.

        Args:
            allowed: whether it may be replaced, by what it says now; no other copier comes in between.
            chain: the end of the chain of events; None: without an audit stream, or not known: then the head that it
                states now stays.
            expected: the heads that it may state now; with any other one another copier has come further than
                `chain`, and what it knows stays. None: any.
        """

        def change(now: Checkpoint | None) -> bytes | None:
            if not allowed(now):
                return None
            known = now.chain if now else None
            end = chain or (known and replace(known, files=""))
            if now is not None and known is not None and expected is not None and known.head not in expected:
                if now.last_ledger >= partition.end:
                    return None
                end = known
            is_said = (now.last_ledger, now.partition, now.checksum, known) if now else None
            if is_said == (partition.end, partition, checksum, end):
                return None
            return self._document(partition.end, partition, checksum, end)

        self._update(change)

    def save_chain(self, chain: ChainEnd | None, expected: Collection[str]) -> None:
        """Replace what the checkpoint says of the end of the chain of events; all else in it stays.

        Args:
            chain: None: nothing is to be known of it.
            expected: the heads that it may state now; one that states none is replaced too, one that is gone is not.
        """

        def change(now: Checkpoint | None) -> bytes | None:
            if now is None or (now.chain is not None and now.chain.head not in expected):
                return None
            return self._document(now.last_ledger, now.partition, now.checksum, chain)

        self._update(change)

    def _update(self, change: Callable[[Checkpoint | None], bytes | None]) -> None:
        """Replace the file by what `change` makes of the checkpoint; None: it stays. No other copier comes between."""
        own, other = self._names
        if not self._update_file(own, other, change):
            self._update_file(other, own, change)

    def _update_file(self, name: str, other: str, change: Callable[[Checkpoint | None], bytes | None]) -> bool:
        """Whether the file `name` may be this chain's: False when it is another's ``checkpoint.json``, which stays."""
        is_own = True

        def changed(data: bytes | None) -> bytes | None:
            nonlocal is_own
            # Under its other name the checkpoint stays where it is, and counts until this one is there.
            now = self.read(other) if data is None else self._parse(name, data)
            is_own = data is None or now is not None
            return change(now) if is_own else None

        self._store.update(name, changed)
        return is_own

    def _document(self, last_ledger: int, partition: Partition | None, checksum: str, chain: ChainEnd | None) -> bytes:
        document: dict[str, object] = {
            "copier_id": self._copier_id,
            "network": self._era.network,
            "era_id": self._era.era_id,
            "version_label": self._era.version_label,
            "last_committed_ledger": last_ledger,
        }
        if partition is not None:
            stated = {"start": partition.start, "end": partition.end, "checksum": checksum}
            document["last_committed_partition"] = stated
        if chain is not None:
            document["chain_head"] = chain.head
            if chain.events is not None:
                document["chain_events"] = chain.events
            if chain.files:
                document["chain_files"] = chain.files
            if chain.ranges is not None:
                document["chain_ranges"] = [list(one) for one in chain.ranges]
        document["updated_at"] = rfc3339()
        return json.dumps(document, indent=2, ensure_ascii=False).encode()

    def _parse(self, name: str, data: bytes) -> Checkpoint | None:
        """The checkpoint that the file states; None when it is another chain's and may be, by its name."""
        with self._unusable(name):
            document = load_json_object(data, _MAX_BYTES)
            chain = "/".join(str(document[key]) for key in ("network", "era_id", "version_label"))
            last_ledger = checked_ledger(document["last_committed_ledger"])
            stated = document.get("last_committed_partition") or {}
            partition = Partition(checked_ledger(stated["start"]), checked_ledger(stated["end"])) if stated else None
            checksum = str(stated.get("checksum", ""))
            end = _chain_end(document)
        if chain == self._era.chain:
            checksum = checksum if is_checksum(checksum) else ""
            return Checkpoint(last_ledger, partition, checksum, end, str(document.get("updated_at", "")), name)
        if name == SINGLE:
            return None
        raise StateError(
            f"checkpoint {self._store.url}/{name} is of the chain {chain}, expected {self._era.chain}. Name the right"
            " checkpoint.dir, or run `bronze-copier repair`, which sets the file aside and creates another"
        )

    def _unusable(self, name: str) -> AbstractContextManager[None]:
        """Report whatever shows that the file `name` is damaged as one error."""
        remedy = "Restore it, or run `bronze-copier repair`, which rebuilds it from the event files"
        return unusable_object_error(f"checkpoint {self._store.url}/{name}", remedy=remedy)


def _chain_end(document: dict[str, object]) -> ChainEnd | None:
    head, events, files = (document.get(key) for key in ("chain_head", "chain_events", "chain_files"))
    if head is None:
        return None
    if not isinstance(head, str) or not is_checksum(head):
        raise ValueError(f"chain_head is {head!r}, expected sha256: and 64 hex digits")
    if events is not None and (not isinstance(events, int) or isinstance(events, bool) or events < 1):
        raise ValueError(f"chain_events is {events!r}, expected a number of events")
    if files is not None and (not isinstance(files, str) or not _DIGEST.fullmatch(files)):
        raise ValueError(f"chain_files is {files!r}, expected 64 hex digits")
    return ChainEnd(head, events, files or "", _ranges(document.get("chain_ranges")))


def _ranges(stated: object) -> tuple[tuple[int, int], ...] | None:
    if stated is None:
        return None
    if not isinstance(stated, list) or not all(isinstance(one, list) and len(one) == 2 for one in stated):
        raise ValueError("chain_ranges is not a list of first and last ledgers")
    return merged_ranges((checked_ledger(start), checked_ledger(end)) for start, end in stated)
