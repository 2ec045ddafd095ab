"""History archives with SCP messages, made of sample ledgers as stellar-core would write them."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from stellar_sdk import Keypair, xdr

from bronze.archives.checkpoint_files import file_key
from pipeline.sample.consensus import scp_history
from pipeline.sample.transactions import Accounts


def sample_validators(seed: int = 0) -> list[Keypair]:
    """The nodes that sign the ledgers of a sample chain."""
    return Accounts(seed, 0).validators


def network_id(passphrase: str) -> bytes:
    return hashlib.sha256(passphrase.encode()).digest()


def value_of(close_meta: bytes) -> xdr.StellarValue:
    """The StellarValue of a ledger."""
    meta = xdr.LedgerCloseMeta.from_xdr_bytes(close_meta)
    (of,) = (one for one in (meta.v0, meta.v1, meta.v2) if one is not None)
    return of.ledger_header.header.scp_value


def entry(passphrase: str, validators: Sequence[Keypair], ledger: int, value: xdr.StellarValue) -> bytes:
    """The record of one ledger: an EXTERNALIZE message of each validator."""
    return scp_history(network_id(passphrase), validators, ledger, value).to_xdr_bytes()


def record(data: bytes) -> bytes:
    """A record with its mark."""
    return (0x80000000 | len(data)).to_bytes(4, "big") + data


def write_scp_file(root: Path, checkpoint: int, entries: Mapping[int, bytes]) -> Path:
    """The file of one checkpoint below an archive's directory; returns its path."""
    path = root / file_key("scp", checkpoint)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(b"".join(record(data) for _, data in sorted(entries.items()))))
    return path
