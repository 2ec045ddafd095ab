"""Deployment files can be used, and docs/defaults.md says what the settings say."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from pipeline.settings.model import Settings
from tests.support.flink import DEFAULT_PACKAGES

ROOT = Path(__file__).resolve().parents[1]
UNITS = sorted((ROOT / "templates" / "systemd").iterdir())
MANIFESTS = sorted((ROOT / "templates" / "kubernetes").glob("*.yaml"))
FLINK = ROOT / "templates" / "flink"
OPERATOR = "org.apache.flink:flink-kubernetes-operator-api"
_ROW = re.compile(r"\| `([\w.]+)` \| `([^`]*)` \|")


def defaults(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from defaults(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def test_documented_defaults_are_those_of_the_settings() -> None:
    real = {key: str(value) for key, value in defaults(Settings())}
    stated = dict(_ROW.findall((ROOT / "docs" / "defaults.md").read_text(encoding="utf-8")))
    assert {key: real.get(key) for key in stated} == stated
    rows = [
        line for line in (ROOT / "docs" / "defaults.md").read_text(encoding="utf-8").splitlines() if line[:3] == "| `"
    ]
    assert [row for row in rows if re.search(r"\|\s*\|", row)] == []  # each says what it trades, and when to change it
    assert len(rows) == len(stated) + 2  # and two whose default is said in a word
    # Addresses and names that have no default mean what configuration.md says.
    empty = {key for key, value in real.items() if value in ("", "()", "None", "**********")}
    assert real.keys() - stated.keys() - empty <= {"perf.max_in_flight_partitions"}


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_unit_file_is_well_formed(unit: Path) -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    assert {"Unit", "Install"} <= set(parser.sections())
    if unit.suffix == ".service":
        service = parser["Service"]
        command = service["ExecStart"].split()
        assert command[1:3] == ["run", "--config"]
        assert int(service["TimeoutStopSec"]) >= 15
        assert service["User"] != "root"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_accepts_the_unit(unit: Path) -> None:
    ran = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False, timeout=60)
    own = [line for line in ran.stderr.splitlines() if unit.name in line and "is not executable" not in line]
    assert own == []


def pod_of(document: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = document["spec"]
    if document["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    pod: dict[str, Any] = spec["template"]["spec"]
    return pod


def in_bytes(quantity: str) -> int:
    return int(quantity[:-2]) << {"Mi": 20, "Gi": 30}[quantity[-2:]]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_kubernetes_manifest_is_safe(manifest: Path) -> None:
    document = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    pod = pod_of(document)
    (container,) = pod["containers"]
    assert pod["terminationGracePeriodSeconds"] >= 15
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["args"][:2] == ["run", "--config"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    requested = container["resources"]["requests"]
    workers = int(requested["cpu"])
    assert container["args"][-2:] == ["--", f"--direct_num_workers={workers}"]
    assert in_bytes(requested["memory"]) >= (190 + 260 * workers) * 1_000_000  # docs/performance.md, Bounds
    assert in_bytes(container["resources"]["limits"]["memory"]) >= 1.25 * in_bytes(requested["memory"])
    if document["kind"] == "CronJob":
        assert document["spec"]["concurrencyPolicy"] == "Forbid"
    else:
        assert (document["spec"]["replicas"], document["spec"]["strategy"]) == (1, {"type": "Recreate"})
        assert container["livenessProbe"]["httpGet"]["path"] == "/live"
        assert container["startupProbe"]["httpGet"]["path"] == "/ready"


@pytest.mark.parametrize("version", ["1.30", "1.36"])
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_kubernetes_accepts_the_manifest(manifest: Path, version: str) -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="not installed: see requirements-dev.txt")
    document = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    schemas.validate(document, version, strict=True)
    (container,) = pod_of(document)["containers"]
    container["livenesProbe"] = {"httpGet": {"path": "/live", "port": "metrics"}}
    with pytest.raises(schemas.ValidationError):
        schemas.validate(document, version, strict=True)


def test_flink_examples_are_what_the_launcher_accepts() -> None:
    """The cluster checks of a run, applied to the configuration of the scripts and of the Kubernetes example."""
    script = yaml.safe_load(re.sub(r"@\w+@", "1", (FLINK / "config.yaml").read_text(encoding="utf-8")))
    deployment, policy = yaml.safe_load_all((FLINK / "kubernetes.yaml").read_text(encoding="utf-8"))
    assert (deployment["kind"], policy["kind"]) == ("FlinkDeployment", "NetworkPolicy")
    for settings in (script, deployment["spec"]["flinkConfiguration"]):
        assert settings["restart-strategy.type"] in ("fixed-delay", "exponential-delay")
        assert settings["taskmanager.load-balance.mode"] == "SLOTS"
        assert not any(key.startswith("execution.checkpointing") for key in settings)
    assert deployment["spec"]["mode"] == "standalone"  # otherwise it has no slots before a job asks for some
    (container,) = deployment["spec"]["taskManager"]["podTemplate"]["spec"]["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "bronze-copier-workers"}}]  # never in the options


def operator_schema() -> dict[str, Any]:
    """What the operator's custom resource definition says of a FlinkDeployment, from its jar in Maven's repository."""
    jars = Path.home().glob(f".m2/repository/{OPERATOR.replace('.', '/').replace(':', '/')}/*/*.jar")
    jar = max(jars, default=None)
    if jar is None:
        pytest.skip(f"Maven has not got it: mvn dependency:get -Dtransitive=false -Dartifact={OPERATOR}:1.10.0")
    text = zipfile.ZipFile(jar).read("META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml")
    (version,) = [one for one in yaml.load(text, yaml.CSafeLoader)["spec"]["versions"] if one["name"] == "v1beta1"]
    schema: dict[str, Any] = closed(version["schema"]["openAPIV3Schema"])
    schema["properties"] |= {"apiVersion": {"const": "flink.apache.org/v1beta1"}, "kind": {"const": "FlinkDeployment"}}
    schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}
    return schema


def closed(schema: Any) -> Any:
    """A schema that takes no key which it does not name, as Kubernetes with strict validation."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        made.setdefault("additionalProperties", bool(schema.get("x-kubernetes-preserve-unknown-fields")))
    return made


