"""Flink gives the same bytes, chain and catalog as the local runner, whatever dies meanwhile.

Needs Flink's packages (tests/support/flink.py). The first test runs on an embedded cluster. Those with a cluster of
three processes, kills and restarts take some minutes: ``pytest -m full tests/e2e/test_flink.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.e2e.conftest import REPOSITORY, Copier, LakeFiles, RunResult
from tests.support.flink import TEMPLATES, Network, Packages, network, packages

__all__ = ["network", "packages"]

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
    try:
        out, err = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return RunResult(process.returncode, out, err)


@pytest.fixture
def expected(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """What the local runner makes of 24 partitions."""
    lake = sample(first=8, ledgers=96)
    local = copier(lake.root, name="local", ledger_start=8, ledger_end=103, partition_size=4)
    assert local.run().status == 0
    return local


def same(flink: Copier, local: Copier) -> bool:
    """Whether two copies have the same files and the same chain, but for times."""
    assert flink.published() == local.published()
    assert flink.documents() == local.documents()
    assert flink.committed() == local.committed()
    assert flink.checkpoint() == local.checkpoint()
    return flink.leftovers() == [] and flink.verified()


def test_embedded_flink_equals_local_copy(
    expected: Copier, copier: Callable[..., Copier], packages: Packages, network: Network
) -> None:
    copy = copier(expected.lake, name="flink", ledger_start=8, ledger_end=103, partition_size=4)
    ran = FlinkCopier(copy, packages, network, "[local]").run()
    assert ran.status == 0, ran.log
    assert ran.lines("partitions") == ["24 written, 0 skipped, 0 failed"]
    assert same(copy, expected)
