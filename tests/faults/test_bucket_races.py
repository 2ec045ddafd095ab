"""Several copiers at once into one bucket end with one chain; ledgers that are published twice are told and ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.bed import Bed
from tests.faults.bucket_races import BUCKET_KINDS, Services, race_in_bucket, running_services
from tests.faults.races import remove

#: What runs by default; all of it with ``-m ""``.
CHOSEN = [("gs", "different sizes"), ("s3", "different ends")]


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    with running_services() as found:
        yield found


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("scheme", "name"),
    [
        (scheme, name) if (scheme, name) in CHOSEN else pytest.param(scheme, name, marks=pytest.mark.full)
        for scheme in ("s3", "gs")
        for name in BUCKET_KINDS
    ],
)
def test_copiers_racing_in_bucket_make_one_chain(scheme: str, name: str, bed: Bed, services: Services) -> None:
    if scheme == "s3" and services.s3.kind == "moto":
        pytest.skip(f"lets several publish one object: {services.s3.why}")
    raced = race_in_bucket(bed, services, scheme, BUCKET_KINDS[name], f"{scheme} {name}")
    assert not raced.problems, f"{raced.ended}\n" + "\n".join(raced.problems)
    remove(raced)
