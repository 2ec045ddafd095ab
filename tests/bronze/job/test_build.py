"""What a worker on another machine must have in common with its launcher."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bronze.errors import ConfigError
from bronze.job.build import check_build, this_build
from bronze.producer import VERSION, pyarrow_version
from tests.transforms.conftest import connect, make_job


def test_build_names_what_decides_bytes() -> None:
    assert all(part in this_build() for part in (f"v{VERSION}", f"pyarrow {pyarrow_version()}", "apache-beam 2."))


@pytest.mark.parametrize("launched_by", ["", this_build()])
def test_same_build_is_accepted(launched_by: str) -> None:
    check_build(launched_by)


def test_other_build_opens_nothing(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    launched_by = this_build().replace(VERSION, "1.9.9")
    with pytest.raises(ConfigError) as refused:
        connect(replace(job, run=replace(job.run, build=launched_by)))
    assert launched_by in str(refused.value)
    assert this_build() in str(refused.value)
