"""The local runner: kinds of workers, the secrets they get, and what is left of them in this process."""

from __future__ import annotations

import logging
import os
import pickle
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest

from bronze.job.connections import Connections
from bronze.job.secrets import DSN_VARIABLE, ENDPOINT_VARIABLE, Secrets
from pipeline.launch.local_runner import LocalRunner
from tests.e2e.conftest import own_environment
from tests.transforms.conftest import make_job

__all__ = ["own_environment"]

SECRETS = Secrets(dsn="postgresql://me:hunter2@db/catalog", endpoint="https://me:hunter3@pas/events")


def runner_of(root: Path, **options: Any) -> LocalRunner:
    job = make_job(root, run={"run_id": "a run"}, chain={"has_catalog": True, "has_endpoint": True})
    return LocalRunner(Connections(job, SECRETS), **options)


def mode_of(runner: LocalRunner) -> tuple[int, str]:
    options = runner.options.get_all_options()
    return options["direct_num_workers"], options["direct_running_mode"]


@pytest.mark.parametrize(
    ("workers", "threads", "mode"),
    [(1, True, "in_memory"), (1, False, "in_memory"), (2, True, "multi_threading"), (2, False, "multi_processing")],
)
def test_interpreted_reader_needs_worker_processes(workers: int, threads: bool, mode: str, tmp_path: Path) -> None:
    assert mode_of(runner_of(tmp_path, workers=workers, threads=threads)) == (workers, mode)


def test_beam_options_override_settings(tmp_path: Path) -> None:
    arguments = ["--direct_num_workers=2", "--direct_running_mode=in_memory"]
    runner = runner_of(tmp_path, workers=4, threads=True, beam_arguments=arguments)
    assert mode_of(runner) == (2, "in_memory")


class WriteSecrets(beam.DoFn):
    """Writes the secrets that its worker found, and whether its environment holds them, to a file of its process."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def setup(self) -> None:
        self._found = Secrets.for_worker("a run")

    def process(self, element: int) -> None:
        in_environment = [os.environ.get(name) for name in (DSN_VARIABLE, ENDPOINT_VARIABLE)]
        found = [self._found.dsn, self._found.endpoint]
        Path(self._folder, f"{os.getpid()}").write_bytes(pickle.dumps((found, in_environment)))


class Stage(beam.PTransform):
    """A graph of `WriteSecrets` alone."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = str(folder)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        return begin | beam.Create([1]) | beam.ParDo(WriteSecrets(self._folder))


@pytest.mark.parametrize(
    ("workers", "threads", "in_process"),
    [pytest.param(1, True, True, id="in memory"), pytest.param(2, True, True, id="threads"),
     pytest.param(2, False, False, id="processes")],
)  # fmt: skip
def test_workers_get_secrets(workers: int, threads: bool, in_process: bool, tmp_path: Path) -> None:
    before = dict(os.environ)
    folder = tmp_path / "found"
    folder.mkdir()

    runner_of(tmp_path, workers=workers, threads=threads).run(Stage(folder))

    (found,) = folder.iterdir()
    secrets = [SECRETS.dsn, SECRETS.endpoint]
    # Threads find them in their process; its environment never has them.
    assert pickle.loads(found.read_bytes()) == (secrets, [None, None] if in_process else secrets)
    assert (found.name == str(os.getpid())) == in_process
    assert dict(os.environ) == before
    assert Secrets.for_worker("a run") == Secrets()


def test_beam_logging_is_restored(tmp_path: Path) -> None:
    beam_logger = logging.getLogger("apache_beam")
    workers = logging.getLogger("apache_beam.runners.portability.local_job_service")
    before = beam_logger.level, list(workers.filters)
    (tmp_path / "found").mkdir()
    runner_of(tmp_path, workers=1).run(Stage(tmp_path / "found"))
    assert (beam_logger.level, list(workers.filters)) == before
