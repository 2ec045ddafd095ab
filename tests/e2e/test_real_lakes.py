"""Real ledgers: the copied rows equal ../shared/ledgers/index.jsonl and what stellar-sdk reads."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from stellar_sdk import xdr

from bronze.dataset.sink import HashingSink
from bronze.errors import ObjectNotFoundError, VerificationError
from bronze.ingest.encoder import PartitionEncoder
from bronze.lake.lake import Lake
from bronze.lake.layout import LakeLayout
from bronze.ledger.close_meta import VerifyLevel
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from tests.e2e.conftest import Copier, RealLedgers, batch, make_lake, pack

pytestmark = pytest.mark.ledgers

#: First and last ledger of the chains of ../shared/ledgers; the last one holds merged load-test ledgers.
CHAINS = {0: (1410048, 1410367), 1: (2, 305), 2: (63092982, 63092991), 3: (10048, 10053)}
LOAD_TEST = 3


def expected_row(line: dict[str, Any], meta: bytes, era_id: str, network: str) -> dict[str, Any]:
    """The expected row of a ledger, from the index and from its header as stellar-sdk reads it."""
    spots = make_lake().layout(meta)
    header = xdr.LedgerHeader.from_xdr_bytes(meta[spots["header"] : spots["header_end"]])
    return {
        "ledger_sequence": line["ledger_seq"],
        "ledger_hash": line["ledger_hash"],
        "previous_ledger_hash": line["prev_hash"],
        "close_time": datetime.datetime.fromtimestamp(line["close_time"], datetime.UTC),
        "protocol_version": line["protocol"],
        "total_coins": header.total_coins.int64,
        "fee_pool": header.fee_pool.int64,
        "tx_set_hash": header.scp_value.tx_set_hash.hash.hex(),
        "tx_count": line["tx_count"],
        "operation_count": line["op_count"],
        "xdr_bytes": meta,
        "xdr_byte_length": line["size"],
        "xdr_sha256": line["sha256"],
        "bronze_version": "v1",
        "era_id": era_id,
        "network": network,
        "ingested_at": None,
    }


@pytest.mark.parametrize("configured", [True, False], ids=["with .config.json", "without .config.json"])
@pytest.mark.parametrize("extension", ["zst", "zstd"])
@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("chain", CHAINS)
def test_real_chain_is_copied_exactly(
    chain: int,
    k: int,
    extension: str,
    configured: bool,
    ledgers: RealLedgers,
    real_lake: Callable[..., Path],
    copier: Callable[..., Copier],
) -> None:
    arguments = ["--chain", str(chain), "-k", str(k), "--ext", extension, *([] if configured else ["--no-manifest"])]
    lake = real_lake(*arguments)
    first, last = CHAINS[chain]
    network = ledgers.chains[chain]["network"]
    copy = copier(
        lake,
        network=network,
        ledger_start=first,
        ledger_end=last,
        partition_size=70,  # no multiple of k: partitions end inside files
        settings={"source": {"verify": "header" if chain == LOAD_TEST else "full"}},
    )

    ran = copy.run()

    assert (ran.status, ran.err) == (0, "")
    lines = [line for line in ledgers.of_chain(chain) if first <= line["ledger_seq"] <= last]
    assert copy.rows() == [expected_row(line, ledgers.load(line), "e1", network) for line in lines]
    assert copy.committed() == copy.partitions()


@pytest.mark.parametrize(
    ("chain", "first", "last", "message"),
    [
        pytest.param(
            2,
            63092981,
            63092983,
            "ledger 63092982 stands where ledger 63092981 is expected",
            id="the lake's first file",
        ),
        pytest.param(
            1,
            304,
            306,
            "holds ledgers 304-305, but its name says that it also holds ledger 306",
            id="the lake's last file",
        ),
    ],
)
def test_ledger_absent_from_named_file_is_refused(
    chain: int,
    first: int,
    last: int,
    message: str,
    ledgers: RealLedgers,
    real_lake: Callable[..., Path],
    copier: Callable[..., Copier],
) -> None:
    network = ledgers.chains[chain]["network"]
    copy = copier(real_lake("--chain", str(chain), "-k", "4"), network=network, ledger_start=first, ledger_end=last)

    ran = copy.run()

    assert ran.status == 1
    assert message in ran.out
    assert copy.partitions() == []


class OneLedger:
    """A store that holds one lake object at a time, with an encoder that reads it."""

    url, supports_locking, is_remote = "mem:", True, False

    def __init__(self, verify: VerifyLevel) -> None:
        self._layout, self._held = LakeLayout(), ("", memoryview(b""))
        lake = Lake(self, self._layout, None)  # type: ignore[arg-type]
        self._encoder = PartitionEncoder(lake, verify=verify, compression="none", max_object=1 << 26)

    def read_view(self, key: str, most: int | None = None) -> memoryview:
        if key != self._held[0]:
            raise ObjectNotFoundError(key)
        return self._held[1]

    def size(self, key: str) -> int | None:
        return len(self._held[1]) if key == self._held[0] else None

    def rows(self, line: dict[str, Any], meta: bytes, *, bare: bool) -> list[dict[str, Any]]:
        """The rows that are made of `meta`, stored bare or as a batch of one."""
        ledger = line["ledger_seq"]
        stored = pack(meta if bare else batch(ledger, [meta]))
        self._held = self._layout.key(ledger), memoryview(stored)
        out = io.BytesIO()
        era = Era(
            era_id="one", version_label="v1", network="net", ledger_start=ledger, ledger_end=ledger, partition_size=1
        )
        self._encoder.encode(era, Partition(ledger, ledger), [ledger], HashingSink(out))
        rows: list[dict[str, Any]] = pq.ParquetFile(out).read().to_pylist()
        return rows


@pytest.mark.parametrize("bare", [True, False], ids=["bare archives", "lakes of one"])
def test_real_ledgers_have_indexed_values(bare: bool, ledgers: RealLedgers) -> None:
    different, lake = [], OneLedger(VerifyLevel.HEADER)
    for line in ledgers.lines:
        meta = ledgers.load(line)
        if lake.rows(line, meta, bare=bare) != [expected_row(line, meta, "one", "net")]:
            different.append(line["file"])
    assert (different, len(ledgers.lines)) == ([], 726)


#: The check of the index that a hash's error is about.
VERDICTS = {"transaction set hash": "txset", "result hash": "results", "ledger hash": "header"}


def test_real_ledgers_have_indexed_hash_verdicts(ledgers: RealLedgers) -> None:
    """With ``verify: full`` a ledger fails exactly when a check of the index is false."""
    wrong, lake = [], OneLedger(VerifyLevel.FULL)
    for line in ledgers.lines:
        empty_set = line["value_ext"] == 2  # CAP-83: valid with its zero hash, see formats.md §1
        broken = {name for name in ("header", "txset", "results") if not line["checks"][name]}
        broken -= {"txset"} if empty_set else set()
        try:
            lake.rows(line, ledgers.load(line), bare=False)
            found = None
        except VerificationError as error:
            found = next(check for words, check in VERDICTS.items() if words in str(error))
        if (found is None and broken) or (found is not None and found not in broken):
            wrong.append((line["file"], found, broken))
    assert wrong == []


def test_real_ledgers_have_indexed_checksums(ledgers: RealLedgers) -> None:
    assert all(sha256(ledgers.load(line)).hexdigest() == line["sha256"] for line in ledgers.lines)
