"""The real `stellar-archivist`, which scans history archives, built once for this user where cargo is installed.

``python -m tests.support.archivist`` builds it, which takes some minutes once; tests skip where it is not built.
`make_whole_archive` makes what it scans: every file that stellar-core writes but for buckets and SCP messages.
"""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from stellar_sdk import xdr

from bronze.archives.checkpoint_files import HISTORY_KEY, checkpoint_of, file_key
from tests.support.made_archive import TESTNET, header_of, make_archive, write_file

CRATE, VERSION = "stellar-archivist", "28.0.0"
PROGRAM = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bronze-tests" / "bin" / CRATE


def build() -> str:
    """Build the program where it is not there yet; says why it cannot be, else nothing."""
    if PROGRAM.exists():
        return ""
    if shutil.which("cargo") is None:
        return "cargo is not installed"
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    with (PROGRAM.parent / ".cargo-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one build, however many processes there are
        if PROGRAM.exists():
            return ""
        with tempfile.TemporaryDirectory(dir=PROGRAM.parent) as made:
            command = ["cargo", "install", f"{CRATE}@{VERSION}", "--locked", "--debug", "--root", made]
            env = {**os.environ, "CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_TARGET_DIR": f"{made}/target"}
            ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
            if ended.returncode:
                return f"{CRATE} {VERSION} was not built: {ended.stderr.strip()[-300:]}"
            (Path(made) / "bin" / CRATE).replace(PROGRAM)
    return ""


def scan(root: Path, low: int, high: int) -> subprocess.CompletedProcess[str]:
    """Have the archive in the directory `root` scanned from the checkpoint `low` to `high`, every file verified."""
    command = [PROGRAM, "--verify", "--skip-optional", "scan", "--low", str(low), "--high", str(high), root.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def make_whole_archive(root: Path, metas: Mapping[int, bytes], passphrase: str = TESTNET) -> Path:
    """An archive of whole checkpoints of close metas (V0, by ledger), as a node without buckets has it."""
    make_archive(root, {ledger: header_of(meta) for ledger, meta in metas.items()}, passphrase)
    for checkpoint in sorted({checkpoint_of(ledger) for ledger in metas}):
        sets, results = [], []
        for ledger in (one for one in sorted(metas) if checkpoint_of(one) == checkpoint):
            closed = xdr.LedgerCloseMeta.from_xdr_bytes(metas[ledger]).v0
            assert closed is not None
            if not closed.tx_processing:
                continue  # stellar-core writes no entry of a ledger without transactions
            number = xdr.Uint32(ledger)
            pairs = xdr.TransactionResultSet([one.result for one in closed.tx_processing])
            sets.append(
                xdr.TransactionHistoryEntry(number, closed.tx_set, xdr.TransactionHistoryEntryExt(0)).to_xdr_bytes()
            )
            results.append(
                xdr.TransactionHistoryResultEntry(number, pairs, xdr.TransactionHistoryResultEntryExt(0)).to_xdr_bytes()
            )
        for category, entries in (("transactions", sets), ("results", results)):
            framed = b"".join((0x80000000 | len(one)).to_bytes(4, "big") + one for one in entries)
            write_file(root, file_key(category, checkpoint), gzip.compress(framed, mtime=0))
        state = _state(checkpoint, passphrase)
        write_file(root, file_key("history", checkpoint).removesuffix(".xdr.gz") + ".json", state)
        write_file(root, HISTORY_KEY, state)
    return root


def _state(ledger: int, passphrase: str) -> bytes:
    level = {"curr": "0" * 64, "snap": "0" * 64, "next": {"state": 0}}
    document = {"version": 1, "currentLedger": ledger, "networkPassphrase": passphrase, "currentBuckets": [level] * 11}
    return json.dumps(document).encode()


if __name__ == "__main__":
    why = build()
    print(why or PROGRAM)
    sys.exit(bool(why) and "not installed" not in why)