def test_flink_operator_accepts_the_example() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="not installed: see requirements-dev.txt")
    deployment, _ = yaml.safe_load_all((FLINK / "kubernetes.yaml").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(operator_schema())
    validator.validate(deployment)
    for change in ({"mode": "Standalone"}, {"taskmanager": {}}, {"taskManager": {"replicas": "four"}}):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({**deployment, "spec": {**deployment["spec"], **change}})


def test_flink_leaves_the_workers_their_memory(tmp_path: Path) -> None:
    """Flink's own computation for the Kubernetes example: what it takes for itself, of the container's memory."""
    jars = DEFAULT_PACKAGES / "flink"
    if not jars.is_dir() or shutil.which("java") is None:
        pytest.skip("there are no Flink packages: see templates/flink/get_packages.sh")
    spec = next(yaml.safe_load_all((FLINK / "kubernetes.yaml").read_text(encoding="utf-8")))["spec"]
    resource = spec["taskManager"]["resource"]
    given = {"taskmanager.memory.process.size": resource["memory"], "taskmanager.cpu.cores": resource["cpu"]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**spec["flinkConfiguration"], **given}))
    command = ["java", "-cp", f"{jars}/*", "org.apache.flink.runtime.util.bash.BashJavaUtils", "GET_TM_RESOURCE_PARAMS"]
    ran = subprocess.run([*command, "--configDir", tmp_path], capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
    found = dict(re.findall(r"-D ([\w.-]+)=(\d+)b", ran.stdout))
    slots = int(spec["flinkConfiguration"]["taskmanager.numberOfTaskSlots"])
    assert int(found["taskmanager.memory.task.off-heap.size"]) >= (slots + 1) << 30
    assert int(found["taskmanager.memory.task.heap.size"]) >= 512 << 20


@pytest.mark.parametrize("script", sorted(FLINK.glob("*.sh")), ids=lambda path: path.name)
def test_flink_script_is_well_formed(script: Path) -> None:
    shell = script.read_text(encoding="utf-8").splitlines()[0].rpartition("/")[2].split()[-1]
    ran = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stderr, os.access(script, os.X_OK)) == (0, "", True)
