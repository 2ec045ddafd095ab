"""Metrics for runs that end before they are scraped: a file for node exporter's collector, and a Pushgateway."""

from __future__ import annotations

import logging
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest, pushadd_to_gateway

from bronze.log_fields import error_fields

JOB = "bronze_copier"
_TIMEOUT_S = 5.0
_LOG = logging.getLogger(__name__)


class Exporter:
    """Writes the metrics of a registry where the settings say; a place that fails costs a warning.

    Args:
        textfile: empty for none; node exporter reads names that end in ``.prom``.
        pushgateway: its URL; empty for none.
        instance: the grouping key, so that copiers do not overwrite each other's metrics.
    """

    def __init__(self, registry: CollectorRegistry, *, textfile: str, pushgateway: str, instance: str) -> None:
        self._registry = registry
        self._textfile = Path(textfile) if textfile else None
        self._pushgateway = pushgateway
        self._instance = instance

    def export(self) -> None:
        """Write and push the metrics as they are now."""
        if self._textfile is not None:
            try:
                _replace(self._textfile, generate_latest(self._registry))
            except OSError as error:
                _LOG.warning("metrics.textfile cannot be written: %s", error, extra=error_fields(error))
        if self._pushgateway:
            try:
                pushadd_to_gateway(
                    self._pushgateway,
                    job=JOB,
                    registry=self._registry,
                    grouping_key={"instance": self._instance},
                    timeout=_TIMEOUT_S,
                )
            except Exception as error:  # whatever the client raises, also of the URL
                _LOG.warning("metrics.pushgateway cannot be reached: %s", error, extra=error_fields(error))


def _replace(path: Path, content: bytes) -> None:
    """Replace the file at once: its reader sees the old content or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(content)
    temporary.replace(path)
