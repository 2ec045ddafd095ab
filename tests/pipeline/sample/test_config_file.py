"""The configuration that copies a sample lake."""

from __future__ import annotations

import pytest

from pipeline.sample import ChainSchedule
from pipeline.sample.config_file import era_starts


@pytest.mark.parametrize("eras", range(1, 9))
def test_eras_begin_where_the_format_changes(eras: int) -> None:
    schedule = ChainSchedule(2, 200)
    starts = era_starts(schedule, eras)
    changes = {start for start in starts[1:] if schedule.close_version(start) != schedule.close_version(start - 1)}
    assert len(set(starts)) == eras
    assert starts[0] == 2
    assert len(changes) == min(eras - 1, 2)
    assert all(schedule.protocol(start) != schedule.protocol(start - 1) for start in starts[1:])
