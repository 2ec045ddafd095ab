"""The log of workers that a distributed runner started: its handlers write the fields of a partition."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.worker.log_handler import FnApiLogRecordHandler

from bronze.log_fields import log_fields, partition_fields
from transforms.worker_logs import set_up_worker_logs


class _Handler(FnApiLogRecordHandler):
    """The handler of Beam's worker processes, without the connection to a runner."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.entries: list[beam_fn_api_pb2.LogEntry] = []
        self._log_entry_queue = self

    def put(self, entry: beam_fn_api_pb2.LogEntry, block: bool) -> None:
        self.entries.append(entry)

    def close(self) -> None:
        logging.Handler.close(self)


@pytest.fixture
def handler() -> Iterator[_Handler]:
    _Handler.__module__ = FnApiLogRecordHandler.__module__
    made = _Handler()
    logging.getLogger().addHandler(made)
    yield made
    logging.getLogger().removeHandler(made)


def test_records_of_beam_workers_have_fields(handler: _Handler) -> None:
    set_up_worker_logs("run-1")
    set_up_worker_logs("run-1")
    with log_fields(**partition_fields("run-1", "net/e1/v1", 0, 9)):
        logging.getLogger("somewhere").error("failed: password=secret", extra={"error_type": "StoreError"})

    message, _, fields = handler.entries[0].message.partition(" {")
    assert message == "failed: password=***"
    found = json.loads("{" + fields)
    assert (found["run_id"], found["era_id"], found["ledger_end"]) == ("run-1", "e1", 9)
    assert found["error_type"] == "StoreError"
