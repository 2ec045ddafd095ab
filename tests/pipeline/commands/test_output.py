"""What commands print: as wide as the terminal, and as it is where there is none."""

from __future__ import annotations

import pytest

from pipeline.commands.output import print_lines

LINES = [
    "destination  /lakehouse/bronze, which is a place with a name",
    "  to write    about as much as is read, within a tenth",
    "chain standalone/e1/v1: INCOMPLETE, because one partition is missing",
    "  bronze-copier run --config /etc/bronze-copier/config.yaml --follow",
    "head         sha256:" + "ab" * 32,
    "short",
    "",
]


def shown(columns: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    monkeypatch.setattr("pipeline.commands.output.terminal_columns", lambda: columns)
    print_lines(LINES, colours={"chain": "red"})
    return capsys.readouterr().out.splitlines()


def test_lines_stay_whole_without_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(None, monkeypatch, capsys) == LINES
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(200, monkeypatch, capsys) == LINES


def test_wide_lines_go_on_below_second_column(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(40, monkeypatch, capsys) == [
        "destination  /lakehouse/bronze, which is",
        "             a place with a name",
        "  to write    about as much as is read,",
        "              within a tenth",
        "chain standalone/e1/v1: INCOMPLETE,",
        "  because one partition is missing",
        LINES[3],
        "head",
        "             sha256:" + "ab" * 32,
        "short",
        "",
    ]


@pytest.mark.parametrize("columns", [1, 5, 20, 60])
def test_no_word_is_lost_or_broken(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert " ".join(shown(columns, monkeypatch, capsys)).split() == " ".join(LINES).split()


def test_first_word_alone_has_a_colour(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    lines = shown(40, monkeypatch, capsys)
    assert [line for line in lines if "\x1b" in line] == ["\x1b[31mchain\x1b[0m standalone/e1/v1: INCOMPLETE,"]
