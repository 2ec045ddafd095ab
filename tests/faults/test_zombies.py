"""A worker that is stopped at any moment and goes on when another one has done its work changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.bed import Bed
from tests.faults.zombies import DISK_MOMENTS, S3_MOMENTS, Moment, Place
from tests.support.s3_server import S3Server, environment, running_s3_server

#: What runs by default; all of it with ``-m ""``.
CHOSEN = {"disk": ["between event and row"], "s3": ["before the checkpoint"]}

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with running_s3_server() as found, pytest.MonkeyPatch.context() as patch:
        for name, value in environment().items():
            patch.setenv(name, value)
        yield found


def moments(kind: str, known: dict[str, Moment]) -> list[object]:
    marks = {name: () if name in CHOSEN[kind] else (pytest.mark.full,) for name in known}
    return [pytest.param(moment, id=name, marks=marks[name]) for name, moment in known.items()]


@pytest.mark.parametrize("moment", moments("disk", DISK_MOMENTS))
def test_zombie_on_disk_changes_nothing(moment: Moment, bed: Bed) -> None:
    done = Place(bed).haunt(moment)
    assert not done.problems, "\n".join(done.problems)


@pytest.mark.parametrize("moment", moments("s3", S3_MOMENTS))
def test_zombie_on_s3_changes_nothing(moment: Moment, bed: Bed, server: S3Server) -> None:
    if server.kind == "moto":
        pytest.skip(f"lets several publish one object: {server.why}")
    done = Place(bed, server).haunt(moment)
    assert not done.problems, "\n".join(done.problems)


def test_stopped_launcher_keeps_the_catalogs_lock(bed: Bed, server: S3Server) -> None:
    """In a bucket nothing else keeps a second one away."""
    done = Place(bed, server).haunt(S3_MOMENTS["between event and row"], is_launcher=True)
    assert not done.problems, "\n".join(done.problems)
    assert done.zombie is not None
    assert done.successor is not None
    assert done.zombie.status == 0, done.zombie
    assert (done.successor.status, "it holds the catalog's lock" in done.successor.err) == (1, True), done.successor
