"""The forecast of a run: which objects are needed, in listings that report how far they are. (More: `test_plan`.)"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable

import pytest

from bronze.partitioning.partition import Partition
from pipeline.launch.forecast import Counting, make_forecast
from pipeline.launch.prepare import Prepared, prepare
from pipeline.settings import load
from tests.e2e.conftest import Copier, LakeFiles
from tests.pipeline.commands.conftest import copier, own_environment, sample, sample_lakes

__all__ = ["copier", "own_environment", "sample", "sample_lakes"]


@pytest.fixture
def copy(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """Eight partitions of six ledgers; files of four, two in each directory."""
    lake = sample(first=8, ledgers=48, ledgers_per_file=4, files_per_directory=2)
    return copier(lake.root, ledger_start=8, ledger_end=55, partition_size=6)


def prepared(copy: Copier) -> Prepared:
    return prepare(load(copy.config, {}), writes=False)


def test_shared_files_are_counted_once(copy: Copier) -> None:
    with (planned := prepared(copy)).connections:
        (found,) = make_forecast(planned, load(copy.config, {}))
    assert found.objects is not None
    assert (found.objects.expected, found.objects.listed) == (12, 12)
    assert planned.plans[0].file_count(4) == 16
    assert found.bytes_to_read == sum(path.stat().st_size for path in copy.lake.rglob("*.xdr.zst"))


def test_partitions_on_both_sides_lack_a_file(copy: Copier) -> None:
    (path,) = copy.lake.rglob("*--12-15.xdr.zst")
    path.unlink()
    with (planned := prepared(copy)).connections:
        (found,) = make_forecast(planned, load(copy.config, {}))
    assert found.objects is not None
    assert (found.objects.missing, found.objects.missing_ledgers) == (1, [Partition(12, 15)])
    assert found.objects.first_lacking == [Partition(8, 13), Partition(14, 19)]


def test_published_partition_between_needs_no_file(copy: Copier) -> None:
    copy.settings["era"] |= {"ledger_start": 20, "ledger_end": 25}
    assert copy.run().status == 0
    for name in ("state", "pas"):
        (copy.root / name).rename(copy.root / f"old-{name}")
    copy.settings["era"] |= {"ledger_start": 8, "ledger_end": 55}
    (path,) = copy.lake.rglob("*--20-23.xdr.zst")
    path.unlink()  # of the published partition alone
    with (planned := prepared(copy)).connections:
        (found,) = make_forecast(planned, load(copy.config, {}))
    assert found.objects is not None
    assert (found.skipped, found.objects.expected, found.objects.missing) == (1, 11, 0)


@pytest.mark.parametrize(("every_s", "lines"), [(10, 2), (0, 0)])
def test_long_listing_tells_how_far_it_is(
    copy: Copier, caplog: pytest.LogCaptureFixture, every_s: int, lines: int
) -> None:
    copy.settings["logging"] = {"progress_seconds": every_s, "level": "info"}
    settings = load(copy.config, {})
    seconds = itertools.count(0, 5)  # five for each directory
    with (planned := prepared(copy)).connections, caplog.at_level(logging.INFO):
        make_forecast(planned, settings, Counting.ALL, clock=lambda: next(seconds))
    told = [one for one in caplog.messages if one.startswith("listing the lake: ")]
    assert len(told) == lines
    assert told[:1] == ["listing the lake: 4 of 12 objects, 20 s left"][:lines]
