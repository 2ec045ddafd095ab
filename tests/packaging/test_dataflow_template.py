"""The Flex Template: its description follows the settings and is what Google's client takes."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from google.cloud import dataflow_v1beta3
from google.protobuf import json_format

from pipeline.flex_template import OWN, setting_parameters
from pipeline.launch.dataflow_options import DEFAULTS

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "templates" / "dataflow"


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


MAKER = module(ROOT / "tools" / "make_template_metadata.py")
METADATA: dict[str, Any] = json.loads((TEMPLATE / "metadata.json").read_text(encoding="utf-8"))


def test_metadata_follows_settings_and_their_page() -> None:
    """Otherwise run ``.venv/bin/python tools/make_template_metadata.py``."""
    assert MAKER.metadata() == METADATA


def test_metadata_is_what_google_takes() -> None:
    parsed = json_format.ParseDict(METADATA, dataflow_v1beta3.TemplateMetadata()._pb)
    assert [one.name for one in parsed.parameters] == [*OWN, *(one.name for one in setting_parameters())]
    for one in parsed.parameters:
        assert one.help_text, one.name
        assert one.label, one.name
        assert [re.compile(regex) for regex in one.regexes], one.name


def test_regexes_take_defaults_and_refuse_others() -> None:
    regexes = {one["name"]: re.compile(one["regexes"][0]) for one in METADATA["parameters"]}
    for one in setting_parameters():
        if one.default not in (None, "") and not hasattr(one.default, "get_secret_value"):
            text = str(one.default).lower() if isinstance(one.default, bool) else str(one.default)
            assert regexes[one.name].fullmatch(text), (one.name, text)
    for name, wrong in (
        ("lake", "/data"), ("lake", "https://host/x"), ("era_era_id", "../x"), ("era_ledger_start", "-1"),
        ("catalog_postgres_dsn_secret", "postgresql://me:secret@host/db"), ("bronze_compression", "gzip"),
        ("pas_enabled", "yes"), ("storage_prefix", "/x"),
    ):  # fmt: skip
        assert not regexes[name].fullmatch(wrong), (name, wrong)
    assert regexes["lake"].fullmatch("s3://aws-public-blockchain/v1.1/stellar/ledgers/pubnet")
    assert regexes["catalog_postgres_dsn_secret"].fullmatch("projects/p1/secrets/dsn/versions/latest")


def test_template_file_is_what_google_takes() -> None:
    made = subprocess.run(
        [sys.executable, "-I", TEMPLATE / "make_spec.py", "us-docker.pkg.dev/p/b/copier:2", TEMPLATE / "metadata.json"],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    spec = json_format.ParseDict(json.loads(made.stdout), dataflow_v1beta3.ContainerSpec()._pb)
    environment = spec.default_environment
    assert spec.image == environment.sdk_container_image == "us-docker.pkg.dev/p/b/copier:2"
    assert DEFAULTS["machine_type"] == environment.machine_type
    assert int(DEFAULTS["disk_size_gb"]) == environment.disk_size_gb
    assert int(DEFAULTS["max_num_workers"]) == environment.max_workers


def test_build_files_name_what_is_there() -> None:
    """Every file that Dockerfile and cloudbuild.yaml take from the tree, and every step's image."""
    build = yaml.safe_load((TEMPLATE / "cloudbuild.yaml").read_text(encoding="utf-8"))
    text = "\n".join(str(argument) for step in build["steps"] for argument in step["args"])
    docker = (TEMPLATE / "Dockerfile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w/])((?:templates/dataflow/[\w.]+)|requirements\.txt)", text + docker))
    assert named >= {"requirements.txt", "templates/dataflow/Dockerfile", "templates/dataflow/metadata.json"}
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert set(build["substitutions"]) == {"_IMAGE", "_TEMPLATE", "_GIT_SHA"}
    beam = next(line for line in (ROOT / "requirements.txt").read_text().splitlines() if line.startswith("apache-beam"))
    assert re.search(r"^ARG BEAM=(.*)$", docker, re.MULTILINE)[1] in beam  # type: ignore[index]
