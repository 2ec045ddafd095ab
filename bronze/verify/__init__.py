"""The independent check of what was published: events, links, manifests, files and gaps of one era.

What lives here reads a dataset and its chain and needs nothing of what wrote them: no Beam, lake, catalog, delivery
endpoint or configuration. It must stay so, since an auditor runs it where none of these exist. Nothing here writes.

Begin at `verifier.verify_chain`. In a notebook::

    from bronze.audit.event_log import EventLog
    from bronze.dataset.dataset import Dataset
    from bronze.partitioning.era import Era
    from bronze.storage.local import LocalStore
    from bronze.verify import verify_chain

    era = Era(
        era_id="pre_p23", version_label="v1", network="pubnet", ledger_start=2, ledger_end=0, partition_size=10_000
    )
    dataset = Dataset(LocalStore("/data"), "bronze", "ledgers_lcm_raw")
    verify_chain(era, dataset, log=EventLog(LocalStore("/data/pas"), era)).findings

One partition at a level, with nothing but a URL::

    from bronze.dataset import open_tables
    from bronze.verify import Level, PartitionCheck

    (table,) = open_tables("/data/bronze")
    check = PartitionCheck(dataset=table.dataset, era=table.era, level=Level.ROWS)
    check.check(table.partitions[0]).findings
"""

from bronze.verify.audit import audit_era
from bronze.verify.era_audit import EraAudit, Verdict
from bronze.verify.finding import Finding, Level, Severity
from bronze.verify.partition_check import PartitionCheck, PartitionReport
from bronze.verify.selection import Selection, Subset
from bronze.verify.verifier import verify_chain, verify_published

__all__ = [
    "EraAudit",
    "Finding",
    "Level",
    "PartitionCheck",
    "PartitionReport",
    "Selection",
    "Severity",
    "Subset",
    "Verdict",
    "audit_era",
    "verify_chain",
    "verify_published",
]
