"""A kill in a run that fills a gap, corrects, follows pruned events, or before a directory is lost or unwritable."""

from __future__ import annotations

import pytest

from tests.faults.bed import Bed
from tests.faults.scenarios import AIMS, SCENARIOS, play
from tests.faults.steps import STEPS

CHOSEN = "manifest-link"
#: Scenarios that take long and are much like another one.
FULL = ["data unwritable", "state unwritable", "events lost", "data lost"]


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "name", [name if name not in FULL else pytest.param(name, marks=pytest.mark.full) for name in SCENARIOS]
)
@pytest.mark.parametrize(
    "step", [CHOSEN, *(pytest.param(one.name, marks=pytest.mark.full) for one in AIMS if one.name != CHOSEN)]
)
def test_run_killed_in_scenario_is_resumed(name: str, step: str, bed: Bed) -> None:
    play(bed, SCENARIOS[name], STEPS[step], f"{name} {step}").check()
