"""What a run consists of, and how each process connects to it.

A `CopyJob` is the serializable specification of a run: pure data, shipped to every worker. `Secrets` hold what may not
be shipped. `bronze.job.connections.Connections` opens what a job names with them, once in each process; it is to be
imported from there, because it loads everything that a run uses.

Nothing here decides what is copied or committed, and nothing reads the settings.
"""

from bronze.job.secrets import Secrets
from bronze.job.spec import ChainSpec, CopyJob, DatasetSpec, LakeSpec, RunSpec
from bronze.job.stop_signal import StopSignal

__all__ = ["ChainSpec", "CopyJob", "DatasetSpec", "LakeSpec", "RunSpec", "Secrets", "StopSignal"]
