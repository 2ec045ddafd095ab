"""What archives have said of one chain: as the file of it states, and as answers change it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from bronze.archives.state_file import ArchiveState, ArchiveStateFile
from bronze.archives.witness import Answer
from bronze.commit.anchoring import believed
from bronze.errors import BronzeError
from bronze.log_fields import error_fields

_LOG = logging.getLogger(__name__)


class ArchiveRecord:
    """The states of a chain's archives. That they cannot be kept is never a failure: they are asked again.

    Args:
        urls: of the configured archives; what is recorded of others is dropped.
        file: None: nothing is kept beyond this object.
    """

    def __init__(self, urls: Sequence[str], file: ArchiveStateFile | None) -> None:
        self._urls = urls
        self._file = file
        self._states: dict[str, ArchiveState] = {}
        self._has_changed = False

    def load(self) -> None:
        """Read what is recorded; nothing where that cannot be read."""
        try:
            found = self._file.load() if self._file else {}
        except (BronzeError, OSError) as error:
            _LOG.warning("what archives have confirmed cannot be read: %s", error, extra=error_fields(error))
            found = {}
        self._states = {url: found.get(url, ArchiveState()) for url in self._urls}
        self._has_changed = False

    def of(self, url: str) -> ArchiveState:
        """The state of one archive."""
        return self._states.get(url, ArchiveState())

    def change(self, url: str, state: ArchiveState) -> None:
        """Set the state of one archive."""
        if state != self.of(url):
            self._states[url] = state
            self._has_changed = True

    def add(self, url: str, answer: Answer) -> None:
        """Take an answer of one archive."""
        if answer.agreement is not None:
            found = answer.agreement
            self.change(url, self.of(url).with_agreement(found.ledger, found.ledger_hash, found.reaches))
        elif answer.error is not None:
            self.change(url, self.of(url).with_error(answer.error))

    def keep_believed(self, stretches: Sequence[Sequence[int]], hash_of: Callable[[int], str | None]) -> None:
        """Drop confirmations that are superseded, or are not of a partition as it is published."""
        for url in self._urls:
            self.change(url, believed(self.of(url), stretches, hash_of))

    def save(self) -> None:
        """Write what has changed."""
        if self._file is None or not self._has_changed:
            return
        try:
            self._file.save(self._states)
        except (BronzeError, OSError) as error:
            _LOG.warning("what archives have confirmed cannot be written: %s", error, extra=error_fields(error))
            return
        self._has_changed = False
