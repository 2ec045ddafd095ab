"""Whether ledgers are the network's own. Hashes cannot prove it: they only prove that a lake agrees with itself.

What lives here checks signatures, transaction proofs, contract events and trusted hashes of ledgers in memory. Form,
hashes and links (`bronze.ledger`) are checked before, elsewhere; files and partitions are not known here.

Begin at `Authenticator`, which checks the ledgers of one partition by an `AuthenticityPolicy`.
"""

from bronze.authenticity.authenticator import Authenticator
from bronze.authenticity.findings import PartitionAuthenticity
from bronze.authenticity.policy import AuthenticityPolicy, CheckMode

__all__ = ["Authenticator", "AuthenticityPolicy", "CheckMode", "PartitionAuthenticity"]
