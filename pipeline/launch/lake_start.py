"""Tell at once that a lake begins later than a run needs, instead of a failure of each partition before that."""

from __future__ import annotations

from bronze.errors import ConfigError
from bronze.lake.lake import Lake
from bronze.partitioning.partition import Partition
from bronze.partitioning.plan import EraPlan, ExistingPartitions


def check_lake_start(lake: Lake, plan: EraPlan, existing: ExistingPartitions) -> None:
    """Check that the lake does not begin after the first partition that `plan` has to copy.

    Costs one request where the plan's first object is there. Published partitions need no lake, so a lake whose older
    objects were removed after they had been copied is no error.

    Raises:
        ConfigError: the lake is empty, or begins later; says with which ledger.
    """
    if not plan.partitions or lake.holds(plan.partitions[0].first_ledger):
        return
    oldest = lake.oldest()
    if oldest is None:
        raise ConfigError(f"the lake {lake.store.url} is empty: there is no ledger to copy for era {plan.era.era_id!r}")
    first = _first_unpublished(plan, existing, oldest.ledger)
    if first is not None:
        raise ConfigError(
            f"the lake {lake.store.url} begins at ledger {oldest.ledger} ({oldest.key}), but era {plan.era.era_id!r}"
            f" is to be copied from ledger {first.first_ledger} on: set era.ledger_start to {oldest.ledger}, or use a"
            " lake that holds the ledgers before it"
        )


def _first_unpublished(plan: EraPlan, existing: ExistingPartitions, ledger: int) -> Partition | None:
    """The first partition of the plan that begins before `ledger` and has to be read from the lake."""
    published = set() if plan.era.allow_overwrite else set(existing.list_partitions(plan.era))
    for partition in plan.partitions:
        if partition.first_ledger >= ledger:
            return None
        if partition not in published or existing.find_manifest(plan.era, partition) is None:
            return partition
    return None
