"""How a network's history is divided: eras, the grid of partitions in each, and the plan of a run.

Pure arithmetic on ledger numbers and names: nothing here reads or writes a store, and nothing heavy is imported.
Begin with `era.Era`, `partition.grid_partitions` and `plan.plan_era`.
"""

from __future__ import annotations

from bronze.partitioning.era import Era, era_conflicts, ordered_eras
from bronze.partitioning.partition import (
    Partition,
    grid_cell_end,
    grid_partitions,
    last_complete_ledger,
    uncovered_ranges,
)
from bronze.partitioning.path_names import SEGMENT_RULE, checked_segment, is_plain_segment
from bronze.partitioning.plan import EraPlan, ExistingPartitions, plan_era

__all__ = [
    "SEGMENT_RULE",
    "Era",
    "EraPlan",
    "ExistingPartitions",
    "Partition",
    "checked_segment",
    "era_conflicts",
    "grid_cell_end",
    "grid_partitions",
    "is_plain_segment",
    "last_complete_ledger",
    "ordered_eras",
    "plan_era",
    "uncovered_ranges",
]
