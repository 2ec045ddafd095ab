"""Look at one ledger, one partition or one lake object, wherever it lies: what it says, and whether its hashes hold."""

from __future__ import annotations

import dataclasses
import struct
from contextlib import closing
from hashlib import sha256
from typing import Any

from bronze.authenticity.findings import node_name
from bronze.authenticity.value_signature import network_id, read_value_signature
from bronze.dataset.published_tables import PublishedTable
from bronze.errors import ObjectNotFoundError, VerificationError
from bronze.lake.zstd_frame import DecodeBuffer
from bronze.ledger.close_meta import CloseMeta, VerifyLevel, read_close_meta, read_object
from bronze.ledger.hashes import check_hashes
from bronze.partitioning.partition import Partition
from bronze.stellar import PASSPHRASES
from bronze.storage.opening import open_store
from pipeline.launch.audit import location_of
from pipeline.sizes import format_time

#: Most bytes that a lake object may decode to.
_MAX_OBJECT = 1 << 30
_FIRST_CAPACITY = 1 << 20
#: What follows the StellarValue: txSetResultHash, then bucketListHash, ledgerSeq, totalCoins, feePool, then
#: inflationSeq, idPool, baseFee, baseReserve, maxTxSetSize.
_REST_OF_HEADER = struct.Struct(">32x32s4x8x8xIQIII")


def inspect_ledger(xdr: bytes | memoryview, where: str, passphrase: str | None = None) -> dict[str, Any]:
    """What the close meta of one ledger says, and which of it holds.

    Args:
        where: the object that it was read from.
        passphrase: of the network; None: of the public network that the signature proves, if it proves one.

    Raises:
        DataError: it is not a close meta.
    """
    meta = read_close_meta(xdr, 0, len(xdr))
    return _ledger(meta, memoryview(xdr), where, passphrase)


def _ledger(meta: CloseMeta, data: memoryview, where: str, passphrase: str | None) -> dict[str, Any]:
    xdr = data[meta.start : meta.end]
    try:
        check_hashes(meta, VerifyLevel.FULL)
        summary = "hold"
    except VerificationError as error:
        summary = str(error)
    return {
        "kind": "ledger",
        "where": where,
        "ledger": meta.sequence,
        "closed": format_time(meta.close_time),
        "protocol_version": meta.protocol_version,
        "meta_version": meta.version,
        "ledger_hash": meta.ledger_hash.hex(),
        "previous_ledger_hash": meta.previous_ledger_hash.hex(),
        "tx_set_hash": meta.tx_set_hash.hex(),
        "result_hash": meta.result_hash.hex(),
        "tx_count": meta.tx_count,
        "operation_count": meta.operation_count,
        "total_coins": meta.total_coins,
        "fee_pool": meta.fee_pool,
        **_rest_of_header(meta, data),
        "xdr_byte_length": len(xdr),
        "xdr_sha256": sha256(xdr).hexdigest(),
        "hashes": summary,
        "verdicts": _verdicts(meta),
        **_signature(meta, data, passphrase),
    }


def _verdicts(meta: CloseMeta) -> dict[str, str]:
    """What a recomputation says of each hash, those that tie ledger, set and results together."""
    found = {
        "ledger_hash": (meta.ledger_hash, meta.computed_ledger_hash),
        "tx_set_hash": (meta.tx_set_hash, bytes(32) if meta.empty_tx_set else meta.computed_tx_set_hash),
        "tx_set_previous_hash": (meta.tx_set_previous_hash, meta.previous_ledger_hash),
        "result_hash": (meta.result_hash, meta.computed_result_hash),
    }
    return {
        name: "holds" if stored == computed else f"does not hold: {stored.hex()}, expected {(computed or b'').hex()}"
        for name, (stored, computed) in found.items()
    }


def _rest_of_header(meta: CloseMeta, data: memoryview) -> dict[str, Any]:
    """The fields of the header that are no column."""
    bucket_list_hash, *numbers = _REST_OF_HEADER.unpack_from(data, meta.value_end)
    names = ("inflation_seq", "id_pool", "base_fee", "base_reserve", "max_tx_set_size")
    return {"bucket_list_hash": bucket_list_hash.hex(), **dict(zip(names, numbers, strict=True))}


def _signature(meta: CloseMeta, data: memoryview, passphrase: str | None) -> dict[str, Any]:
    signature = read_value_signature(meta, data)
    if signature is None:
        return {"signer": None, "signature": "none"}
    phrases = {"the given passphrase": passphrase} if passphrase else PASSPHRASES
    held = next((name for name, phrase in phrases.items() if signature.holds(network_id(phrase))), None)
    return {
        "signer": node_name(signature.node),
        "signature": f"holds for {held}" if held else f"does not hold for {', '.join(phrases)}",
    }


def inspect_partition(table: PublishedTable, partition: Partition) -> dict[str, Any]:
    """What the manifest and the parquet file of one partition say; no row is read.

    Raises:
        ObjectNotFoundError: it is not published.
        DataError: its manifest or its file is damaged.
    """
    from bronze.dataset.parquet import read_footer

    manifest = table.manifest(partition)
    key = table.dataset.parquet_key(table.era, partition)
    if manifest is None:
        raise ObjectNotFoundError(f"the partition {partition} of {table.era.chain} is not published")
    size = table.dataset.store.size(key)
    with closing(table.dataset.store.open_read(key)) as file:
        footer = read_footer(file)
    links = manifest.ledgers.as_json() if manifest.ledgers else None
    return {
        "kind": "partition",
        "where": table.dataset.object_url(key),
        "chain": table.era.chain,
        "partition": str(partition),
        "rows": footer.rows,
        "rows_by_manifest": manifest.row_count,
        "bytes": size,
        "bytes_by_manifest": manifest.byte_size,
        "schema_differences": list(footer.schema_differences),
        "checksum_by_manifest": manifest.checksum,
        "created_at": manifest.created_at,
        "producer": dataclasses.asdict(manifest.producer),
        "ledgers": links,
        "authenticity": manifest.authenticity.as_json() if manifest.authenticity else None,
    }


def inspect_object(
    url: str,
    passphrase: str | None = None,
    *,
    endpoint: str | None = None,
    region: str | None = None,
    anonymous: bool = False,
) -> tuple[list[dict[str, Any]], list[bytes]]:
    """What the ledgers of one lake object say, and their close metas.

    Args:
        url: a path, ``s3://`` or ``gs://`` URL of the object.
        endpoint, region, anonymous: how its store is reached.

    Raises:
        DataError: it is damaged.
        StoreError: it is not there, or cannot be read.
    """
    folder, _, name = url.rpartition("/")
    folder = folder or ("/" if url.startswith("/") else ".")
    store = open_store(location_of(folder, endpoint=endpoint, region=region, anonymous=anonymous))
    buffer = DecodeBuffer(_FIRST_CAPACITY, _MAX_OBJECT)
    end = buffer.decode(store.read_view(name, _MAX_OBJECT), 0)
    _, metas = read_object(buffer.view, 0, end)
    where = f"{store.url}/{name}"
    found = [_ledger(meta, buffer.view, where, passphrase) for meta in metas]
    return found, [bytes(buffer.view[meta.start : meta.end]) for meta in metas]
