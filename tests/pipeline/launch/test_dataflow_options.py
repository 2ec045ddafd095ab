"""The Beam options of a run on Dataflow: needed, defaulted, refused."""

from __future__ import annotations

import pytest

from bronze.errors import ConfigError
from pipeline.launch.dataflow_options import DEFAULTS, parse_dataflow_options

NEEDED = (
    "--runner=DataflowRunner", "--project=p1", "--region=us-central1", "--temp_location=gs://b/temp",
    "--sdk_container_image=us-docker.pkg.dev/p1/bronze/copier:2",
)  # fmt: skip


def test_missing_options_have_defaults() -> None:
    options = parse_dataflow_options(NEEDED)
    assert options.arguments[: len(NEEDED)] == NEEDED
    assert {f"--{name}={value}" for name, value in DEFAULTS.items()} <= set(options.arguments)
    assert (options.is_streaming, options.partitions_at_once) == (False, 80)


def test_given_options_win_over_defaults() -> None:
    more = ("--worker_machine_type=n2-standard-8", "--max_num_workers", "5", "--streaming", "--no_use_public_ips")
    options = parse_dataflow_options([*NEEDED, *more])
    assert not any(argument.startswith("--machine_type") for argument in options.arguments)
    assert "--max_num_workers=40" not in options.arguments
    assert "--no_use_public_ips" in options.arguments
    assert (options.is_streaming, options.partitions_at_once) == (True, 40)


@pytest.mark.parametrize("missing", NEEDED[1:], ids=str)
def test_needed_option_that_is_missing_is_named(missing: str) -> None:
    with pytest.raises(ConfigError, match=missing.partition("=")[0]):
        parse_dataflow_options([one for one in NEEDED if one != missing])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--no_such_option=1", "does not know --no_such_option=1"),
        ("--setup_file=./setup.py", "leave it out"),  # other code than the image's
        ("--save_main_session", "leave it out"),
        ("--num_workers=none", "whole number"),
        ("--disk_size_gb=0", "whole number"),
        ("--staging_location=/tmp/x", "below gs://"),
        ("--sdk_container_image=copier", "tag or digest"),  # which of its versions?
        ("--labels=dsn=hunter2x", "holds a secret"),
        ("--autoscaling_algorithm=FAST", "do not take|does not take"),
    ],
)  # fmt: skip
def test_unusable_option_is_refused(option: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        parse_dataflow_options([*NEEDED, option], secrets=["hunter2x"])
    assert "hunter" not in str(raised.value)


def test_text_without_option_is_refused() -> None:
    with pytest.raises(ConfigError, match="begin with --"):
        parse_dataflow_options(["project", *NEEDED])
