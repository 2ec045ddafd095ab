"""Import Beam for the local runner without the clients of services that only connectors of Beam use.

apache_beam imports all its connectors with itself, and with them the clients of Google's, Amazon's and MongoDB's
services: 0.6 s, half of the start of a run, and 48 MB. Each of these clients comes with an extra of Beam (``gcp``,
``aws``), so Beam does without any of them: it tries to import them, and leaves their connectors out. A local run uses
no connector: lakes and datasets are read and written by `bronze.storage`.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pipeline.launch.runner_name import is_dataflow, is_flink

#: The clients. What a store or the log has loaded of them already stays as it is.
_CLIENTS = (
    "apitools",
    "boto3",
    "bson",
    "google.api_core",
    "google.auth",
    "google.cloud",
    "google.cloud.bigquery",
    "google.cloud.pubsub",
    "google.cloud.storage",
    "oauth2client",
    "pymongo",
)


def import_beam(beam_arguments: Sequence[str] = ()) -> None:
    """Import Beam as it is needed for a run with these options; to be called before anything that imports it.

    Distributed runners get all of it: they stage files to buckets. Where it is imported already, nothing changes.

    Args:
        beam_arguments: as after ``--`` on the command line.
    """
    if "apache_beam" in sys.modules or is_flink(beam_arguments) or is_dataflow(beam_arguments):
        return
    with _without_clients(), _uncollected():
        import apache_beam  # noqa: F401


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from what is imported meanwhile and before: it all lives as long as the process.

    Beam's modules are 140,000 objects, which each full collection during a run would look at, and each of those that
    the import itself would cause.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


@contextmanager
def _without_clients() -> Iterator[None]:
    """Imports of clients that are not loaded yet fail meanwhile, as where their extras are not installed.

    What Beam's modules log of that, by their own loggers and by the root, is dropped.
    """
    hidden = [name for name in _CLIENTS if name not in sys.modules]
    root, beam = logging.getLogger(), logging.getLogger("apache_beam")
    level = beam.level
    root.addFilter(_is_of_another)
    beam.setLevel(logging.ERROR)
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: "an import of it fails"
    try:
        yield
    finally:
        for name in hidden:
            if sys.modules[name] is None:
                del sys.modules[name]
        root.removeFilter(_is_of_another)
        beam.setLevel(level)


def _is_of_another(record: logging.LogRecord) -> bool:
    return "apache_beam" not in record.pathname
