"""What the program reports about itself while it runs: the log, and the totals of a run.

Begin with `logs.configure`, which the commands call before anything else is logged, and with `totals.Totals`, which
adds up what the graph reports of each partition. This room formats and counts, and opens nothing; what the commands
print is the business of `pipeline.commands.text`.
"""

from __future__ import annotations

from pipeline.telemetry.logs import configure
from pipeline.telemetry.totals import Finished, Totals

__all__ = ["Finished", "Totals", "configure"]
