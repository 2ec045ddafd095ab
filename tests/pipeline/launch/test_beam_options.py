"""A run that its cluster could not do safely is refused before it creates anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Copier, LakeFiles, copier, sample, sample_lakes
from tests.pipeline.launch.test_flink_cluster import GOOD
from tests.support.scripted_server import Answer, running_server

__all__ = ["copier", "sample", "sample_lakes"]


@pytest.mark.parametrize(
    ("path", "answer", "status", "message"),
    [
        pytest.param("/overview", {"flink-version": "1.19.3", "slots-total": 1}, 2, "has 1 slots", id="too few slots"),
        pytest.param("/jobmanager/config", [], 2, "restart-strategy.type 'unset'", id="no restarts"),
        pytest.param("/overview", None, 1, "answers with status 404", id="not Flink"),
    ],
)
def test_unsafe_cluster_is_told_before_anything_is_created(
    path: str, answer: Any, status: int, message: str, sample: Callable[..., LakeFiles], copier: Callable[..., Copier],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    copy = copier(sample(first=8, ledgers=4).root, ledger_start=8, ledger_end=11, partition_size=4)
    copy.settings["perf"] |= {"workers": 2, "shared_filesystem": True}
    said = {**GOOD, path: answer}
    before = {*copy.root.iterdir(), copy.config}

    with running_server(
        lambda request: Answer(
            404 if said.get(request.path) is None else 200, body=json.dumps(said[request.path]).encode()
        )
    ) as cluster:
        options = [f"--flink_master={cluster.url.removeprefix('http://')}", "--job_endpoint=127.0.0.1:1"]
        config = '--environment_config={"command": "/opt/worker"}'
        ran = copy.run("run", "--", "--runner=FlinkRunner", *options, config)

    assert (ran.status, message in ran.err) == (status, True), ran
    assert {*copy.root.iterdir()} == before
