"""The close metas of single ledgers, as a lake has them."""

from __future__ import annotations

from collections.abc import Sequence

from bronze.errors import LakeError
from bronze.ingest.decoder import FileDecoder
from bronze.lake.lake import Lake
from bronze.ledger.close_meta import CloseMeta, VerifyLevel

_FILE_BYTES = 1 << 21


class LakeLedgers:
    """Reads ledgers of `lake`; asked for in order, each lake file is read once. Not for several threads.

    Args:
        max_object: most bytes that one lake file may decode to.
    """

    def __init__(self, lake: Lake, *, max_object: int) -> None:
        self._lake = lake
        self._decoder = FileDecoder(lake, VerifyLevel.HEADER, max_object=max_object)
        self._buffer = self._decoder.new_buffer(_FILE_BYTES)
        self._start: int | None = None
        self._metas: Sequence[CloseMeta] = ()

    def read(self, ledger: int) -> memoryview:
        """The close meta of `ledger`; a view that is valid until the next call.

        Raises:
            DataError: its file is missing or damaged, or lacks the ledger.
            StoreError: the lake does not answer.
        """
        start = self._lake.layout.file_start(ledger)
        if start != self._start:
            self._start, self._metas = None, ()
            self._buffer.clear()
            self._metas = self._decoder.decode(start, self._buffer)
            self._start = start
        for meta in self._metas:
            if meta.sequence == ledger:
                return self._buffer.view[meta.start : meta.end]
        raise LakeError(f"object {self._lake.describe_found(self._lake.key(ledger))} does not hold ledger {ledger}")
