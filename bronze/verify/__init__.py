"""The independent check of what was published: events, links, manifests, files and gaps of one era.

What lives here reads a dataset and its chain and needs nothing of what wrote them: no Beam, lake, catalog, delivery
endpoint or configuration. It must stay so, since an auditor runs it where none of these exist. Nothing here writes.

Begin at `verifier.verify_chain`. In a notebook, with nothing but the URL of a bronze prefix:

>>> from bronze.dataset import open_tables
>>> from bronze.verify import Level, PartitionCheck, verify_chain
>>> (table,) = open_tables(url)
>>> check = PartitionCheck(dataset=table.dataset, era=table.era, level=Level.ROWS)
>>> check.check(table.partitions[0]).findings
()
>>> found = verify_chain(table.era, table.dataset)
>>> print(found.verdict, found.partitions, found.rows)
HOLDS 6 60
>>> found.not_checked[-1]
'the audit events: whether what is here is what was announced (--chain)'

With the audit events:

>>> from bronze.audit.event_log import EventLog
>>> from bronze.storage.local import LocalStore
>>> found = verify_chain(table.era, table.dataset, log=EventLog(LocalStore(events), table.era))
>>> found.events, found.findings
(6, [])
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
