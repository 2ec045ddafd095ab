"""The command ``bronze-copier config``: every setting with its value and where it comes from."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.commands.configured import CONFIG_OPTIONS, PUBLISH_PARTIAL, chosen_eras, load_settings, verbosity
from pipeline.commands.options import JSON, Options
from pipeline.exit_status import DONE

if TYPE_CHECKING:
    from pipeline.settings.effective import EffectiveSetting

DESCRIPTION = """\
Prints every setting, where its value comes from (the default, a line of the file, a variable of the environment, or the
command line), the value, and what that means here where it does not say it itself: the absolute path of a relative one,
the number of workers. Passwords and tokens are masked. Asks no service; writes nothing.
"""
EXAMPLES = """\
  bronze-copier config --config config.yaml
  bronze-copier config --config config.yaml --json
"""
EXIT_STATUS = """\
  0  done
  2  the configuration or the command line is wrong; every problem is listed
"""
#: Version of the JSON document: keys are only added.
SCHEMA = "bronze-copier/config/1"


OPTIONS = (*CONFIG_OPTIONS, PUBLISH_PARTIAL, JSON)


def run(options: Options) -> int:
    """Print the settings."""
    settings = load_settings(options, needs_lake=True)
    from pipeline.commands.output import print_json, print_lines
    from pipeline.settings.effective import effective_settings
    from pipeline.settings.load import load_with_origins

    settings.active(chosen_eras(options) or None)  # names an era that does not exist
    _, origins = load_with_origins(options.config)
    given = options.config or os.environ.get("CONFIG_FILE") or None
    file = None if given is None else str(Path(given).absolute())
    found = list(_with_command_line(effective_settings(settings, origins), options))
    if options.as_json:
        entries = [
            {"key": one.key, "value": one.value, "in_effect": one.in_effect, **_origin_document(one.origin)}
            for one in found
        ]
        print_json({"schema": SCHEMA, "exit_status": DONE, "file": file, "settings": entries})
    else:
        print_lines([f"settings file: {file or 'none'}", *_lines(found, file)])
    return DONE


def _with_command_line(found: list[EffectiveSetting], options: Options) -> Iterator[EffectiveSetting]:
    """The settings as a run with these options takes them."""
    level = {-1: ("warn", "--quiet"), 1: ("debug", "--verbose")}.get(verbosity(options))
    given: dict[str, tuple[object, str]] = {"logging.level": level} if level else {}
    if eras := chosen_eras(options):
        given["active_eras"] = (eras, "--eras")
    if options.publish_partial:
        given["bronze.publish_partial"] = (True, "--publish-partial")
    for one in found:
        if one.key in given:
            value, origin = given[one.key]
            one = dataclasses.replace(one, value=value, in_effect=value, origin=origin)
        yield one


def _lines(found: list[EffectiveSetting], file: str | None) -> Iterator[str]:
    """A line for each setting: key, origin, value; the first two in columns."""
    name = Path(file).name if file else ""
    origins = [one.origin.replace("line ", f"{name}:", 1) for one in found]
    keys, width = max(len(one.key) for one in found), max(map(len, origins))
    for one, origin in zip(found, origins, strict=True):
        means = "" if one.in_effect == one.value else f"  (here {_plain(one.in_effect)})"
        yield f"{one.key:{keys}}  {origin:{width}}  {_plain(one.value)}{means}"


def _plain(value: object) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _origin_document(origin: str) -> dict[str, object]:
    line = int(origin.removeprefix("line ")) if origin.startswith("line ") else None
    kind = "file" if line else "default" if origin == "default" else "environment"
    if origin.startswith("--"):
        kind = "command line"
    return {"origin": kind, "line": line, "name": origin if kind in ("environment", "command line") else None}
