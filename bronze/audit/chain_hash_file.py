"""A small file that keeps one event hash for each chain: the chain heads, and the delivery record."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass

from bronze.errors import ObjectNotFoundError, ObjectTooLargeError, StateError
from bronze.storage.store import Store

_MAX_BYTES = 1 << 20
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ChainHashFile:
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
            return self._parsed(self.store.read(self.name, max_bytes=_MAX_BYTES))
        except ObjectNotFoundError:
            return {}
        except ObjectTooLargeError as error:
            raise self._damaged(error) from error

    def put(self, chain: str, event_hash: str, expected: Collection[str | None] | None = None) -> str | None:
        """Put the hash of `chain`; those of other chains stay, whoever puts them at the same time.

        Args:
            expected: put it only where the hash is one of these (None: there is none); None: whatever it is.

        Returns:
            The chain's hash as it is now.

        Raises:
            StateError: the file is damaged.
        """

        def change(data: bytes | None) -> bytes | None:
            hashes = {} if data is None else self._parsed(data)
            before = hashes.get(chain)
            if before == event_hash or (expected is not None and before not in expected):
                return None
            text = json.dumps(dict(sorted((hashes | {chain: event_hash}).items())), indent=2, ensure_ascii=False)
            return text.encode()

        now = self.store.update(self.name, change)
        return None if now is None else self._parsed(now).get(chain)

    def _parsed(self, data: bytes) -> dict[str, str]:
        try:
            if len(data) > _MAX_BYTES:
                raise ValueError(f"{len(data)} bytes, expected at most {_MAX_BYTES}")
            hashes = json.loads(data)
            for chain, event_hash in hashes.items():
                if not _HASH.fullmatch(event_hash):
                    raise ValueError(f"the {self.entry} of {chain!r} is {event_hash!r}")
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise self._damaged(error) from error
        return dict(hashes)

    def _damaged(self, error: Exception) -> StateError:
        return StateError(f"{self.what} {self.store.url}/{self.name} cannot be used: {error}. {self.remedy}")
