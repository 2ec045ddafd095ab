"""What the program reports about itself while it runs: the log, metrics, health, progress, and the totals of a run.

Begin with `logs.configure`, which the commands call before anything else is logged, with `session.start_telemetry`, in
which a run takes place, and with `run_state.RunState`, from which all that is shown of a run is made. `totals.Totals`
adds up what the graph reports of each partition. What the commands print is the business of `pipeline.commands.text`.
Nothing here changes what is copied; rich and prometheus_client are loaded only where they are used.
"""

from __future__ import annotations

from pipeline.telemetry.logs import configure
from pipeline.telemetry.totals import Finished, Totals

__all__ = ["Finished", "Totals", "configure"]
