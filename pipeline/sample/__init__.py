"""Sample ledgers and lakes, made on stellar-sdk: to try the copier on, and to test it with.

`sample_chain` makes ledgers and says what a reader has to find in them, `write_sample_lake` files them as
Galexie does, and `command` is ``bronze-copier sample``. Every hash and signature holds; what cannot be told
from a ledger alone (balances, sequence numbers, bucket hashes) is random.
"""

from pipeline.sample.chain import STANDALONE_PASSPHRASE, SampleLedger, sample_chain
from pipeline.sample.lake_writer import SampleLake, SampleOptions, write_sample_lake
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
