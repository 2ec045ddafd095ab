"""Generated ledgers and lakes, made with stellar-sdk: to try the copier on, and to test it with.

Begin with `sample_chain`, which makes ledgers together with the values that a reader must find in them, and
`write_sample_lake`, which writes them as Galexie does. Every hash and signature is valid; what cannot be checked from a
ledger alone (balances, sequence numbers, bucket hashes) is random. This room knows nothing of the copier except the
layout of a lake: it must not import `bronze.xdr` or `bronze.ledger`, which are tested against it.
"""

from pipeline.sample.chain import STANDALONE_PASSPHRASE, SampleLedger, sample_chain
from pipeline.sample.lake_writer import SampleLake, write_sample_lake
from pipeline.sample.options import SampleOptions
from pipeline.sample.schedule import DEFAULT_PROTOCOLS, ChainSchedule

__all__ = [
    "DEFAULT_PROTOCOLS",
    "STANDALONE_PASSPHRASE",
    "ChainSchedule",
    "SampleLake",
    "SampleLedger",
    "SampleOptions",
    "sample_chain",
    "write_sample_lake",
]
