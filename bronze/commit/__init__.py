"""The commit of published partitions to their chain: its protocol, its position, its caches, and their recovery.

What lives here decides what is committed and in which order. How events, manifests and catalog rows look is decided
below (`bronze.audit`, `bronze.dataset`, `bronze.catalog`); nothing here reads a lake or knows of jobs or workers.

Begin at `sequencer.Sequencer.commit`. `position` is the one place that decides where a chain resumes, `recovery` the
one that rebuilds lost caches, `reconcile` backfills the catalog, `existence` compares the chain with the dataset.
`reconcile` is imported from its module: it loads `bronze.catalog`, which the verifier must not.
"""

from bronze.commit.checkpoint import Checkpoint, CheckpointFile
from bronze.commit.downstream import Downstream
from bronze.commit.existence import Existence, check_existence, settle_replacements
from bronze.commit.position import ChainPosition
from bronze.commit.recovery import Adopt, recover, restore
from bronze.commit.sequencer import Sequencer

__all__ = [
    "Adopt",
    "ChainPosition",
    "Checkpoint",
    "CheckpointFile",
    "Downstream",
    "Existence",
    "Sequencer",
    "check_existence",
    "recover",
    "restore",
    "settle_replacements",
]
