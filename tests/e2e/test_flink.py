"""Flink gives the same bytes, chain and catalog as the local runner, whatever dies meanwhile.

Needs Flink's packages (tests/support/flink.py). The first test runs on an embedded cluster. Those with a cluster of
three processes, kills and restarts take some minutes: ``pytest -m full tests/e2e/test_flink.py``.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bronze.job.secrets import DSN_VARIABLE
from bronze.producer import VERSION
from pipeline.sample import SampleOptions, write_sample_lake
from tests.e2e.conftest import REPOSITORY, TABLE, Copier, LakeFiles, RunResult, finish, new_copier, tree, wait_until
from tests.e2e.test_object_stores import Cloud
from tests.support.flink import TEMPLATES, Cluster, Network, Packages, network, packages, running_cluster
from tests.support.growing_lake import GrowingLake
from tests.support.postgres_server import PostgresServer, postgres
from tests.support.processes import command_of, descendants
from tests.support.s3_server import ACCESS_KEY, SECRET_KEY, S3Server, s3_bucket, s3_server

__all__ = ["network", "packages", "postgres", "s3_bucket", "s3_server"]

#: A run of the program on Flink may take so long, in seconds.
LIMIT_S = 240.0


def environment_config(python: str) -> str:
    """Workers from this source tree."""
    return json.dumps({"command": str(TEMPLATES / "worker.sh"), "env": {"BRONZE_PYTHON": python}})


class FlinkCopier:
    """The program, run on Flink in the namespace."""

    def __init__(self, copier: Copier, packages: Packages, network: Network, master: str) -> None:
        self.copier, self._network = copier, network
        copier.settings["perf"] |= {"workers": 2, "shared_filesystem": True}
        copier.settings["logging"] = {"level": "info"}
        self._options = [
            "--runner=FlinkRunner",
            f"--flink_master={master}",
            f"--flink_job_server_jar={packages.job_server}",
            f"--environment_config={environment_config(sys.executable)}",
        ]
        self._python = sys.executable

    def start(self, *arguments: str, options: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Start a run; `options` are further ones of Beam."""
        return self._network.start(
            self._python, "-m", "pipeline.main", "run", "--config", self.copier.config, *arguments,
            "--", *self._options, *options,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY,
        )  # fmt: skip

    def run(self, *arguments: str, options: tuple[str, ...] = ()) -> RunResult:
        """Run it to its end."""
        return ended(self.start(*arguments, options=options))


def ended(process: subprocess.Popen[str]) -> RunResult:
    """How a run ends."""
    return finish(process, LIMIT_S)


