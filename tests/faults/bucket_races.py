"""Several copiers at once whose destination is a bucket, where no lock keeps them apart: see `tests.faults.races`."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bronze.storage.opening import open_store
from tests.e2e.conftest import Copier, RunResult, wait_until
from tests.e2e.test_object_stores import Cloud
from tests.faults.bed import Bed
from tests.faults.compare import chain_problems, count_rows, duplicates
from tests.faults.program import finish, run, start
from tests.faults.races import Kind, Raced, earlier_end, other_era, rival_of, same, settle_sizes, size, untold
from tests.faults.steps import FIRST, LAST
from tests.support.gcs_server import GcsServer, running_gcs_server
from tests.support.s3_server import S3Server, environment, running_s3_server

BUCKET_KINDS = {
    one.name: one
    for one in [
        Kind("three of the same range", (same, same)),
        Kind("different ends", (earlier_end, same)),
        Kind("different sizes", (size(5), size(2)), mixes_sizes=True),
        Kind("different eras", (other_era, same)),
    ]
}


@dataclass(frozen=True)
class Services:
    """An S3 and a GCS server."""

    s3: S3Server
    gcs: GcsServer

    def new(self, scheme: str) -> Cloud:
        """A new bucket of one of them: ``s3`` or ``gs``."""
        if scheme == "s3":
            return Cloud("s3", self.s3.new_bucket(), self.s3.url)
        return Cloud("gs", self.gcs.new_bucket())

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs to reach them."""
        return {**environment(), "STORAGE_EMULATOR_HOST": self.gcs.url}


@contextmanager
def running_services() -> Iterator[Services]:
    """Both servers, and the variables of this process that reach them, until the end of the block."""
    with ExitStack() as stack:
        services = Services(stack.enter_context(running_s3_server()), stack.enter_context(running_gcs_server()))
        before = {name: os.environ.get(name) for name in services.variables}
        os.environ.update(services.variables)
        try:
            yield services
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def race_in_bucket(bed: Bed, services: Services, scheme: str, kind: Kind, seed: str) -> Raced:
    """Start the copiers, all but the first at once or after some partitions of the first; check what they leave."""
    rng = random.Random(seed)
    cloud, copy = services.new(scheme), bed.copy()
    cloud.write_to(copy)
    done = Raced(copy)
    rivals = [rival_of(copy, change, f"rival{number}") for number, change in enumerate(kind.others)]
    begun = rng.choice([0, 0, 1, 4, 8])

    def follow(one: Copier = copy) -> RunResult:
        return run(one, **services.variables)

    def remove_partition(part: tuple[int, int]) -> None:
        shutil.rmtree(copy.parquet(part).parent)
        folder = copy.parquet(part).parent.relative_to(copy.root).as_posix()
        store = open_store(cloud.location())
        for key in cloud.objects(folder):
            store.delete(key)

    try:
        processes = [start(copy, **services.variables)]
        wait_until(
            lambda: (
                processes[0].poll() is not None
                or sum(key.endswith("_manifest.json") for key in cloud.objects("data")) >= begun
            ),
            f"{begun} manifests",
        )
        processes += [start(rival, **services.variables) for rival in rivals]
        done.ran = [finish(process) for process in processes]
        done.problems += [problem for ran in done.ran for problem in untold(ran)]
        _fetch(cloud, copy)
        if kind.mixes_sizes:
            done.problems += settle_sizes(copy, [ran.status for ran in done.ran], follow, remove_partition)
        for one in [copy] if kind.mixes_sizes else [copy, *rivals]:
            again = follow(one)
            if again.status:
                done.problems.append(f"the run that follows ends with {again.status}: {again}")
        _fetch(cloud, copy)
        done.problems += [*chain_problems(copy), *duplicates(copy)]
        if kind.others[0] is other_era:
            done.problems += chain_problems(rivals[0])
        for era_id in ["e1", *(["e2"] if kind.others[0] is other_era else [])]:
            if count_rows(copy, era_id) != dict.fromkeys(range(FIRST, LAST + 1), 1):
                done.problems.append(f"{era_id}: the README's query does not count every ledger once")
            if sorted(copy.committed(era_id)) != copy.partitions(era_id):
                done.problems.append(f"{era_id}: committed are {copy.committed(era_id)}")
    except (AssertionError, subprocess.TimeoutExpired) as error:
        done.problems.append(f"{type(error).__name__}: {error}")
    return done


def _fetch(cloud: Cloud, copy: Copier) -> None:
    for part in ("data", "pas", "state"):
        shutil.rmtree(copy.root / part, ignore_errors=True)
    cloud.fetch(copy)
