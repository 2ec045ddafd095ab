"""Writes templates/dataflow/metadata.json from the settings: ``.venv/bin/python tools/make_template_metadata.py``.

Names, types, defaults and choices are those of `pipeline/settings/model.py`, help texts those of docs/configuration.md.
With ``--check`` nothing is written; exit status 1 when the file is not what it would be.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline import flex_template as template  # noqa: E402
from pipeline.settings import types  # noqa: E402

FILE = ROOT / "templates" / "dataflow" / "metadata.json"
_ROW = re.compile(r"^\| `([\w.]+)` \|.*\| (?P<help>[^|]+?) \|$", re.MULTILINE)
_PLACE = r"^(gs|s3)://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/[^\s?#]*)?$"
_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
#: Of the types of `pipeline.settings.types`, what text they take.
_REGEXES = (
    (types.Identity, _NAME),
    (types.PathSegment, _NAME),
    (types.Prefix, r"^[^/\\\s][^\\\s]*$"),
    (types.SecretVersion, f"^{types.SECRET_VERSION}$"),
)
_OWN: tuple[dict[str, Any], ...] = (
    {
        "name": "lake",
        "label": "Lake",
        "helpText": "The Galexie lake to read: gs://bucket/prefix or s3://bucket/prefix.",
        "regexes": [_PLACE],
    },
    {
        "name": "output",
        "label": "Output",
        "helpText": "Where partitions are published: gs:// or s3://bucket/prefix; storage_prefix is added.",
        "regexes": [_PLACE],
    },
    {
        "name": "state",
        "label": "Checkpoints",
        "helpText": "Where the checkpoint of each chain is kept: gs://bucket/prefix.",
        "regexes": [_PLACE],
    },
    {
        "name": "pas_events",
        "label": "Audit events",
        "helpText": "Where audit events are kept: gs://bucket/prefix. Needed when pas_enabled is true.",
        "regexes": [_PLACE],
        "isOptional": True,
    },
    {
        "name": "config",
        "label": "Settings",
        "helpText": "A YAML file of settings, gs://bucket/config.yaml, for several eras and lists. Parameters win.",
        "regexes": [r"^gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]/\S+$"],
        "paramType": "GCS_READ_FILE",
        "isOptional": True,
    },
    {
        "name": "commit_while_encoding",
        "label": "Commit while encoding",
        "helpText": "A streaming job: partitions are committed while others are encoded.",
        "regexes": ["^(true|false)$"],
        "paramType": "BOOLEAN",
        "isOptional": True,
    },
)


def help_texts() -> dict[str, str]:
    """What docs/configuration.md says of each key."""
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    return {match[1]: _plain(match["help"]) for match in _ROW.finditer(page)}


def _plain(text: str) -> str:
    text = re.sub(r"[`*]", "", text).strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def described(parameter: template.SettingParameter, text: str) -> dict[str, Any]:
    """The description of one parameter."""
    kind, choices = _kind(parameter.kind)
    words = ": ".join(str(part).replace("_", " ") for part in parameter.path)
    found: dict[str, Any] = {
        "name": parameter.name,
        "label": words[:1].upper() + words[1:],
        "helpText": text,
        "isOptional": True,
        "paramType": kind,
        "regexes": [_regex(parameter.kind, kind, choices)],
    }
    if choices:
        found["enumOptions"] = [{"value": one} for one in choices]
    default = parameter.default
    if default not in (None, ""):  # no defaultValue: the console would send it, and it would win over `config`
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        found["helpText"] += f" Default: {shown}."
    return found


def _kind(annotated: Any) -> tuple[str, list[str]]:
    alternatives = [one for one in get_args(annotated) if one is not type(None)] or [annotated]
    base = alternatives[0]
    while get_origin(base) is not None and get_origin(base) is not Literal:
        base = get_args(base)[0]
    if get_origin(base) is Literal:
        return "ENUM", [one for one in get_args(base) if one]
    return {bool: "BOOLEAN", int: "NUMBER"}.get(base, "TEXT"), []


def _regex(annotated: Any, kind: str, choices: list[str]) -> str:
    if kind == "ENUM":
        return f"^({'|'.join(map(re.escape, choices))})$"
    if kind in ("BOOLEAN", "NUMBER"):
        return {"BOOLEAN": "^(true|false)$", "NUMBER": "^[0-9]{1,10}$"}[kind]
    return next((regex for known, regex in _REGEXES if known == annotated), r"^\S(.*\S)?$")


def metadata() -> dict[str, Any]:
    """The whole file.

    Raises:
        KeyError: docs/configuration.md does not say what a key means.
    """
    texts = help_texts()
    settings = [described(one, texts[".".join(map(str, one.path))]) for one in template.setting_parameters()]
    return {
        "name": "Bronze Copier",
        "description": "Copies raw Stellar ledgers from a Galexie lake into verified, immutable parquet partitions.",
        "parameters": [*({"isOptional": False, "paramType": "TEXT", **one} for one in _OWN), *settings],
    }


def main() -> int:
    """Write the file, or compare it."""
    text = json.dumps(metadata(), indent=2, ensure_ascii=False) + "\n"
    if "--check" in sys.argv[1:]:
        return int(not FILE.exists() or FILE.read_text(encoding="utf-8") != text)
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
