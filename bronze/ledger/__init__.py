"""One ledger: what is read of its LedgerCloseMeta, and whether its hashes and its link to the one before hold.

What lives here works on bytes in memory. Where they come from (`bronze.lake`) and where they go (`bronze.ingest`) does
not live here.

Begin at `read_object`, which reads the ledgers of one lake object, then `check_hashes` and `check_link`.
"""

from bronze.ledger.close_meta import BatchHeader, CloseMeta, VerifyLevel, read_close_meta, read_object
from bronze.ledger.hashes import check_hashes, check_link

__all__ = [
    "BatchHeader",
    "CloseMeta",
    "VerifyLevel",
    "check_hashes",
    "check_link",
    "read_close_meta",
    "read_object",
]
