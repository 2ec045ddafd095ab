"""SIGKILL at every named step: the run that follows completes the copy as if nothing had happened."""

from __future__ import annotations

import pytest

from tests.faults.conftest import SCALE
from tests.faults.harness import PARTITIONS, STEPS, Bed

#: A step that is aimed at by count may be missed; each attempt is a kill too, and is compared as well.
ATTEMPTS = 6


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("round_", range(SCALE))
def test_killed_at(name: str, round_: int, bed: Bed) -> None:
    for attempt in range(ATTEMPTS):
        case = bed.case(STEPS[name], f"{name} {round_} {attempt}")
        case.check()
        if case.hit(STEPS[name]):
            return
    pytest.fail(f"{ATTEMPTS} attempts, none of them fell on {name}: the harness aims badly")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["parquet-link", "manifest-link", "event-link", "head-rename"])
def test_killed_again_while_it_resumes(name: str, bed: Bed) -> None:
    case = bed.case(STEPS[name], f"{name} twice", twice=True)
    case.check()
    assert case.hit(STEPS[name])


def test_the_lake_is_as_large_as_the_issue_asks(bed: Bed) -> None:
    assert bed.undisturbed.partitions() == PARTITIONS
    assert len(PARTITIONS) >= 20
