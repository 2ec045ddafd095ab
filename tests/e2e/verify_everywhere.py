"""Copies a generated lake to disk, S3 and GCS, and verifies each copy at every level: nothing may be found.

``python -m tests.e2e.verify_everywhere --ledgers 10000`` prints a line for each place and level; it exits with 1 when
a level finds anything, or checked less than everything. About ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.sample import SampleOptions, write_sample_lake
from pipeline.settings.load import VARIABLES
from tests.e2e.conftest import Copier, RunResult, call, new_copier
from tests.e2e.test_object_stores import Cloud
from tests.support.gcs_server import running_gcs_server
from tests.support.s3_server import REGION, environment, running_s3_server

FIRST = 2
LEVELS = ("manifests", "files", "rows", "source")


def sample_options(ledgers: int) -> SampleOptions:
    """A lake of so many ledgers of all protocols."""
    return SampleOptions(first=FIRST, ledgers=ledgers, ledgers_per_file=10, transactions=2)


@dataclass(frozen=True)
class Checked:
    """What `verify` said of a place at a level.

    Attributes:
        problems: what it found, and what it did not check although it should have; a line each.
    """

    place: str
    level: str
    seconds: float
    problems: list[str]


def verify_everywhere(
    root: Path, ledgers: int, size: int, clouds: Sequence[Cloud], *, levels: Sequence[str] = LEVELS
) -> Iterator[Checked]:
    """Copy to a directory and to each bucket, and verify the copies: by configuration and by nothing but their URLs.

    Args:
        root: an empty directory.
        size: ledgers of a partition.
    """
    options = sample_options(ledgers)
    lake = write_sample_lake(root / "lake", options).root
    for cloud in (None, *clouds):
        place = cloud.scheme if cloud else "disk"
        keys = {"ledger_start": FIRST, "ledger_end": FIRST + ledgers - 1, "partition_size": size}
        copy = new_copier(root / place, lake, settings={"perf": {"workers": 2}}, **keys)
        if cloud:
            cloud.fill(lake)
            copy.settings["source"] = cloud.source()
            cloud.write_to(copy)
        ran = copy.run()
        assert ran.status == 0, f"{place}: {ran}"
        for level in levels:
            begun = time.monotonic()
            found = copy.run("verify", "--level", level, "--json")
            seconds = time.monotonic() - begun
            problems = [f"by configuration: {one}" for one in problems_of(found, level, ledgers, size)]
            found = call("verify", *_by_url(copy, cloud), "--level", level, "--json")
            problems += [f"by URL: {one}" for one in problems_of(found, level, ledgers, size)]
            yield Checked(place, level, seconds, problems)


def _by_url(copy: Copier, cloud: Cloud | None) -> list[str]:
    if cloud is None:
        return [str(copy.root / "data/bronze"), "--chain", str(copy.root / "pas"), "--lake", str(copy.lake)]
    options = ["--endpoint", cloud.endpoint, "--region", REGION] if cloud.endpoint else []
    base = f"{cloud.scheme}://{cloud.bucket}"
    # The options of an endpoint are of the destination: the lake may be somebody else's.
    return [f"{base}/data/bronze", *options, "--chain", f"{base}/pas", "--lake", str(copy.lake)]


def problems_of(ran: RunResult, level: str, ledgers: int, size: int) -> Iterator[str]:
    """What is not as a good destination gives it, a line each."""
    try:
        document = json.loads(ran.out)
        (era,) = document["eras"]
    except (ValueError, KeyError) as error:
        yield f"{error}: {ran}"
        return
    yield from (str(finding) for finding in era["findings"])
    partitions = -(-ledgers // size)
    expected: dict[str, Any] = {
        "verdict": "HOLDS",
        "level": level,
        "partitions": partitions,
        "looked_into": partitions,
        "events": partitions,
        "rows": ledgers,
        "checked_rows": ledgers if level in ("rows", "source") else 0,
        "gaps": [],
        "last": FIRST + ledgers - 1,
    }
    yield from (f"{key} is {era[key]}, expected {right}" for key, right in expected.items() if era[key] != right)
    if (ran.status, document["result"]) != (0, "holds"):
        yield f"the exit status is {ran.status}, the result {document['result']}"


def main() -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.verify_everywhere", description=__doc__)
    parser.add_argument("--ledgers", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=100, help="ledgers of a partition")
    options = parser.parse_args()
    for name in (*VARIABLES, "CONFIG_FILE"):
        os.environ.pop(name, None)
    bad = 0
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="verify-everywhere-"))
        s3, gcs = stack.enter_context(running_s3_server()), stack.enter_context(running_gcs_server())
        os.environ.update(environment(), STORAGE_EMULATOR_HOST=gcs.url)
        clouds = [Cloud("s3", s3.new_bucket(), s3.url), Cloud("gs", gcs.new_bucket())]
        for one in verify_everywhere(Path(folder), options.ledgers, options.size, clouds):
            bad += bool(one.problems)
            speed = f"{options.ledgers / one.seconds:>8,.0f} ledgers/s"
            print(
                f"{one.place:5} {one.level:10} {one.seconds:7.1f} s {speed}  {len(one.problems)} problems", flush=True
            )
            for problem in one.problems[:20]:
                print(f"    {problem}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
