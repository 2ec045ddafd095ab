"""The log as Google Cloud Logging reads it from the output of a container: on GKE, and on Dataflow's machines."""

from __future__ import annotations

import logging
import os
from typing import TextIO

import google.cloud.logging_v2
from google.cloud.logging_v2.handlers import StructuredLogHandler

from bronze.log_fields import extra_fields

#: Attributes of a record that the handler itself reads or sets.
_OF_HANDLER = frozenset({"labels", "json_fields", "trace", "span_id", "trace_sampled", "http_request", "resource"})
#: Fields that become labels, by which Cloud Logging filters and counts.
_LABELS = ("run_id", "network", "era_id", "version_label", "worker")


def make_handler(stream: TextIO) -> logging.StreamHandler[TextIO]:
    """The structured handler of google-cloud-logging, writing to `stream`."""
    # Otherwise the first record is preceded by one about the client library.
    google.cloud.logging_v2._instrumentation_emitted = True
    handler: logging.StreamHandler[TextIO] = StructuredLogHandler(stream=stream)  # type: ignore[no-untyped-call]
    handler.filters.insert(0, _CloudFields(os.environ.get("GOOGLE_CLOUD_PROJECT", "")))
    return handler


class _CloudFields(logging.Filter):
    """Hands the fields of a record to the handler: as payload, as labels, and the correlation id as the trace."""

    def __init__(self, project: str) -> None:
        super().__init__()
        self._project = project

    def filter(self, record: logging.LogRecord) -> bool:
        fields = {name: value for name, value in extra_fields(record) if name not in _OF_HANDLER and name[0] != "_"}
        if record.exc_text:
            fields["stack_trace"] = record.exc_text
            record.exc_info = record.exc_text = None
        record.labels = {name: str(fields[name]) for name in _LABELS if name in fields}
        record.json_fields = fields
        trace = fields.get("correlation_id")
        if trace:
            record.trace = f"projects/{self._project}/traces/{trace}" if self._project else str(trace)
        return True
