"""What archives have confirmed of a chain, and when: a small file that is a cache.

It depends on time, so none of it stands in a manifest or an event. Nothing in it is trusted: what cannot be read, or
has another form, is made anew by asking the archives again; whether a hash in it is that of a published ledger is for
the caller to check.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from bronze.errors import ArchiveContradictionError, ObjectNotFoundError, StateError
from bronze.redact import clean
from bronze.stellar import checked_ledger
from bronze.storage.json_object import read_json_object
from bronze.storage.store import Store
from bronze.timestamps import rfc3339

_MAX_BYTES = 1 << 20
_KIND = "archive state"
_MAX_ARCHIVES, MAX_CONFIRMED = 64, 64
_MAX_TEXT = 500
_HASH = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z)?")

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveState:
    """What one archive has said of one chain.

    Attributes:
        confirmed: ledgers whose hash it has too, with that hash in hex, ascending: the last ledger of a partition each.
        reaches: the newest ledger that it had when it answered last; None when it never has.
        asked_at: when it answered last, RFC 3339; empty when it never has.
        error: why it could not be asked, or what it contradicts; empty once it agrees again.
        error_at: when that was.
        contradicts: the ledger of which it had another hash; None when it contradicts nothing.
    """

    confirmed: tuple[tuple[int, str], ...] = ()
    reaches: int | None = None
    asked_at: str = ""
    error: str = ""
    error_at: str = ""
    contradicts: int | None = None

    def with_agreement(self, ledger: int | None, ledger_hash: str, reaches: int) -> ArchiveState:
        """The state after an answer.

        Args:
            ledger: the ledger whose hash it has too; None when it has not come to the ledgers that it was asked about.
        """
        state = replace(self, reaches=reaches, asked_at=rfc3339())
        if ledger is not None:
            others = [one for one in self.confirmed if one[0] != ledger]
            state = replace(state, confirmed=tuple(sorted([*others, (ledger, ledger_hash)]))[-MAX_CONFIRMED:])
        if self.contradicts is None or (ledger is not None and ledger >= self.contradicts):
            return replace(state, error="", error_at="", contradicts=None)
        return state

    def without_contradiction(self) -> ArchiveState:
        """The state once what it contradicted is not published any more."""
        return replace(self, error="", error_at="", contradicts=None)

    def with_error(self, error: Exception) -> ArchiveState:
        """The state after it could not be asked, or contradicted."""
        contradicts = error.ledger if isinstance(error, ArchiveContradictionError) else self.contradicts
        if contradicts is not None and not isinstance(error, ArchiveContradictionError):
            return self  # what it contradicts weighs more than that it cannot be asked now
        text = clean(str(error))[:_MAX_TEXT]
        return replace(self, error=text, error_at=rfc3339(), contradicts=contradicts)


@dataclass(frozen=True, slots=True)
class ArchiveStateFile:
    """The file `name` at the root of `store`: what is known of the chain `chain`."""

    store: Store
    name: str
    chain: str

    def load(self) -> dict[str, ArchiveState]:
        """What is known, by the archives' URLs; nothing when the file is missing or damaged.

        Raises:
            StoreError: the store does not answer.
        """
        try:
            return read_json_object(self.store, self.name, _MAX_BYTES, self._checked, kind=_KIND)
        except ObjectNotFoundError:
            return {}
        except StateError as error:
            _LOG.warning("%s: it is made anew", error)
            return {}

    def save(self, states: Mapping[str, ArchiveState]) -> None:
        """Replace what is known.

        Raises:
            StoreError: the store does not answer.
        """
        archives = {url: asdict(state) for url, state in sorted(states.items())}
        text = json.dumps({"chain": self.chain, "archives": archives}, indent=2).encode()
        self.store.replace(self.name, text)

    def _checked(self, document: dict[str, Any]) -> dict[str, ArchiveState]:
        if document["chain"] != self.chain:
            raise ValueError(f"it is of the chain {str(document['chain'])[:100]!r}")
        archives = document["archives"]
        if len(archives) > _MAX_ARCHIVES:
            raise ValueError(f"it names {len(archives)} archives, at most {_MAX_ARCHIVES} are allowed")
        return {url: _parse_state(state) for url, state in archives.items()}


def _parse_state(state: dict[str, Any]) -> ArchiveState:
    confirmed = state["confirmed"]
    if not isinstance(confirmed, list) or len(confirmed) > MAX_CONFIRMED:
        raise ValueError(f"confirmed is not a list of at most {MAX_CONFIRMED} ledgers")
    return ArchiveState(
        confirmed=tuple(sorted((checked_ledger(ledger), _text(found, _HASH)) for ledger, found in confirmed)),
        reaches=None if state["reaches"] is None else checked_ledger(state["reaches"]),
        asked_at=_text(state["asked_at"], _TIME),
        error=_text(state["error"], re.compile(rf"[^\x00-\x1f\x7f]{{0,{_MAX_TEXT}}}")),
        error_at=_text(state["error_at"], _TIME),
        contradicts=None if state["contradicts"] is None else checked_ledger(state["contradicts"]),
    )


def _text(value: object, form: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise ValueError(f"{str(value)[:40]!r} has another form than it should have")
    return value
