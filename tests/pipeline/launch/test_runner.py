"""The choice of a runner: by the Beam options, with the workers that the settings say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bronze.errors import ConfigError
from pipeline.launch.local_runner import PER_WORKER, PER_WORKER_REMOTE, LocalRunner
from pipeline.launch.runner import choose_runner
from pipeline.settings import Settings
from tests.transforms.conftest import connect, make_job


@pytest.fixture
def choose(tmp_path: Path) -> Callable[..., LocalRunner]:
    """``choose(["--runner=X"], workers=2)``: the runner of a job below the test's directory."""

    def make(beam_arguments: list[str] | None = None, **perf: int) -> LocalRunner:
        settings = Settings.model_validate({"perf": perf})
        found = choose_runner(settings, connect(make_job(tmp_path)), beam_arguments or [])
        assert isinstance(found, LocalRunner)
        return found

    return make


@pytest.mark.parametrize(
    ("workers", "in_flight", "count"),
    [
        pytest.param(1, 4, 1, id="one worker"),
        pytest.param(3, 4, 3, id="several workers"),
        pytest.param(6, 0, 6, id="no limit"),
        pytest.param(4, 2, 2, id="no more than partitions in flight"),
    ],
)
def test_settings_choose_number_of_workers(
    workers: int, in_flight: int, count: int, choose: Callable[..., LocalRunner]
) -> None:
    runner = choose(workers=workers, max_in_flight_partitions=in_flight)
    assert runner.options.get_all_options()["direct_num_workers"] == count
    assert runner.default_wave(is_remote=False) == PER_WORKER * count
    assert runner.default_wave(is_remote=True) == PER_WORKER_REMOTE * count


@pytest.mark.parametrize("name", ["DirectRunner", "FnApiRunner", "BundleBasedDirectRunner", "directrunner"])
@pytest.mark.parametrize("form", ["--runner={}", "--runner {}"])
def test_local_names_choose_local_runner(name: str, form: str, choose: Callable[..., LocalRunner]) -> None:
    assert not choose(form.format(name).split(" "), workers=1).is_distributed


@pytest.mark.parametrize("runner", ["SparkRunner", "PrismRunner", "PortableRunner", ""])
@pytest.mark.parametrize("before", [[], ["--runner=DirectRunner"]])
def test_other_runners_are_refused(runner: str, before: list[str], choose: Callable[..., LocalRunner]) -> None:
    with pytest.raises(ConfigError, match="allowed are DirectRunner and FnApiRunner"):
        choose([*before, "--runner", runner], workers=1)
