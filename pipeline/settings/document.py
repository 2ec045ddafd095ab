"""Read a YAML document into dicts, lists and *texts*: the type of a key decides what its scalar means.

YAML infers types (``version_label: 1`` is a number, ``era_id: on`` a boolean, ``era_id: 2023-01-01`` a date), and the
Go copier undid that for keys that hold text. Here no type is inferred: ``1.10`` stays ``1.10`` for a key that takes
text, and is a number for a key that takes a number. Only a plain ``null``, ``~`` or an empty value is None.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import yaml

from bronze.errors import ConfigError
from bronze.redact import redact
from pipeline.settings.problem import KeyPath, Problem

#: Largest settings file, in bytes.
MAX_BYTES = 1 << 20
#: Most keys and values in a file, counted with aliases resolved (aliases of aliases grow exponentially).
MAX_NODES = 20_000
#: Deepest nesting of a file.
MAX_DEPTH = 32

Value: TypeAlias = "str | list[Value] | dict[str, Value] | None"

#: The tags of plain YAML values; any other tag would construct an object of the program.
_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value", "map", "seq")
)


@dataclass(slots=True)
class Document:
    """A settings file as it is written.

    Attributes:
        values: texts, None, lists and dicts, by key.
        lines: the line (from 1) of each key.
        problems: what is wrong with its form, such as a key that is given twice.
    """

    values: dict[str, Value] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_file(path: str | Path) -> Document:
    """Read the settings file at `path`.

    Raises:
        ConfigError: it cannot be read or is larger than `MAX_BYTES`.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"the settings file {str(path)!r} cannot be read: {reason}") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"the settings file {str(path)!r} is larger than {MAX_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"the settings file {str(path)!r} is not valid UTF-8 at byte {error.start}") from None
    return read_text(text)


def read_text(text: str) -> Document:
    """Read a YAML document; problems are collected in `Document.problems`, nothing is raised."""
    document = Document()
    try:
        node = yaml.SafeLoader(text).get_single_node()
        if node is None:
            return document
        values = _Reader(document).read(node, (), ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "line 1"
        about = " ".join(part for part in (error.context, error.problem) if part)
        document.problems.append(Problem((), f"not valid YAML: {redact(about)}", origin=where))
    except yaml.YAMLError as error:
        document.problems.append(Problem((), f"not valid YAML: {redact(' '.join(str(error).split()))}"))
    except RecursionError:
        document.problems.append(Problem((), f"the file is nested deeper than {MAX_DEPTH} levels"))
    else:
        if isinstance(values, dict):
            document.values = values
        elif values is not None:
            message = "the file must consist of keys and values (`key: value`)"
            document.problems.append(Problem((), message, origin="line 1"))
    return document


class _Reader:
    """Turns YAML nodes into values, and adds their lines and problems to a `Document`."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0

    def read(self, node: yaml.Node, path: KeyPath, inside: tuple[int, ...]) -> Value:
        self._nodes += 1
        self._document.lines.setdefault(path, node.start_mark.line + 1)
        if self._nodes > MAX_NODES:
            raise yaml.MarkedYAMLError(
                problem=f"there are more than {MAX_NODES} keys and values", problem_mark=node.start_mark
            )
        if id(node) in inside or len(inside) >= MAX_DEPTH:
            raise yaml.MarkedYAMLError(
                problem=f"it is nested deeper than {MAX_DEPTH} levels or contains itself", problem_mark=node.start_mark
            )
        if node.tag not in _TAGS:
            raise yaml.MarkedYAMLError(problem=f"the tag {node.tag} is not allowed here", problem_mark=node.start_mark)
        inside += (id(node),)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, inside)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index), inside) for index, item in enumerate(node.value)]
        return None if node.tag == "tag:yaml.org,2002:null" else str(node.value)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath, inside: tuple[int, ...]) -> dict[str, Value]:
        merged: dict[str, Value] = {}
        own: dict[str, Value] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == "tag:yaml.org,2002:merge":
                given = self.read(value_node, path, inside)
                for mapping in reversed(given if isinstance(given, list) else [given]):
                    if not isinstance(mapping, dict):
                        raise yaml.MarkedYAMLError(
                            problem="`<<` takes keys and values", problem_mark=value_node.start_mark
                        )
                    merged |= mapping
            elif not isinstance(key_node, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be a scalar", problem_mark=key_node.start_mark)
            elif key_node.value in own:
                message = f"is given twice (first in line {first[key_node.value]})"
                self._document.problems.append(Problem((*path, key_node.value), message, origin=f"line {line}"))
            else:
                key = str(key_node.value)
                first[key] = line
                self._document.lines[(*path, key)] = line
                own[key] = self.read(value_node, (*path, key), inside)
        return merged | own
