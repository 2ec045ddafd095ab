"""The live display on a terminal: a bar for each era, rates, and the partitions in flight. Log lines go above it."""

from __future__ import annotations

import io
import logging
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeline.telemetry.progress_line import behind_words, eta_words, format_duration, outage_words, rate_words
from pipeline.telemetry.run_progress import ChainProgress
from pipeline.telemetry.run_state import Snapshot

#: Columns below which only what matters most is shown.
_NARROW = 80
#: Partitions in flight that are listed, at most.
_LISTED = 8


class LiveDisplay:
    """Shows snapshots at the foot of a terminal.

    Args:
        stream: the terminal.
        handler: of the log, which writes above the display meanwhile.
    """

    def __init__(self, stream: TextIO, handler: logging.StreamHandler[TextIO] | None) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=False)
        self._handler = handler
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._log_stream: TextIO | None = None
        self._is_open = False

    def open(self) -> None:
        """Begin to show."""
        self._live.start()
        self._is_open = True
        if self._handler is not None:
            self._log_stream = self._handler.setStream(_Above(self._console))

    def show(self, found: Snapshot) -> None:
        """Show this state now; a terminal that is gone is given up."""
        if not self._is_open:
            return
        try:
            self._live.update(render(found, self._console.width), refresh=True)
        except OSError:
            self.close()

    def close(self) -> None:
        """Remove the display; what was logged stays."""
        if not self._is_open:
            return
        self._is_open = False
        if self._handler is not None and self._log_stream is not None:
            self._handler.setStream(self._log_stream)
        try:
            self._live.stop()
        except OSError:
            return


class _Above(io.StringIO):
    """Writes to a console above what is live there."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def write(self, text: str) -> int:
        """Print whole lines."""
        self._console.print(Text(text.rstrip("\n")), soft_wrap=True)
        return len(text)

    def flush(self) -> None:
        """Everything is written at once."""


def render(found: Snapshot, width: int) -> RenderableType:
    """What is shown of a state in `width` columns."""
    if found.phase and not found.unreachable:
        return Text(f"{found.phase} ({format_duration(found.elapsed_s)})", overflow="ellipsis", no_wrap=True)
    is_narrow = width < _NARROW
    bars = Table.grid(padding=(0, 1), expand=True)
    bars.add_column(no_wrap=True, overflow="ellipsis", max_width=max(8, width // 4))
    bars.add_column(ratio=1)
    bars.add_column(justify="right", no_wrap=True)
    if not is_narrow:
        bars.add_column(justify="right", no_wrap=True)
    for chain in found.chains:
        bars.add_row(*_bar(chain, found, is_narrow=is_narrow))
    return Group(bars, *_lines(found, is_narrow=is_narrow))


def _bar(chain: ChainProgress, found: Snapshot, *, is_narrow: bool) -> list[RenderableType]:
    read = sum(one.ledgers for one in found.in_flight if one.chain == chain.chain)
    total = max(chain.planned_ledgers, 1)
    done = min(total, chain.done_ledgers + read)
    cells: list[RenderableType] = [
        Text(chain.chain[1]),
        ProgressBar(total=total, completed=done),
        Text(f"{int(100 * done / total):3d} %"),
    ]
    if not is_narrow:
        committed = f"committed up to {chain.committed}" if chain.committed else "nothing committed yet"
        cells.append(Text(f"{chain.done:,} of {chain.planned:,} partitions, {committed}"))
    return cells


def _lines(found: Snapshot, *, is_narrow: bool) -> list[Text]:
    retries = f"{found.retries:,} retries"
    failed = f"{found.failures:,} failed"
    left = f"{eta_words(found)} left"
    parts = [rate_words(found)], [left, retries, failed]
    lines = [", ".join(part) for part in parts] if is_narrow else [", ".join(parts[0] + parts[1])]
    if found.unreachable:
        lines.append(outage_words(found))
    if found.behind:
        lines.append(behind_words(found))
    for one in found.in_flight[:_LISTED]:
        at = "waiting for its first ledger" if one.ledger < one.start else f"at ledger {one.ledger}"
        if is_narrow:
            at = "" if one.ledger < one.start else f"at {one.ledger}"
        lines.append(f"  {one.start}-{one.end} {at}")
    if len(found.in_flight) > _LISTED:
        lines.append(f"  and {len(found.in_flight) - _LISTED} more partitions")
    waiting = sum(one.waiting for one in found.chains)
    if waiting and not found.in_flight:
        lines.append(f"  committing {waiting:,} partitions")
    if found.failures or found.behind:
        lines.append(f"last error: {found.last_error}")
    return [Text(line, overflow="ellipsis", no_wrap=True) for line in lines]
