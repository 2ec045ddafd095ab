"""Outcomes: what a failure says of the error that caused it."""

from __future__ import annotations

import dataclasses
import errno

import pytest

from bronze.errors import (
    CatalogError,
    CatalogUnavailableError,
    ConflictError,
    DeliveryError,
    DeliveryRejectedError,
    FrameError,
    RunStoppedError,
    StoreError,
)
from bronze.outcomes import CommittedPartition, PartitionFailure
from bronze.partitioning.partition import Partition

PART = Partition(10, 19)


@pytest.mark.parametrize(
    ("error", "stops_run", "interrupted"),
    [
        (FrameError("x"), False, False),
        (StoreError("x"), False, False),
        (ConflictError("x"), False, False),
        (OSError(errno.EIO, "x"), False, False),
        (OSError(errno.ENOSPC, "x"), True, False),  # a full disk fails every partition behind it
        (OSError(errno.EDQUOT, "x"), True, False),
        (CatalogError("x"), True, False),
        (CatalogUnavailableError("x"), True, False),
        (DeliveryError("x"), True, False),
        (DeliveryRejectedError("x"), True, False),
        (RunStoppedError("x"), False, True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_failure_says_whether_it_stops_run(error: Exception, stops_run: bool, interrupted: bool) -> None:
    failure = PartitionFailure.of("net/e/v1", PART, error)
    assert (failure.stops_run, failure.interrupted) == (stops_run, interrupted)


def test_failure_names_error_and_partition() -> None:
    failure = PartitionFailure.of("net/e/v1", PART, FrameError("truncated").at("object x"), published=True)
    assert dataclasses.astuple(failure)[0:4] == ("net/e/v1", (10, 19), "FrameError", "object x: truncated")
    assert failure.published


def test_outcomes_take_no_positional_arguments() -> None:
    with pytest.raises(TypeError, match="positional"):
        CommittedPartition("net/e/v1", PART, "", True)  # type: ignore[misc]
