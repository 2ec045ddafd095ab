"""SIGKILL at every named step: the next run completes the copy as an undisturbed one."""

from __future__ import annotations

import pytest

from tests.faults.bed import Bed
from tests.faults.steps import PARTITIONS, STEPS

#: A step that is targeted by count may be missed; each attempt is a kill too and is compared as well.
ATTEMPTS = 6


#: Steps that always run: those that make something visible, and those between two systems.
CHOSEN = [
    "encode-write",
    "parquet-link",
    "manifest-link",
    "manifest-dir-fsync",
    "event-link",
    "event-dir-fsync",
    "catalog-send",
    "delivery-after",
    "delivered-rename",
    "head-rename",
    "checkpoint-rename",
    "clean-unlinkat",
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "name", [name if name in CHOSEN else pytest.param(name, marks=pytest.mark.full) for name in STEPS]
)
def test_run_killed_at_step_is_resumed(name: str, bed: Bed) -> None:
    for attempt in range(ATTEMPTS):
        case = bed.case(STEPS[name], f"{name} {attempt}")
        case.check()
        if case.hit(STEPS[name]):
            return
    pytest.fail(f"{ATTEMPTS} attempts, none of them fell on {name}: the harness aims badly")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "name", ["manifest-link", *(pytest.param(name, marks=pytest.mark.full) for name in ("event-link", "head-rename"))]
)
def test_resuming_run_killed_again_is_resumed(name: str, bed: Bed) -> None:
    case = bed.case(STEPS[name], f"{name} twice", twice=True)
    case.check()
    assert case.hit(STEPS[name])


def test_test_lake_has_required_size(bed: Bed) -> None:
    assert bed.undisturbed.partitions() == PARTITIONS
    assert len(PARTITIONS) >= 20
