"""A destination of the older copier is verified as far as its files allow, and the summary says how far."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bronze.audit.event import hash_document
from pipeline.sample import SampleOptions
from tests.e2e.conftest import Copier, LakeFiles, call

pytestmark = pytest.mark.timeout(180)
PRODUCER = {"name": "bronze-copier", "version": "v0.1.0", "git_sha": "unknown"}


@pytest.fixture
def destination(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """Three partitions with the column types, manifests and events of the older copier."""
    copy = copier(sample(first=8, ledgers=24).root, ledger_start=8, ledger_end=31, partition_size=8)
    assert copy.run().status == 0
    previous = ""
    for part, event in zip(copy.partitions(), copy.events(), strict=True):
        path = copy.parquet(part)
        table = {"file": path.name, "row_count": 8, **rewrite(path)}
        manifest = copy.manifests()[part]
        document = {
            "partition": manifest["partition"],
            "tables": {"ledgers_lcm_raw": table},
            "producer": PRODUCER,
            "created_at": manifest["created_at"],
        }
        path.with_name("_manifest.json").write_text(json.dumps(document, indent=2))
        event["tables"]["ledgers_lcm_raw"] |= {name: table[name] for name in ("checksum", "byte_size")}
        event |= {"event_id": f"pas_evt_{part[0]:016x}", "producer": PRODUCER}
        event["chain"] = {"prev_event_hash": previous, "event_hash": ""}
        previous = event["chain"]["event_hash"] = hash_document(event)
        name = f"standalone_e1_v1_{part[0]}-{part[1]}.json"
        (copy.root / "pas" / name).write_text(json.dumps(event, indent=2))
    (copy.root / "pas" / "pas-chain-heads.json").write_text(json.dumps({"standalone/e1/v1": previous}))
    return copy


def rewrite(path: Path) -> dict[str, Any]:
    """Give a parquet file the older types and values; its checksum and size."""
    table = pq.ParquetFile(path).read()
    for name, kind in (("ledger_sequence", pa.uint64()), ("protocol_version", pa.uint32())):
        table = table.set_column(table.schema.get_field_index(name), name, table.column(name).cast(kind))
    counts = pa.array([12345] * table.num_rows, pa.int32())
    table = table.set_column(table.schema.get_field_index("operation_count"), "operation_count", counts)
    pq.write_table(table, path)
    data = path.read_bytes()
    return {"checksum": f"sha256:{hashlib.sha256(data).hexdigest()}", "byte_size": len(data)}


def verify(copy: Copier, level: str) -> tuple[int, dict[str, Any]]:
    ran = call(
        "verify", copy.root / "data" / "bronze", "--level", level, "--chain", copy.root / "pas", "--json",
        "--passphrase", SampleOptions().passphrase, "--lake", copy.lake,
    )  # fmt: skip
    (era,) = json.loads(ran.out)["eras"]
    return ran.status, era


@pytest.mark.parametrize(
    ("level", "unchecked"),
    [
        ("manifests", ["the links of 3 partitions, whose manifests (older copier) do not state them"]),
        ("files", []),
        (
            "source",
            [
                "in 3 partitions: signatures: the manifests do not state that all of them hold",
                "in 3 partitions: contract events: the manifests do not state that all of them match",
                "in 3 partitions: operation_count: of the older copier, where it means something else",
            ],
        ),
    ],
)
def test_older_destination_holds_as_far(destination: Copier, level: str, unchecked: list[str]) -> None:
    status, era = verify(destination, level)
    assert (status, era["verdict"], era["events"], era["partitions"]) == (0, "HOLDS", 3, 3), era["findings"]
    assert {one["severity"] for one in era["findings"]} <= {"note"}
    of_older = [sentence for sentence in era["not_checked"] if "manifests" in sentence or "older" in sentence]
    assert of_older == unchecked


def test_broken_link_of_older_destination_is_found(destination: Copier) -> None:
    last = destination.parquet((24, 31))
    table = pq.ParquetFile(last).read()
    at = table.schema.get_field_index("previous_ledger_hash")
    hashes = ["0" * 64, *table.column(at).to_pylist()[1:]]
    pq.write_table(table.set_column(at, table.schema.field(at), pa.array(hashes)), last)
    status, era = verify(destination, "rows")
    assert (status, era["verdict"]) == (1, "DOES NOT HOLD")
    assert any(one["ledger"] == 24 and "previous_ledger_hash" in one["found"] for one in era["findings"])
