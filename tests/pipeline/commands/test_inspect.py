"""The command `inspect`: a ledger, a partition and a lake object, by URL and by configuration."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from pipeline.sample import SampleOptions
from tests.e2e.conftest import Copier, call, tree


def bronze(copy: Copier) -> str:
    return str(copy.root / "data" / "bronze")


def test_verbosity_counts_without_configuration(copy: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    levels = []
    monkeypatch.setattr("pipeline.telemetry.logs.configure", lambda format, level: levels.append((format, level)))
    for option in ("-q", "-v"):
        assert call("inspect", "nowhere.xdr.zst", option).status == 1
    assert levels == [("text", "warn"), ("text", "debug")]


def test_ledger_is_shown_by_url_and_configuration(copy: Copier, tmp_path: Path) -> None:
    copy.run()
    before = tree(copy.root)
    row = next(row for row in copy.rows() if row["ledger_sequence"] == 20)
    raw = tmp_path / "20.xdr"
    ran = call("inspect", "20", bronze(copy), "--json", "--xdr", str(raw))
    found = json.loads(ran.out)
    assert ran.status == 0
    assert found == json.loads(copy.run("inspect", "20", "--json").out)
    for name in ("ledger_hash", "previous_ledger_hash", "tx_set_hash", "tx_count", "operation_count", "xdr_sha256"):
        assert found[name] == row[name], name
    assert (found["where"], found["hashes"]) == (str(copy.parquet((16, 23))), "hold")
    assert raw.read_bytes() == row["xdr_bytes"]
    assert list(found["decoded"]) in (["v0"], ["v1"], ["v2"])
    header = found["decoded"][f"v{found['meta_version']}"]["ledger_header"]["header"]
    for name in ("bucket_list_hash", "inflation_seq", "base_fee", "base_reserve", "max_tx_set_size"):
        assert found[name] == header[name], name
    assert found["id_pool"] == int(header["id_pool"])
    assert set(found["verdicts"].values()) == {"holds"}
    assert tree(copy.root) == before


def test_signature_is_checked_with_passphrase(copy: Copier) -> None:
    copy.run()
    good = call("inspect", "20", bronze(copy), "--passphrase", SampleOptions().passphrase, "--json")
    assert (good.status, json.loads(good.out)["signature"]) == (0, "holds for the given passphrase")
    other = call("inspect", "20", bronze(copy), "--passphrase", "another network")
    assert other.status == 1
    assert "does not hold for the given passphrase" in other.out


def test_partition_is_shown_without_rows(copy: Copier) -> None:
    copy.run()
    found = json.loads(call("inspect", "16-23", bronze(copy), "--json").out)
    manifest = copy.manifests()[(16, 23)]
    assert (found["rows"], found["bytes"]) == (8, copy.parquet((16, 23)).stat().st_size)
    assert found["ledgers"] == manifest["ledgers"]
    assert "rows                  8" in call("inspect", "16-23", bronze(copy)).out


def test_lake_object_is_shown(copy: Copier) -> None:
    path = min(copy.lake.rglob("*.xdr.zst"))
    ran = call("inspect", str(path), "--json")
    found = json.loads(ran.out)
    first = found[0] if isinstance(found, list) else found
    assert ran.status == 0
    assert (first["where"], first["hashes"]) == (str(path), "hold")


def test_forged_ledger_exits_1(copy: Copier) -> None:
    copy.run()
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = copy.parquet((16, 23))
    table = pq.ParquetFile(path).read()
    rows = table.to_pylist()
    xdr = bytearray(rows[4]["xdr_bytes"])
    at = bytes(xdr).index(bytes.fromhex(rows[4]["previous_ledger_hash"]))
    xdr[at] ^= 1
    rows[4].update(xdr_bytes=bytes(xdr), xdr_sha256=hashlib.sha256(xdr).hexdigest())
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    ran = call("inspect", "20", bronze(copy))
    assert ran.status == 1
    assert "ledger hash does not hold" in ran.out
    verdicts = json.loads(call("inspect", "20", bronze(copy), "--json").out)["verdicts"]
    assert [name for name, words in verdicts.items() if words != "holds"] == ["ledger_hash", "tx_set_previous_hash"]


@pytest.mark.parametrize(
    ("what", "words"), [("99", "holds ledger 99"), ("16-22", "is not a partition of standalone/e1/v1; 16-23 is")]
)
def test_what_is_not_there_exits_2(copy: Copier, what: str, words: str) -> None:
    copy.run()
    ran = call("inspect", what, bronze(copy))
    assert (ran.status, words in ran.err) == (2, True), ran.err


def test_unreachable_store_exits_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    for arguments in (["20", "gs://bucket/bronze"], ["gs://bucket/lake/FFFFFFEB--20.xdr.zst"]):
        ran = call("inspect", *arguments)
        assert (ran.status, ran.out) == (3, ""), ran


def test_options_that_do_nothing_exit_2(copy: Copier) -> None:
    copy.run()
    for command in (["inspect", "20"], ["verify"]):
        ran = call(*command, bronze(copy), "--anonymous")
        assert (ran.status, "are for object stores" in ran.err) == (2, True), ran
        ran = copy.run(*command, "--region", "x")
        assert (ran.status, "the configuration has its own" in ran.err) == (2, True), ran
