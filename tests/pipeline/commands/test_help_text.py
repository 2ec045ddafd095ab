"""The help text: as wide as the terminal, commands that can be copied, and a hanging indent."""

from __future__ import annotations

import importlib

import pytest

from pipeline.commands.help_text import WIDEST, help_columns, help_lines
from pipeline.commands.program import COMMANDS

EXAMPLES = "  tool run --config config.yaml            copy what is missing, then end\n  tool plan\n"


def lines_of(columns: int, **changes: object) -> list[str]:
    """The help of a command in so many columns."""
    parts = {
        "usage": "tool run [options]",
        "description": "Copies what is missing, and says so.\n\n  --level a  the first of the levels that there are\n",
        "commands": {},
        "options": [("-q, --quiet", "say less than usual, far less"), ("--a-very-long-option FILE", "what it is")],
        "examples": EXAMPLES,
        "exit_status": "  0  done\n  1  something failed,\n     and is named\n  129, 130  stopped\n",
        **changes,
    }
    return list(help_lines(columns=columns, **parts))  # type: ignore[arg-type]


@pytest.mark.parametrize("columns", [30, 40, 72, WIDEST])
def test_no_line_but_commands_is_wider(columns: int) -> None:
    assert all(len(line) <= columns for line in lines_of(columns) if not line.startswith("  tool"))
    assert "  tool run --config config.yaml" in "\n".join(lines_of(columns))


def test_rows_have_a_hanging_indent() -> None:
    text = "\n".join(lines_of(40))
    assert "  --level a  the first of the levels\n             that there are" in text
    assert "  -q, --quiet\n      say less than usual, far less" in text
    assert "  tool run --config config.yaml\n      copy what is missing, then end\n  tool plan" in text
    assert text.endswith("  1  something failed, and is named\n  129, 130  stopped")
    assert "\n  -q, --quiet                say less than usual" in "\n".join(lines_of(80))


def test_columns_are_those_of_the_terminal() -> None:
    assert [help_columns(width) for width in (None, 20, 80, 500)] == [WIDEST, 30, 80, WIDEST]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_common_options(name: str) -> None:
    module = importlib.import_module(f"pipeline.commands.{name}")
    spellings = {spelling for option in module.OPTIONS for spelling in option.opts}
    assert {"-q", "--quiet", "-v", "--verbose"} <= spellings
    assert ("--json" in spellings) == (name != "report")  # whose answer is a page


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_and_statuses(name: str) -> None:
    module = importlib.import_module(f"pipeline.commands.{name}")
    lines = lines_of(WIDEST, examples=module.EXAMPLES, exit_status=module.EXIT_STATUS, description=module.DESCRIPTION)
    assert f"bronze-copier {name} " in module.EXAMPLES
    statuses = lines[lines.index("exit status:") + 1 :]
    assert statuses[0].startswith("  0  ")
    assert any(line.startswith("  2  ") for line in statuses)
