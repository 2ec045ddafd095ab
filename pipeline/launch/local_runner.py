"""The local Beam runner, built explicitly.

Beam's ``DirectRunner`` is a switch that first tries to download another runner; here it means the
FnApiRunner itself (measured with Beam 2.77). Threads when the compiled reader is there, because it
releases the GIL; processes otherwise.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner

LOCAL_NAMES = frozenset({"directrunner", "fnapirunner", "bundlebaseddirectrunner"})


def local_options(workers: int, *, threads: bool, beam_arguments: list[str]) -> PipelineOptions:
    """Options for `workers` local workers; `beam_arguments` (as after ``--``) win."""
    mode = "in_memory" if workers == 1 else "multi_threading" if threads else "multi_processing"
    return PipelineOptions([f"--direct_num_workers={workers}", f"--direct_running_mode={mode}", *beam_arguments])


def run_locally(graph: beam.PTransform, options: PipelineOptions) -> None:
    """Run a pipeline that is all in `graph` to its end on an FnApiRunner.

    Raises:
        Exception: what no stage of the graph caught.
    """
    pipeline = beam.Pipeline(runner=fn_runner.FnApiRunner(), options=options)
    pipeline | graph
    with _exit_on_worker_death():
        pipeline.run().wait_until_finish()


@contextmanager
def _exit_on_worker_death() -> Iterator[None]:
    """End the whole process when a worker process is killed (by the out-of-memory killer, say).

    The runner would wait for it for ever. The thread that supervises the worker dies with an exception:
    that is where it shows.
    """
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        before(args)
        if args.thread is not None and args.thread.name == "run_worker":
            print(f"a worker process ended ({args.exc_value}): run again, it resumes", file=sys.stderr, flush=True)
            os._exit(1)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
