"""Every command's JSON against the schemas of docs/json.md: one document on standard output, nothing else, all keys."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.e2e.conftest import REPOSITORY, Copier, LakeFiles, call

PAGE = REPOSITORY / "docs" / "json.md"
SCHEMAS = {
    schema["$id"]: schema
    for block in re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for schema in [yaml.safe_load(block)]
}


@pytest.fixture
def copy(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """The program with a configuration for 24 ledgers in three partitions."""
    return copier(sample(first=8, ledgers=24).root, ledger_start=8, ledger_end=31, partition_size=8)


def closed(schema: Any) -> Any:
    """The schema with every key of every object required, and no other key allowed."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(value) for name, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        found |= {"required": list(schema["properties"]), "additionalProperties": False}
    return found


def validated(text: str) -> dict[str, Any]:
    """The document that `text` is, after comparison with its schema."""
    document = json.loads(text)
    schema = {name: value for name, value in SCHEMAS[document["schema"]].items() if name != "$id"}
    jsonschema.validate(document, closed(schema), jsonschema.Draft202012Validator)
    assert isinstance(document, dict)
    return document


def answer(copy: Copier, *arguments: str) -> dict[str, Any]:
    """The document that the command prints, validated; its exit status is the program's."""
    ran = copy.run(*arguments, "--json")
    document = validated(ran.out)
    assert document["exit_status"] == ran.status
    return document


def test_schemas_refuse_other_documents() -> None:
    document = {"schema": "bronze-copier/clean/1", "exit_status": 0, "removed": []}
    validated(json.dumps(document))
    for wrong in ({**document, "more": 1}, {**document, "removed": [1]}, {"schema": "bronze-copier/clean/1"}):
        with pytest.raises(jsonschema.ValidationError):
            validated(json.dumps(wrong))


def test_run_and_plan_answer_with_documents(copy: Copier) -> None:
    plan = answer(copy, "plan")
    assert (plan["eras"][0]["partitions"], plan["eras"][0]["next_ledger"]) == (3, 8)
    dry = answer(copy, "run", "--dry-run")
    ran = answer(copy, "run")

    assert ran["places"]["events"] == str(copy.root / "pas")
    assert (ran["result"], ran["partitions"]["written"], ran["ledgers"]) == ("done", 3, 24)
    assert (ran["eras"][0]["committed"], ran["eras"][0]["head"]) == (31, copy.heads["standalone/e1/v1"])
    written = [manifest["tables"]["ledgers_lcm_raw"]["checksum"] for manifest in copy.manifests().values()]
    assert [one["checksum"] for one in dry["would_write"]] == written


def test_undone_work_is_in_documents(copy: Copier) -> None:
    for path in copy.lake.rglob("*--20.xdr.zst"):
        path.unlink()
    ran = answer(copy, "run")
    assert (ran["exit_status"], ran["result"], ran["error"]) == (1, "incomplete", None)
    assert [(one["start"], one["error_type"]) for one in ran["failures"]] == [(16, "LakeError")]
    assert [(one["start"], one["blocked_at"]) for one in ran["pending"]] == [(24, 16)]

    shutil.rmtree(copy.parquet((8, 15)).parent)
    plan = answer(copy, "plan")
    assert plan["eras"][0]["missing"] == [{"start": 8, "end": 15}]


@pytest.mark.parametrize("command", ["deliver", "repair", "clean", "status", "doctor"])
def test_other_commands_answer_with_documents(command: str, copy: Copier) -> None:
    copy.run()
    assert answer(copy, command)["schema"] == f"bronze-copier/{command}/1"


def test_audit_and_inspection_answer_with_documents(copy: Copier) -> None:
    copy.run()
    assert answer(copy, "verify", "--level", "rows")["result"] == "holds"
    assert answer(copy, "inspect", "20")["kind"] == "ledger"
    assert answer(copy, "inspect", "16-23")["kind"] == "partition"
    (copy.parquet((16, 23)).parent / "_manifest.json").unlink()
    assert answer(copy, "verify")["result"] == "wrong"


def test_undelivered_events_are_in_documents(copy: Copier) -> None:
    copy.run()
    copy.settings["pas"]["endpoint"] = "http://127.0.0.1:9/secret-token"
    copy.settings["perf"] = {"retry_attempts": 1}
    found = answer(copy, "deliver")
    assert (found["exit_status"], found["has_endpoint"], found["delivered"]) == (5, True, 0)
    assert answer(copy, "run")["places"]["endpoint"] == "http://127.0.0.1:9"


def test_validation_answers_with_a_document(copy: Copier) -> None:
    assert answer(copy, "run", "--validate")["chains"] == ["standalone/e1/v1"]


def test_configuration_is_made_and_shown_as_documents(copy: Copier) -> None:
    copy.settings["authenticity"] = {"anchors": [f"2:{'a' * 64}"]}
    assert answer(copy, "config")["file"] == str(copy.config)
    out = copy.root / "new.yaml"
    ran = call("init", "--lake", copy.lake, "--network", "standalone", "--out", out, "--json")
    made = validated(ran.out)
    assert (ran.status, made["first"], made["last"], made["file"]) == (0, 8, 31, str(out))


def test_sample_answers_with_a_document(tmp_path: Path) -> None:
    arguments = ("sample", tmp_path / "lake", "--ledgers", "8", "--write-config", tmp_path / "c.yaml", "--json")
    made = validated(call(*arguments).out)
    assert (made["existed"], made["ledgers"], made["configuration"]) == (False, 8, str(tmp_path / "c.yaml"))
    assert validated(call(*arguments).out)["existed"] is True


@pytest.mark.parametrize("command", ["run", "plan", "deliver", "repair", "clean", "status", "config", "doctor"])
def test_errors_leave_standard_output_empty(command: str, copy: Copier) -> None:
    copy.settings["storage"]["local_dirr"] = "x"
    ran = copy.run(command, "--json")
    assert (ran.status, ran.out) == (2, "")
    assert "did you mean storage.local_dir?" in ran.err
