"""Whether this machine's clock agrees with the servers that tell the time, and with what was written before."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.launch.checkup.check import Check, fails, holds
from pipeline.sizes import format_time

#: What `adjtimex` returns when no time service disciplines the clock.
_TIME_ERROR = 5
#: More than any struct timex has.
_TIMEX_BYTES = 1024
#: Seconds that clocks may differ by; servers tell whole seconds, and S3 refuses requests that are 15 minutes off.
TOLERANCE_S = 60.0


@dataclass(frozen=True, slots=True)
class ServerTime:
    """What a server's clock said: by how many seconds this machine's is ahead of it, as far as the request tells."""

    who: str
    ahead_s: float


@dataclass(frozen=True, slots=True)
class Clock:
    """The time of this machine before a request, in seconds since 1970."""

    before: float

    def compare(self, who: str, server: float) -> ServerTime:
        """What the answer to the request, which came now, says; an answer between the two times agrees."""
        nearest = min(max(server, self.before), time.time())
        return ServerTime(who, nearest - server)


def read_clock() -> Clock:
    """The clock now; to be read before the request."""
    return Clock(time.time())


def check_clock(servers: Sequence[ServerTime], past: Sequence[tuple[str, float]]) -> Check:
    """Compare this machine's clock.

    Args:
        past: names of what happened, and when, in seconds since 1970: the clock must not be before it.
    """
    name, now = "clock", time.time()
    remedy = "synchronise it: chrony or systemd-timesyncd; `timedatectl` shows whether one runs"
    wrong = [one for one in servers if abs(one.ahead_s) > TOLERANCE_S]
    if wrong:
        sentences = [
            f"{abs(one.ahead_s):,.0f} s {'ahead of' if one.ahead_s > 0 else 'behind'} {one.who}" for one in wrong
        ]
        return fails(name, f"it is {' and '.join(sentences)}", remedy)
    future = [(what, when) for what, when in past if when > now + TOLERANCE_S]
    if future:
        sentences = [f"{when - now:,.0f} s before {what} ({format_time(when)})" for what, when in future]
        return fails(name, f"it says {format_time(now)}, which is {' and '.join(sentences)}", remedy)
    found = [f"it says {format_time(now)}"]
    if servers:
        found.append(f"as {' and '.join(one.who for one in servers)}")
    if past:
        found.append(f"after {' and '.join(f'{what} ({format_time(when)})' for what, when in past)}")
    return holds(name, f"{', '.join(found)}; {_kernel_words()}")


def _kernel_words() -> str:
    """What the kernel knows of a time service."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))  # of zeros: only asks
    except (OSError, AttributeError):
        return "the kernel does not tell whether a time service sets it"
    if state == _TIME_ERROR:
        return "the kernel knows of no time service that sets it"
    return "a time service sets it" if state >= 0 else "the kernel does not tell whether a time service sets it"
