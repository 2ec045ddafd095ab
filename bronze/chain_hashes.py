"""A small file that keeps one event hash for each chain: the chain heads, and the delivery record."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from bronze.errors import ObjectMissing, StateError
from bronze.store import Store

_MAX_BYTES = 1 << 20
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ChainHashes:
    """The file `name` at the root of `store`: ``{"network/era/version": "sha256:…"}``.

    Attributes:
        what: the file in words, and `entry` one of its hashes, for errors.
        remedy: what to do when it is damaged, a sentence without its full stop.
    """

    store: Store
    name: str
    what: str
    entry: str
    remedy: str

    def load(self) -> dict[str, str]:
        """The hashes by chain; none when there is no file.

        Raises:
            StateError: the file is damaged.
        """
        try:
            data = self.store.read(self.name)
        except ObjectMissing:
            return {}
        try:
            if len(data) > _MAX_BYTES:
                raise ValueError(f"{len(data)} bytes, expected at most {_MAX_BYTES}")
            hashes = json.loads(data)
            for chain, event_hash in hashes.items():
                if not _HASH.fullmatch(event_hash):
                    raise ValueError(f"the {self.entry} of {chain!r} is {event_hash!r}")
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            where = f"{self.store.url}/{self.name}"
            raise StateError(f"{self.what} {where} cannot be used: {error}. {self.remedy}") from error
        return dict(hashes)

    def save(self, hashes: dict[str, str]) -> None:
        """Replace the file."""
        text = json.dumps(dict(sorted(hashes.items())), indent=2, ensure_ascii=False)
        self.store.replace(self.name, text.encode())
