"""Beam imported for the local runner, each time in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

#: What Beam imports by itself where it finds them, a module of each client.
CLIENTS = ["apitools.base.py", "boto3", "bson", "google.auth", "google.cloud.storage", "oauth2client", "pymongo"]

CHILD = """
import importlib, json, logging, sys
logging.basicConfig(stream=sys.stderr, level=logging.INFO)
loaded_before = {name: importlib.import_module(name) for name in json.loads(sys.argv[1])}
from pipeline.launch.beam_import import import_beam
import_beam(json.loads(sys.argv[2]))
found = {"hidden": [name for name, module in sys.modules.items() if module is None]}
import apache_beam, pipeline.launch.local_runner, transforms.graph, transforms.verify
found["clients"] = [name for name in json.loads(sys.argv[3]) if name in sys.modules]
found["unchanged"] = all(importlib.import_module(name) is module for name, module in loaded_before.items())
found["importable"] = [name for name in json.loads(sys.argv[3]) if importlib.import_module(name)]
print(json.dumps(found))
"""


def child(loaded: list[str], beam_arguments: list[str]) -> dict[str, Any]:
    """What a process sees that imports Beam so, after it has `loaded` these modules."""
    arguments = map(json.dumps, (loaded, beam_arguments, CLIENTS))
    ran = subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("loaded", [[], ["google.auth"], ["google.cloud.logging"], ["boto3", "oauth2client"]])
def test_clients_are_left_out_and_stay_importable(loaded: list[str]) -> None:
    found = child(loaded, [])
    # google.cloud.logging brings clients of its own
    expected = {*loaded, "google.auth"} if "google.cloud.logging" in loaded else {*loaded}
    assert set(found["clients"]) == expected & set(CLIENTS)
    assert found["hidden"] == []
    assert found["unchanged"]
    assert found["importable"] == CLIENTS


@pytest.mark.parametrize("runner", ["FlinkRunner", "DataflowRunner"])
def test_distributed_runners_get_all_of_beam(runner: str) -> None:
    found = child([], ["--runner", runner])
    assert found["clients"] == CLIENTS


def test_imports_are_kept_from_garbage_collector() -> None:
    program = (
        "import gc; from pipeline.launch.beam_import import import_beam; import_beam();"
        " print(gc.isenabled(), gc.get_freeze_count() > 100_000, len(gc.get_objects()) < 10_000)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ran.stdout.split(), ran.stderr) == (["True"] * 3, "")
