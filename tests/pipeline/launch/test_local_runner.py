"""The local runner: its workers, the secrets they get, the options it refuses, and what is left of it."""

from __future__ import annotations

import logging
import os
import pickle
import threading
from pathlib import Path
from typing import Any, ClassVar

import apache_beam as beam
import pytest

from bronze.errors import ConfigError
from bronze.job.secrets import DSN_VARIABLE, ENDPOINT_VARIABLE, Secrets
from pipeline.launch.local_runner import LocalRunner
from tests.e2e.conftest import own_environment, wait_until
from tests.transforms.conftest import make_job

__all__ = ["own_environment"]

SECRETS = Secrets(dsn="postgresql://me:hunter2@db/catalog", endpoint="https://me:hunter3@pas/events")


def runner_of(root: Path, **options: Any) -> LocalRunner:
    job = make_job(root, run={"run_id": "a run"}, chain={"has_catalog": True, "has_endpoint": True})
    return LocalRunner(SECRETS, job.run.run_id, **options)


@pytest.mark.parametrize(
    ("workers", "processes", "expected"), [(1, False, False), (1, True, False), (2, False, False), (2, True, True)]
)
def test_several_interpreted_workers_get_processes(
    workers: int, processes: bool, expected: bool, tmp_path: Path
) -> None:
    runner = runner_of(tmp_path, workers=workers, processes=processes)
    assert runner.copies_in_processes == expected
    options = runner.options.get_all_options()
    assert (options["direct_num_workers"], options["direct_running_mode"]) == (workers, "in_memory")


def test_beam_options_override_settings(tmp_path: Path) -> None:
    arguments = ["--direct_num_workers=2", "--direct_running_mode=in_memory"]
    runner = runner_of(tmp_path, workers=4, beam_arguments=arguments)
    assert runner.options.get_all_options()["direct_num_workers"] == 2


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--direct_num_worker=2"], "--direct_num_worker"),
        (["--direct_num_workers", "2", "word"], "word"),
        (["--nonsense", "1", "--other=2"], "--nonsense, --other"),
    ],
)
def test_options_unknown_to_beam_are_refused(arguments: list[str], named: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"^{named}: Beam knows no such option"):
        runner_of(tmp_path, workers=2, beam_arguments=arguments)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--direct_running_mode=multi_threading"], "--direct_running_mode=multi_threading"),
        (["--direct_running_mode", "multi_processing"], "--direct_running_mode=multi_processing"),
        (["--job_endpoint=localhost:8099"], "--job_endpoint"),
        (["--environment_type=LOOPBACK"], "--environment_type"),
        (["--artifact_endpoint=localhost:1", "--environment_type=PROCESS"], "--artifact_endpoint, --environment_type"),
    ],
)
def test_options_that_open_ports_are_refused(arguments: list[str], named: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{named}: .*ports.*leave it out"):
        runner_of(tmp_path, workers=2, beam_arguments=arguments)


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


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_get_secrets(workers: int, tmp_path: Path) -> None:
    before = dict(os.environ)
    folder = tmp_path / "found"
    folder.mkdir()

    runner_of(tmp_path, workers=workers).run(Stage(folder))

    (found,) = folder.iterdir()
    # They find them in their process; its environment never has them.
    assert pickle.loads(found.read_bytes()) == ([SECRETS.dsn, SECRETS.endpoint], [None, None])
    assert found.name == str(os.getpid())
    assert dict(os.environ) == before
    assert Secrets.for_worker("a run") == Secrets()


def test_workers_run_in_parallel(tmp_path: Path) -> None:
    runner_of(tmp_path, workers=2).run(MeetingStage())
    assert len(Meet.threads) == 2


class Meet(beam.DoFn):
    """Waits until two threads have come here."""

    threads: ClassVar[set[int]] = set()

    def process(self, element: int) -> None:
        Meet.threads.add(threading.get_ident())
        wait_until(lambda: len(Meet.threads) == 2, "another worker")


class MeetingStage(beam.PTransform):
    """A graph of `Meet` alone."""

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        return begin | beam.Create(range(64)) | beam.ParDo(Meet())


def test_beam_logging_is_restored(tmp_path: Path) -> None:
    beam_logger = logging.getLogger("apache_beam")
    runner = logging.getLogger("apache_beam.runners.portability.fn_api_runner.fn_runner")
    before = beam_logger.level, list(runner.filters)
    (tmp_path / "found").mkdir()
    runner_of(tmp_path, workers=1).run(Stage(tmp_path / "found"))
    assert (beam_logger.level, list(runner.filters)) == before