@pytest.fixture
def expected(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """What the local runner makes of 24 partitions."""
    lake = sample(first=8, ledgers=96)
    local = copier(lake.root, name="local", ledger_start=8, ledger_end=103, partition_size=4)
    assert local.run().status == 0
    return local


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Poll until `holds`, for as long as a run may take."""
    wait_until(holds, what, limit_s=LIMIT_S, every_s=0.02)


def same(flink: Copier, local: Copier) -> bool:
    """Whether two copies have the same files and the same chain, but for times."""
    assert flink.published() == local.published()
    assert flink.documents() == local.documents()
    assert flink.committed() == local.committed()
    assert flink.checkpoint() == local.checkpoint()
    assert flink.leftovers() == []
    return flink.verified()


def test_embedded_flink_equals_local_copy(
    expected: Copier, copier: Callable[..., Copier], packages: Packages, network: Network
) -> None:
    copy = copier(expected.lake, name="flink", ledger_start=8, ledger_end=103, partition_size=4)
    ran = FlinkCopier(copy, packages, network, "[local]").run()
    assert ran.status == 0, ran.log
    assert ran.lines("partitions") == ["24 written, 0 skipped, 0 failed"]
    assert same(copy, expected)


@pytest.mark.full
def test_workers_of_another_build_publish_nothing(
    expected: Copier, copier: Callable[..., Copier], packages: Packages, network: Network, tmp_path: Path
) -> None:
    """The same sources of another commit: each partition fails with both builds, before anything is written."""
    tree = tmp_path / "tree"
    for part in ("bronze", "pipeline", "transforms", "templates/flink"):
        shutil.copytree(REPOSITORY / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
    copy = copier(expected.lake, name="flink", ledger_start=8, ledger_end=103, partition_size=4)
    other = FlinkCopier(copy, packages, network, "[local]")
    worker = {"command": str(tree / "templates" / "flink" / "worker.sh")}
    environment = {"BRONZE_PYTHON": sys.executable, "BRONZE_COPIER_GIT_SHA": "f" * 40}
    ran = other.run(options=(f"--environment_config={json.dumps({**worker, 'env': environment})}",))
    assert (ran.status, ran.lines("partitions")) == (1, ["0 written, 0 skipped, 24 failed"]), ran.log
    assert f"this worker is bronze-copier v{VERSION} ({'f' * 40})" in ran.out + ran.log
    assert (copy.partitions(), copy.events(), copy.published()) == ([], [], {})


# ------------------------------------------------------------------------- one JobManager and two TaskManagers

#: 240 partitions: some seconds of work, so that there is a middle.
LEDGERS = {"ledger_start": 8, "ledger_end": 487, "partition_size": 2}
SAMPLE = SampleOptions(first=8, ledgers=480)
DATABASE = "flink"
#: As it stands in the connection string; no server asks for it.
PASSWORD = "hunter2hunter2"
SECRETS = (PASSWORD, SECRET_KEY)
MODES = [pytest.param((), id="batch"), pytest.param(("--streaming",), id="streaming")]


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Copier:
    """What the local runner makes of the lake, without a catalog."""
    folder = tmp_path_factory.mktemp("big")
    write_sample_lake(folder / "lake", SAMPLE)
    local = new_copier(folder / "local", folder / "lake", **LEDGERS)
    assert local.run().status == 0
    return local


@pytest.fixture(scope="module")
def catalog(postgres: PostgresServer) -> str:
    """Connection string of the catalog, for programs in the namespace."""
    postgres.new_database(DATABASE)
    return postgres.socket_dsn(DATABASE).replace("postgres@", f"postgres:{PASSWORD}@")


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, packages: Packages, network: Network, catalog: str
) -> Iterator[Cluster]:
    """The cluster; workers find the catalog's secret in its environment."""
    environment = {
        DSN_VARIABLE: catalog,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }
    with running_cluster(tmp_path_factory.mktemp("cluster"), packages, network, environment) as running:
        yield running


@pytest.fixture
def flink(
    tmp_path: Path, big: Copier, packages: Packages, network: Network, cluster: Cluster, catalog: str,
    postgres: PostgresServer,
) -> FlinkCopier:  # fmt: skip
    """A copy of the same lake on the cluster, with an empty catalog."""
    postgres.execute("DROP SCHEMA public CASCADE", DATABASE)
    postgres.execute("CREATE SCHEMA public", DATABASE)
    copy = new_copier(tmp_path / "flink", big.lake, **LEDGERS)
    copy.settings["catalog"] = {"postgres_dsn": catalog}
    return FlinkCopier(copy, packages, network, "127.0.0.1:8081")


def recorded(postgres: PostgresServer) -> list[tuple[object, ...]]:
    """What the catalog says of each partition, once for each row."""
    query = "SELECT ledger_start, ledger_end, row_count, checksum FROM _meta_lineage ORDER BY ledger_start"
    return postgres.execute(query, DATABASE)


def expected_rows(local: Copier) -> list[tuple[object, ...]]:
    """What it has to say."""
    tables = {part: found["tables"][TABLE] for part, found in local.manifests().items()}
    return [(*part, table["row_count"], table["checksum"]) for part, table in tables.items()]


def is_as_copied_locally(flink: FlinkCopier, big: Copier, postgres: PostgresServer) -> bool:
    """Whether bytes, chain and catalog are those of the local copy."""
    assert recorded(postgres) == expected_rows(big)
    del flink.copier.settings["catalog"]  # for what runs outside of the namespace
    # What a killed worker left unfinished goes with the next run.
    assert flink.copier.run("--allow-relative").lines("partitions") == ["0 written, 0 skipped, 0 failed"]
    return same(flink.copier, big)


@pytest.mark.full
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mode", MODES)
def test_cluster_equals_local_copy(
    mode: tuple[str, ...], flink: FlinkCopier, big: Copier, cluster: Cluster, postgres: PostgresServer
) -> None:
    ran = flink.run(options=mode)
    assert ran.status == 0, ran.log
    assert ran.lines("partitions") == ["240 written, 0 skipped, 0 failed"]
    assert "Flink 1.19.3 at 127.0.0.1:8081, parallelism 2" in ran.log
    assert is_as_copied_locally(flink, big, postgres)
    (job,) = (one["jid"] for one in cluster.ask("/jobs/overview")["jobs"] if one["name"] in ran.log)
    shown = json.dumps([cluster.ask(f"/jobs/{job}{path}") for path in ("", "/config", "/exceptions")])
    assert environment_config(sys.executable).replace('"', "") in shown.replace("\\", "").replace('"', "")
    assert all(secret not in text for secret in SECRETS for text in (ran.log, ran.out, shown, cluster.logs()))
    committed_late = _published_after_commit(flink.copier)
    assert (committed_late >= 200) if mode else (committed_late == 0)


def _published_after_commit(copier: Copier) -> int:
    """How many partitions were published after the first one was committed."""
    first = min(path.stat().st_mtime for path in (copier.root / "pas").glob("*_e1_v1_*.json"))
    manifests = copier.folder().glob("range=*/_manifest.json")
    return sum(path.stat().st_mtime > first for path in manifests)


@pytest.mark.full
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mode", MODES)
def test_killed_taskmanager_changes_nothing(
    mode: tuple[str, ...], flink: FlinkCopier, big: Copier, cluster: Cluster, postgres: PostgresServer
) -> None:
    """Its workers outlive it for a while: what they do then is done twice."""
    program = flink.start(options=mode)
    _wait_for_progress(program, flink.copier)
    cluster.kill("taskmanager-1")
    assert len(flink.copier.committed()) < 240
    cluster.start_taskmanager(1)
    ran = ended(program)
    assert ran.status == 0, ran.log
    assert is_as_copied_locally(flink, big, postgres)


def _wait_for_progress(program: subprocess.Popen[str], copier: Copier) -> None:
    """Wait until 30 partitions are published."""
    eventually(lambda: len(copier.partitions()) >= 30 or program.poll() is not None, "partitions")
    assert program.poll() is None, program.communicate()


@pytest.mark.full
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mode", MODES)
def test_worker_stopped_within_a_commit_changes_nothing(
    mode: tuple[str, ...], flink: FlinkCopier, big: Copier, cluster: Cluster, postgres: PostgresServer
) -> None:
    """Stopped between event and row, it outlives its TaskManager, and goes on when all is done."""
    program = flink.start(options=mode)
    _wait_for_progress(program, flink.copier)
    number, workers = _stop_within_a_commit(program, flink.copier, cluster, postgres)
    cluster.kill(f"taskmanager-{number}")
    cluster.start_taskmanager(number)
    ran = ended(program)
    assert ran.status == 0, ran.log

    before = _everything(flink.copier, postgres)
    for worker in workers:
        os.kill(worker, signal.SIGCONT)
    eventually(lambda: not any(command_of(worker) for worker in workers), "the end of the zombies")
    assert _everything(flink.copier, postgres) == before
    assert is_as_copied_locally(flink, big, postgres)


def _stop_within_a_commit(
    program: subprocess.Popen[str], copy: Copier, cluster: Cluster, postgres: PostgresServer
) -> tuple[int, list[int]]:
    """Stop the workers of a TaskManager while one of them commits: its number, and they.

    An event has no row, for as long as they are stopped, and they hold no lock that others would wait for.
    """

    def lacks_rows() -> bool:
        return len(list((copy.root / "pas").glob("*_e1_v1_*.json"))) > len(recorded(postgres))

    numbers = itertools.cycle((1, 2))
    while program.poll() is None:
        number = next(numbers)
        workers = [one for one in descendants(cluster.process(f"taskmanager-{number}")) if "worker" in command_of(one)]
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        if workers and lacks_rows() and not any(map(_holds_lock, workers)):
            time.sleep(0.2)  # what others have begun is done by then
            if lacks_rows():
                return number, workers
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
    raise AssertionError(f"no commit was met: {program.communicate()}")


def _holds_lock(process: int) -> bool:
    """Whether it has a lock file open."""
    handles = Path(f"/proc/{process}/fd").iterdir()
    return any(str(one.readlink()).removesuffix(" (deleted)").endswith(".lock") for one in handles)


def _everything(copy: Copier, postgres: PostgresServer) -> list[object]:
    """Every file and every row."""
    rows = postgres.execute("SELECT * FROM _meta_lineage ORDER BY id", DATABASE)
    return [rows, *(tree(copy.root / part) for part in ("data", "pas", "state"))]


def cancel_the_job(cluster: Cluster) -> None:
    """Cancel the one that runs."""
    (job,) = cluster.jobs("RUNNING")
    cluster.ask(f"/jobs/{job}?mode=cancel", "PATCH")


@pytest.mark.full
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("disturb", [Cluster.restart, cancel_the_job], ids=["restart of the cluster", "cancelled job"])
def test_lost_job_is_resumed(
    disturb: Callable[[Cluster], None],
    mode: tuple[str, ...],
    flink: FlinkCopier,
    big: Copier,
    cluster: Cluster,
    postgres: PostgresServer,
) -> None:
    program = flink.start(options=mode)
    _wait_for_progress(program, flink.copier)
    disturb(cluster)
    ran = ended(program)
    assert (ran.status, "run again to resume" in ran.log) == (1, True), ran.log
    again = flink.run(options=mode)
    assert again.status == 0, again.log
    assert is_as_copied_locally(flink, big, postgres)


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_stop_leaves_no_job_behind(flink: FlinkCopier, big: Copier, cluster: Cluster, postgres: PostgresServer) -> None:
    program = flink.start(options=("--streaming",))
    _wait_for_progress(program, flink.copier)
    program.send_signal(signal.SIGTERM)
    ran = ended(program)
    assert ran.status == 143, ran.log
    assert cluster.jobs("RUNNING") == []
    again = flink.run(options=("--streaming",))
    assert again.status == 0, again.log
    assert is_as_copied_locally(flink, big, postgres)


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_job_without_launcher_harms_no_successor(
    flink: FlinkCopier, big: Copier, cluster: Cluster, postgres: PostgresServer
) -> None:
    """It goes on while the next run copies the same: no lock keeps them apart."""
    program = flink.start(options=("--streaming",))
    _wait_for_progress(program, flink.copier)
    program.kill()
    program.communicate()
    assert len(cluster.jobs("RUNNING")) == 1
    again = flink.run(options=("--streaming",))
    assert again.status == 0, again.log
    eventually(lambda: cluster.jobs("RUNNING") == [], "the end of the abandoned job")
    assert is_as_copied_locally(flink, big, postgres)


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_growing_lake_is_followed(
    flink: FlinkCopier, big: Copier, cluster: Cluster, postgres: PostgresServer, tmp_path: Path
) -> None:
    """A TaskManager dies, a ledger is late, one is damaged, the job is cancelled; the rest comes at once."""
    copy, options = flink.copier, ("--streaming",)
    lake = growing_lake(big, tmp_path / "growing")
    copy.settings["source"] |= {"local_path": str(lake.root), "poll_seconds": 1}
    lake.add(*range(8, 18))
    program = flink.start("--follow", options=options)
    eventually(lambda: copy.checkpoint() >= 17 or program.poll() is not None, "the backfill")
    assert program.poll() is None, program.communicate()

    delays = [_delay(copy, lake, last) for last in range(19, 40, 2)]
    assert max(delays) < 30, delays
    cluster.kill("taskmanager-2")
    cluster.start_taskmanager(2)
    delays = [_delay(copy, lake, last) for last in range(41, 50, 2)]

    lake.add(51, 52, 53)  # a gap: 50 comes late
    eventually(lambda: (52, 53) in copy.partitions(), "the partition behind the gap")
    assert copy.checkpoint() == 49
    lake.add(20, 21)  # exported again, the same
    lake.add(50)
    eventually(lambda: copy.checkpoint() >= 53, "the commit behind the gap")
    lake.add(54)
    lake.export(55, lake.full.path(55).read_bytes()[:-9])  # damaged, and exported again
    jobs = len(cluster.ask("/jobs/overview")["jobs"])
    eventually(lambda: len(cluster.ask("/jobs/overview")["jobs"]) > jobs, "another attempt")
    assert copy.checkpoint() == 53
    delays.append(_delay(copy, lake, 55))
    cancel_the_job(cluster)
    ran = ended(program)
    assert (ran.status, "run again to resume" in ran.log) == (1, True), ran.log

    program = flink.start("--follow", options=options)
    lake.add(*range(56, 488))
    ran = ended(program)  # by itself, where the era ends
    assert ran.status == 0, ran.log
    assert is_as_copied_locally(flink, big, postgres)
    print(f"seconds from a partition's last object to its commit: {delays}")


def growing_lake(big: Copier, root: Path) -> GrowingLake:
    """A lake that has nothing yet of the big one."""
    root.mkdir()
    shutil.copy(big.lake / ".config.json", root)
    return GrowingLake(LakeFiles(big.lake, SAMPLE.layout), root)


def _delay(copy: Copier, lake: GrowingLake, last: int) -> float:
    """Seconds from the last object of the partition that ends at `last` to its commit."""
    lake.add(last - 1, last)
    started = time.monotonic()
    eventually(lambda: copy.checkpoint() >= last, f"the commit of {last}")
    return time.monotonic() - started


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_stop_ends_a_following_job(flink: FlinkCopier, big: Copier, cluster: Cluster, tmp_path: Path) -> None:
    lake = growing_lake(big, tmp_path / "growing")
    flink.copier.settings["source"] |= {"local_path": str(lake.root), "poll_seconds": 1}
    lake.add(*range(8, 18))
    program = flink.start("--follow", options=("--streaming",))
    eventually(lambda: flink.copier.checkpoint() >= 17 or program.poll() is not None, "the backfill")
    program.send_signal(signal.SIGTERM)
    ran = ended(program)
    assert (ran.status, cluster.jobs("RUNNING")) == (143, []), ran.log
    assert flink.copier.committed()[-1] == (16, 17)


@pytest.mark.full
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mode", MODES)
def test_copy_between_buckets_equals_local_copy(
    mode: tuple[str, ...], flink: FlinkCopier, big: Copier, network: Network, s3_server: S3Server, s3_bucket: str
) -> None:
    """Nothing but the bucket is shared."""
    copy, s3 = flink.copier, Cloud("s3", s3_bucket, s3_server.url)
    s3.fill(big.lake)
    copy.settings["source"] = s3.source()
    s3.write_to(copy)
    copy.settings["perf"]["shared_filesystem"] = False
    with network.forward(int(s3_server.url.rpartition(":")[2])):
        ran = flink.run(options=mode)
    assert ran.status == 0, ran.log
    assert [key for key in s3.objects() if "_runs/" in key or "_temporary/" in key] == []
    s3.fetch(copy)
    assert copy.published() == big.published()
    assert copy.documents() == big.documents()
    assert copy.committed() == big.committed()
