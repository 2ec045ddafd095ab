"""A small file that keeps one event hash for each chain: the chain heads, and the delivery record."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from bronze.checksums import is_checksum
from bronze.errors import ObjectNotFoundError
from bronze.storage.json_object import load_json_object, read_json_object, unusable_object_error
from bronze.storage.store import Store

_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainHashFile:
    """The file `name` at the root of `store`: ``{"network/era/version": "sha256:…"}``.

    Attributes:
        kind: the file in words, for errors.
        entry: one of its hashes in words, for errors.
        remedy: what to do when it is damaged, a sentence without its full stop.
    """

    store: Store
    name: str
    kind: str
    entry: str
    remedy: str

    def load(self) -> dict[str, str]:
        """The hashes by chain; none when there is no file.

        Raises:
            StateError: the file is damaged.
        """
        try:
            return read_json_object(
                self.store, self.name, _MAX_BYTES, self._checked, kind=self.kind, remedy=self.remedy
            )
        except ObjectNotFoundError:
            return {}

    def set(self, chain: str, event_hash: str, expected: Collection[str | None] | None = None) -> str | None:
        """Set the hash of `chain`; the entries of other chains stay, also those that are set at the same time.

        Args:
            event_hash: empty: the chain has none.
            expected: set it only when the hash is one of these (None among them: when there is none); None: always.

        Returns:
            The chain's hash after the call.

        Raises:
            StateError: the file is damaged.
        """

        def change(data: bytes | None) -> bytes | None:
            hashes = {} if data is None else self._parse(data)
            current = hashes.get(chain)
            if (current or "") == event_hash or (expected is not None and current not in expected):
                return None
            hashes.pop(chain, None)
            kept = hashes | ({chain: event_hash} if event_hash else {})
            text = json.dumps(dict(sorted(kept.items())), indent=2, ensure_ascii=False)
            return text.encode()

        data = self.store.update(self.name, change)
        return None if data is None else self._parse(data).get(chain)

    def _parse(self, data: bytes) -> dict[str, str]:
        with unusable_object_error(f"{self.kind} {self.store.url}/{self.name}", remedy=self.remedy):
            return self._checked(load_json_object(data, _MAX_BYTES))

    def _checked(self, document: dict[str, Any]) -> dict[str, str]:
        for chain, event_hash in document.items():
            if not is_checksum(event_hash):
                raise ValueError(f"the {self.entry} of {chain!r} is {event_hash!r}")
        return document
