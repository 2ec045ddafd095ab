"""The live display: what it shows in wide and narrow terminals, and that log lines stay above it."""

from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

from bronze import measurements as m
from bronze.log_fields import partition_fields
from pipeline.telemetry.live_display import LiveDisplay, render
from pipeline.telemetry.run_progress import ChainProgress
from pipeline.telemetry.run_state import RunState


@pytest.fixture
def state() -> RunState:
    """A hundred partitions, ten in flight, one failed."""
    made = RunState()
    made.plan([ChainProgress(chain=("net", "era_one", "v1"), planned=100, planned_ledgers=1000)])
    for start in range(0, 110, 10):
        fields = partition_fields("r", "net/era_one/v1", start, start + 9)
        made(m.Measurement(m.PARTITION_STARTED, 1, fields))
        made(m.Measurement(m.LEDGER_READ, start + 4, {**fields, "raw_bytes": 10}))
    failed = {"error_type": "LakeError", "error": "missing", "is_published": False}
    made(m.Measurement(m.PARTITION_FAILED, 1, {**fields, **failed}))
    return made


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_display_fits_width_of_terminal(width: int, state: RunState) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(render(state.snapshot(), width))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= 14
    assert "1 failed" in captured.get() or width < 40
    assert ("at ledger 14" in captured.get()) == (width >= 80)
    assert "and 2 more partitions" in captured.get() or width < 40


def test_outages_are_shown_while_planning() -> None:
    state = RunState()
    state(m.Measurement(m.STORE_UNREACHABLE, 0.0, {"store": "s3://lake", "error": "refused"}))
    state(m.Measurement(m.EVENT_FAILED, 1.0, {"error": "500", "error_type": "DeliveryError"}))
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(render(state.snapshot(), 80))
    assert "waiting for s3://lake, unreachable since 1970-01-01T00:00:00Z" in captured.get()
    assert "events are not delivered since" in captured.get()
    assert "last error: DeliveryError: 500" in captured.get()


def test_log_lines_go_above_display(state: RunState) -> None:
    terminal = io.StringIO()
    handler = logging.StreamHandler(terminal)
    display = LiveDisplay(terminal, handler)
    display.open()
    display.show(state.snapshot())
    handler.handle(logging.makeLogRecord({"msg": "something [red]happened"}))
    display.close()
    assert "something [red]happened" in terminal.getvalue()
    assert handler.stream is terminal
    display.show(state.snapshot())


class Gone(io.StringIO):
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


def test_display_gives_up_closed_terminal(state: RunState) -> None:
    terminal = io.StringIO()
    display = LiveDisplay(terminal, None)
    display.open()
    terminal.write = Gone().write  # type: ignore[method-assign]
    display.show(state.snapshot())
    display.show(state.snapshot())
    display.close()
