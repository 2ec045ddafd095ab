"""The measured cases of the verifier; `benchmarks.cases` runs them on what the case ``program`` published.

``sha256sum``     the program of that name over all parquet files
``hashlib``       the same by OpenSSL, which uses the processor's SHA instructions where there are some
``verify_files``  an audit at the level files
``bare``          the minimum of an audit of rows: read the raw bytes, walk them, recompute every hash
``verify_rows``   an audit at the level rows, by one worker
``verify_two``    the same by two
``core_one``      plain hashing by one thread
``core_two``      as much of it by two: what the second core of this machine is worth at the moment
"""

from __future__ import annotations

import hashlib
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PIECE = bytes(1 << 20)
_PIECES = 4_000


def _parquet_files(spec: dict[str, Any]) -> list[Path]:
    return sorted(Path(spec["out"]).rglob("part-*.parquet"))


def sha256sum(spec: dict[str, Any]) -> int:
    """Checksums by the system's program."""
    files = _parquet_files(spec)
    subprocess.run(["sha256sum", *map(str, files)], check=True, stdout=subprocess.DEVNULL)
    return len(files)


def hashlib_(spec: dict[str, Any]) -> int:
    """Checksums by Python's library."""
    files = _parquet_files(spec)
    for path in files:
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256").digest()
    return len(files)


def core_one(spec: dict[str, Any]) -> int:
    """A few GB hashed by one thread."""
    return _hash_pieces(1)


def core_two(spec: dict[str, Any]) -> int:
    """As much by two threads."""
    return _hash_pieces(2)


def _hash_pieces(threads: int) -> int:
    def work() -> None:
        for _ in range(_PIECES // threads):
            hashlib.sha256(_PIECE)

    running = [threading.Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return _PIECES


def bare(spec: dict[str, Any]) -> Callable[[], int]:
    """Read + walk + hash: nothing is compared but the hashes that a ledger states."""
    import pyarrow.parquet as pq

    from bronze.ledger.close_meta import VerifyLevel, read_close_meta
    from bronze.ledger.hashes import check_hashes

    def work() -> int:
        rows = 0
        for path in _parquet_files(spec):
            with pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
                for batch in file.iter_batches(32, columns=["xdr_bytes"], use_threads=False):
                    for value in batch.column(0):
                        data = memoryview(value.as_buffer()).cast("B")
                        hashlib.sha256(data).digest()
                        check_hashes(read_close_meta(data, 0, len(data), VerifyLevel.FULL), VerifyLevel.FULL)
                        rows += 1
        return rows

    return work


def verify_files(spec: dict[str, Any]) -> Callable[[], int]:
    """The level files."""
    return _audit(spec, "files", 1)


def verify_rows(spec: dict[str, Any]) -> Callable[[], int]:
    """The level rows."""
    return _audit(spec, "rows", 1)


def verify_two(spec: dict[str, Any]) -> Callable[[], int]:
    """The level rows by two workers; Beam is loaded before."""
    import transforms.verify  # noqa: F401

    return _audit(spec, "rows", 2)


def _audit(spec: dict[str, Any], level: str, workers: int) -> Callable[[], int]:
    from bronze.verify.era_audit import Verdict
    from bronze.verify.finding import Level
    from bronze.verify.selection import Selection
    from pipeline.launch.audit import AuditOptions, find_targets, location_of, run_audit

    targets = find_targets(location_of(str(Path(spec["out"], "data", "bronze"))))
    options = AuditOptions(level=Level(level), selection=Selection(), workers=workers)

    def work() -> int:
        (result,) = run_audit(targets, options)
        if result.verdict is not Verdict.HOLDS:
            raise SystemExit(f"the audit found something: {result.problems[:3]}")
        return result.rows

    return work


#: By their names; those that return what is measured have prepared it before.
VERIFY_CASES: dict[str, Callable[[dict[str, Any]], Callable[[], int] | int]] = {
    "sha256sum": sha256sum,
    "hashlib": hashlib_,
    "verify_files": verify_files,
    "bare": bare,
    "verify_rows": verify_rows,
    "core_one": core_one,
    "verify_two": verify_two,
    "core_two": core_two,
}
