"""Damaged lakes: the partition stays unpublished, all others are published, the message says what is wrong.

After the lake is repaired a second run completes the copy.
"""

from __future__ import annotations

import gc
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from stellar_sdk import xdr

from bronze.partitioning.partition import Partition
from pipeline.launch.prepare import prepare
from pipeline.settings import load
from tests.e2e.conftest import Copier, LakeFiles, batch, call, pack, small

#: Five partitions of 8 ledgers; the second, 16-23, is damaged unless a row says otherwise.
PARTITIONS = [(8, 15), (16, 23), (24, 31), (32, 39), (40, 47)]
FIRST, LAST = 8, 47
DAMAGED = (16, 23)


@dataclass
class Damaged(LakeFiles):
    """A damaged lake; `other` holds another chain over the same ledgers."""

    other: LakeFiles | None = None


@dataclass
class Damage:
    """One way to damage a lake.

    Attributes:
        harm: damages the file.
        at: the ledger whose file is damaged.
        says: part of the message beside the file's name; `{…}` stands for the values that `harm` returned.
        hits: the partitions that cannot be published.
        layout: of the lake: ledgers per file.
        settings: of the configuration.
    """

    name: str
    harm: Callable[[Any, int], dict[str, Any] | None]
    at: int
    says: str
    hits: list[tuple[int, int]] = field(default_factory=lambda: [DAMAGED])
    k: int = 1
    settings: dict[str, Any] = field(default_factory=dict)
    era: dict[str, Any] = field(default_factory=dict)


# ------------------------------------------------------------------------------------------ whole objects


def missing(lake: LakeFiles, at: int) -> None:
    lake.remove(at)


def missing_behind_older(lake: LakeFiles, at: int) -> None:
    """The lake begins before the range: with what is only a name."""
    older = lake.path(at - 1)
    older.parent.mkdir(exist_ok=True)
    older.touch()
    lake.remove(at)


def empty(lake: LakeFiles, at: int) -> None:
    lake.put(at, b"")


def truncated(lake: LakeFiles, at: int) -> dict[str, Any]:
    packed = lake.path(at).read_bytes()
    lake.put(at, packed[: len(packed) * 2 // 3])
    return {"size": len(packed) * 2 // 3}


def cut_to_the_header(lake: LakeFiles, at: int) -> None:
    lake.put(at, lake.path(at).read_bytes()[:5])


def cut_in_the_checksum(lake: LakeFiles, at: int) -> dict[str, Any]:
    packed = lake.path(at).read_bytes()
    lake.put(at, packed[:-2])
    return {"size": len(packed) - 2, "expected": len(packed)}


def followed_by_bytes(lake: LakeFiles, at: int) -> None:
    lake.put(at, lake.path(at).read_bytes() + b"\0\0\0\0")


def two_frames(lake: LakeFiles, at: int) -> None:
    lake.put(at, lake.path(at).read_bytes() * 2)


def followed_by_bytes_within_the_frame(lake: LakeFiles, at: int) -> None:
    lake.put_content(at, lake.content(at) + b"\0\0\0\0")


def cut_within_the_frame(lake: LakeFiles, at: int) -> None:
    lake.put_content(at, lake.content(at)[:-8])


def bomb(lake: LakeFiles, at: int) -> None:
    lake.put_content(at, lake.content(at) + bytes(8 << 20))


def newer_version(lake: LakeFiles, at: int) -> None:
    lake.put_meta(at, struct.pack(">I", 3) + lake.meta(at)[4:])


def no_frame(lake: LakeFiles, at: int) -> None:
    lake.put(at, b"<html>503 Slow Down</html>")


# ------------------------------------------------------------------------------------------ one flipped byte


def flip(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 0x80
    return bytes(changed)


def flip_packed(position: Callable[[bytes], int]) -> Callable[[LakeFiles, int], None]:
    def harm(lake: LakeFiles, at: int) -> None:
        packed = lake.path(at).read_bytes()
        lake.put(at, flip(packed, position(packed)))

    return harm


def flip_content(position: int) -> Callable[[LakeFiles, int], None]:
    def harm(lake: LakeFiles, at: int) -> None:
        lake.put_content(at, flip(lake.content(at), position))

    return harm


def flip_part(part: Callable[[xdr.LedgerCloseMeta], Any], offset: int) -> Callable[[LakeFiles, int], dict[str, Any]]:
    """Flip the byte `offset` of what `part` picks of the ledger, as stellar-sdk finds it."""

    def harm(lake: LakeFiles, at: int) -> dict[str, Any]:
        meta = lake.meta(at)
        decoded = xdr.LedgerCloseMeta.from_xdr_bytes(meta)
        piece = part(decoded).to_xdr_bytes()
        assert meta.count(piece) == 1
        lake.put_meta(at, flip(meta, meta.index(piece) + offset % len(piece)))
        header = body(decoded).ledger_header
        return {
            "ledger_hash": header.hash.hash.hex(),
            "set_hash": header.header.scp_value.tx_set_hash.hash.hex(),
            "result_hash": header.header.tx_set_result_hash.hash.hex(),
        }

    return harm


def body(meta: xdr.LedgerCloseMeta) -> Any:
    return meta.v0 or meta.v1 or meta.v2


def header(meta: xdr.LedgerCloseMeta) -> Any:
    return body(meta).ledger_header.header


def stored_hash(meta: xdr.LedgerCloseMeta) -> Any:
    return body(meta).ledger_header.hash


def signature_of_a_transaction(meta: xdr.LedgerCloseMeta) -> Any:
    if meta.v == 0:
        envelope = body(meta).tx_set.txs[0]
    else:
        phase = next(phase for phase in body(meta).tx_set.v1_tx_set.phases if phase.v0_components)
        envelope = phase.v0_components[0].txs_maybe_discounted_fee.txs[0]
    return (envelope.fee_bump or envelope.v1 or envelope.v0).signatures[0].signature


def result_pair(meta: xdr.LedgerCloseMeta) -> Any:
    return body(meta).tx_processing[0].result


def meta_of_a_transaction(meta: xdr.LedgerCloseMeta) -> Any:
    return body(meta).tx_processing[0].tx_apply_processing


# ------------------------------------------------------------------------------------- misplaced ledgers


def content_of_another(lake: LakeFiles, at: int) -> None:
    lake.put(at, lake.path(at + lake.layout.ledgers_per_file).read_bytes())


def batch_range(start: int, end: int) -> Callable[[LakeFiles, int], None]:
    """Move the batch's stated range, not its ledgers."""

    def harm(lake: LakeFiles, at: int) -> None:
        raw = lake.content(at)
        first, last, count = struct.unpack_from(">III", raw)
        lake.put_content(at, struct.pack(">III", first + start, last + end, count) + raw[12:])

    return harm


def two_ledgers_change_places(lake: LakeFiles, at: int) -> None:
    metas = lake.metas(at)
    metas[0], metas[1] = metas[1], metas[0]
    lake.put_content(at, batch(lake.layout.file_start(at), metas))


def without_its_first_ledger(lake: LakeFiles, at: int) -> None:
    lake.put_content(at, batch(lake.layout.file_start(at) + 1, lake.metas(at)[1:]))


def of_another_chain(lake: Damaged, at: int) -> dict[str, Any]:
    """The same ledger of a lake with another seed: valid in itself, but it follows another ledger."""
    other = lake.other.meta(at)
    lake.put_meta(at, other)
    before, found = (xdr.LedgerCloseMeta.from_xdr_bytes(one) for one in (lake.meta(at - 1), other))
    return {"stated": header(found).previous_ledger_hash.hash.hex(), "before": stored_hash(before).hash.hex()}


def of_another_protocol(lake: LakeFiles, at: int) -> None:
    """The protocol in its header is 21; its own hash holds."""
    meta = lake.meta(at)
    decoded = xdr.LedgerCloseMeta.from_xdr_bytes(meta)
    old, spot = header(decoded).to_xdr_bytes(), stored_hash(decoded).to_xdr_bytes() + header(decoded).to_xdr_bytes()
    new = struct.pack(">I", 21) + old[4:]
    assert meta.count(spot) == 1
    lake.put_meta(at, meta.replace(spot, sha256(new).digest() + new))


DAMAGES = [
    # An object that is not there.
    Damage("the first object of a partition is missing", missing, 16, "is missing from the lake"),
    Damage("an object within a partition is missing", missing, 20, "is missing from the lake"),
    Damage("the last object of a partition is missing", missing, 23, "is missing from the lake"),
    Damage("the first object of the range is missing", missing_behind_older, 8, "is missing from the lake", [(8, 15)]),
    Damage("the last object of the range is missing", missing, 47, "is missing from the lake", [(40, 47)]),
    Damage("a file of four ledgers is missing", missing, 20, "is missing from the lake", k=4),
    # An object that is not one whole frame.
    Damage("an object is empty", empty, 20, "object is empty (0 bytes)"),
    Damage("an object is truncated", truncated, 20, "truncated zstd frame: {size} bytes"),
    Damage("an object is truncated within the frame's header", cut_to_the_header, 20, "truncated zstd frame: 5 bytes"),
    Damage(
        "an object is truncated within the frame's checksum",
        cut_in_the_checksum,
        20,
        "truncated zstd frame: {size} bytes, expected {expected}",
    ),
    Damage("bytes follow the frame", followed_by_bytes, 20, "4 bytes follow the zstd frame"),
    Damage("the batch follows again in a second frame", two_frames, 20, "bytes follow the last ledger, 20, expected 0"),
    Damage("bytes follow the batch", followed_by_bytes_within_the_frame, 20, "4 bytes follow the last ledger, 20"),
    Damage("the batch ends early", cut_within_the_frame, 20, "malformed XDR at byte"),
    Damage(
        "a decompression bomb",
        bomb,
        20,
        "object decodes to more than 1048576 bytes",
        settings={"source": {"max_object_mb": 1}},
    ),
    Damage("an object is something else", no_frame, 20, "not a zstd frame: begins with 3c68746d, expected 28b52ffd"),
    # One flipped byte, wherever it is.
    Damage("flipped: the frame's magic number", flip_packed(lambda packed: 0), 20, "not a zstd frame"),
    Damage("flipped: the frame's descriptor", flip_packed(lambda packed: 4), 20, "zstd"),
    Damage("flipped: a block", flip_packed(lambda packed: len(packed) // 2), 20, "corrupt zstd frame"),
    Damage("flipped: the frame's checksum", flip_packed(lambda packed: len(packed) - 1), 20, "corrupt zstd frame"),
    Damage("flipped: the batch's start", flip_content(3), 20, "a batch from ledger 148 to 20"),
    Damage("flipped: the batch's end", flip_content(7), 20, "a batch of ledgers 20-148 holds 1, expected 129"),
    Damage("flipped: the batch's count", flip_content(11), 20, "a batch of ledgers 20-20 holds 129, expected 1"),
    Damage("flipped: the close meta's version", flip_content(15), 20, "malformed XDR at byte 12"),
    Damage(
        "a close meta of a newer version",
        newer_version,
        20,
        "newer than this program reads: 3 is not a value of union LedgerCloseMeta (byte 12 in"
        " LedgerCloseMetaBatch.ledgerCloseMetas[0]): upgrade bronze-copier",
    ),
    Damage(
        "flipped: the header",
        flip_part(header, -80),
        20,
        "ledger 20: ledger hash does not hold: stored {ledger_hash}, computed ",
    ),
    Damage(
        "flipped: the stored ledger hash",
        flip_part(stored_hash, 0),
        20,
        "ledger 20: ledger hash does not hold: stored ",
    ),
    Damage(
        "flipped: the header of the partition's last ledger",
        flip_part(header, -80),
        23,
        "ledger 23: ledger hash does not hold: stored {ledger_hash}, computed ",
    ),
    Damage(
        "flipped: the transaction set of a V0",
        flip_part(signature_of_a_transaction, 20),
        12,
        "ledger 12: transaction set hash does not hold: stored {set_hash}, computed ",
        [(8, 15)],
    ),
    Damage(
        "flipped: the transaction set of a V1",
        flip_part(signature_of_a_transaction, 20),
        28,
        "ledger 28: transaction set hash does not hold: stored {set_hash}, computed ",
        [(24, 31)],
    ),
    Damage(
        "flipped: the transaction set of a V2",
        flip_part(signature_of_a_transaction, 20),
        44,
        "ledger 44: transaction set hash does not hold: stored {set_hash}, computed ",
        [(40, 47)],
    ),
    Damage(
        "flipped: the results of a V0",
        flip_part(result_pair, 39),
        12,
        "ledger 12: result hash does not hold: stored {result_hash}, computed ",
        [(8, 15)],
    ),
    Damage(
        "flipped: the results of a V2",
        flip_part(result_pair, 39),
        44,
        "ledger 44: result hash does not hold: stored {result_hash}, computed ",
        [(40, 47)],
    ),
    Damage("flipped: the meta of a V0", flip_part(meta_of_a_transaction, 0), 12, "malformed XDR at byte", [(8, 15)]),
    Damage("flipped: the meta of a V2", flip_part(meta_of_a_transaction, 3), 44, "malformed XDR at byte", [(40, 47)]),
    # What is whole, but not what its name says.
    Damage("another ledger's content", content_of_another, 20, "holds ledgers 21-21, but its name says 20-20"),
    Damage(
        "another file's content",
        content_of_another,
        20,
        "holds ledgers 24-27, but its name says 20-23",
        k=4,
    ),
    Damage("the batch starts elsewhere than its name", batch_range(4, 4), 20, "holds ledger 20 where ledger 24", k=4),
    Damage(
        "the batch lacks its first ledger",
        without_its_first_ledger,
        20,
        "ledger 21 stands where ledger 20 is expected",
        k=4,
    ),
    Damage(
        "two ledgers of a batch have changed places",
        two_ledgers_change_places,
        20,
        "a batch of ledgers 20-23 holds ledger 21 where ledger 20 is expected",
        k=4,
    ),
    # What is sound in itself, but does not follow the ledger before it.
    Damage(
        "a broken link between two files",
        of_another_chain,
        20,
        "ledger 20 does not follow ledger 19: its previous ledger hash is {stated}, that ledger's is {before}",
    ),
    Damage(
        "a broken link within a file",
        of_another_chain,
        22,
        "ledger 22 does not follow ledger 21: its previous ledger hash is {stated}, that ledger's is {before}",
        k=4,
    ),
    Damage(
        "a broken link between two partitions",
        of_another_chain,
        16,
        "ledger 16 does not follow ledger 15: its previous ledger hash is {stated}, that ledger's is {before}",
    ),
    Damage(
        "a broken link behind a partition too: nothing says which of the two is wrong",
        of_another_chain,
        23,
        "ledger 23 does not follow ledger 22: its previous ledger hash is {stated}, that ledger's is {before}",
        [(16, 23), (24, 31)],
    ),
    # What the era does not allow.
    Damage(
        "a ledger of another protocol than the era allows",
        of_another_protocol,
        44,
        "ledger 44 has protocol 21, era 'e1' allows any to 20",
        [(40, 47)],
        settings={"source": {"verify": "full"}},
        era={"protocol_max": 20},
    ),
]


@pytest.fixture
def damaged(
    sample: Callable[..., LakeFiles], sample_lakes: Callable[..., Path], copier: Callable[..., Copier]
) -> Callable[[Damage], tuple[LakeFiles, Copier, dict[str, Any]]]:
    def make(damage: Damage) -> tuple[LakeFiles, Copier, dict[str, Any]]:
        # A third each of V0, V1 and V2, or of one protocol where the era allows no other.
        protocols = (20,) if damage.era else (19, 20, 23)
        options = {"first": FIRST, "ledgers": LAST - FIRST + 1, "ledgers_per_file": damage.k, "protocols": protocols}
        made, elsewhere = sample(**options), small(**options, seed=1)
        lake = Damaged(made.root, made.layout, other=LakeFiles(sample_lakes(elsewhere), elsewhere.layout))
        values = damage.harm(lake, damage.at) or {}
        era = {"ledger_start": FIRST, "ledger_end": LAST, "partition_size": 8, **damage.era}
        return lake, copier(lake.root, settings=damage.settings, **era), values

    return make


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_damaged_object_fails_only_its_partition(
    damage: Damage, damaged: Callable[[Damage], tuple[LakeFiles, Copier, dict[str, Any]]]
) -> None:
    lake, copy, values = damaged(damage)

    ran = copy.run()

    # The partition is unpublished, everything else is published, nothing of the chain lies past it.
    sound = [part for part in PARTITIONS if part not in damage.hits]
    reached = [part for part in PARTITIONS if part < damage.hits[0]]
    assert copy.partitions() == sound
    assert copy.leftovers() == []
    assert not any(copy.parquet(part).exists() for part in damage.hits)
    assert copy.committed() == reached
    assert copy.checkpoint() == (reached[-1][1] if reached else 0)
    # Exit status and message: the object, the ledger, both values.
    assert (ran.status, ran.failures_logged) == (1, (len(damage.hits), ""))
    failed = ran.lines("failed")
    assert len(failed) == len(damage.hits)
    assert f"standalone/e1/v1 {damage.hits[0][0]}-{damage.hits[0][1]}" in failed[0]
    assert failed[0].count(str(lake.path(damage.at))) == 1
    assert damage.says.format(**values) in failed[0]
    behind = [part for part in sound if part > damage.hits[0]]
    assert [line.split(" is ")[0] for line in ran.lines("pending")] == [
        f"standalone/e1/v1 {low}-{high}" for low, high in behind
    ]

    # Repaired, a second run completes everything.
    lake.repair()
    again = copy.run()
    assert (again.status, again.err) == (0, "")
    assert copy.partitions() == copy.committed() == PARTITIONS
    assert copy.ledgers() == list(range(FIRST, LAST + 1))
    assert copy.verified()


#: A partition boundary, 13|14, lies within the file 12-15.
STRADDLING = {"ledger_start": 8, "ledger_end": 25, "partition_size": 6}


@pytest.mark.parametrize(
    ("harm", "at", "hit"),
    [
        pytest.param(empty, 12, [(8, 13), (14, 19)], id="an empty file hits both"),
        pytest.param(flip_part(header, -80), 12, [(8, 13)], id="a wrong hash hits its ledger's partition"),
        pytest.param(
            flip_part(header, -80), 15, [(14, 19)], id="a wrong hash hits its ledger's partition, not the one before"
        ),
        pytest.param(of_another_chain, 12, [(8, 13)], id="so does a broken link"),
        pytest.param(of_another_chain, 14, [(14, 19)], id="a broken link on the boundary hits the one behind it"),
    ],
)
def test_file_across_partitions_fails_those_needing_it(
    harm: Callable[[LakeFiles, int], Any],
    at: int,
    hit: list[tuple[int, int]],
    damaged: Callable[[Damage], tuple[LakeFiles, Copier, dict[str, Any]]],
) -> None:
    lake, copy, _ = damaged(Damage("", harm, at, "", k=4))
    copy.settings["era"].update(STRADDLING)

    assert copy.run().status == 1

    assert copy.partitions() == [part for part in [(8, 13), (14, 19), (20, 25)] if part not in hit]
    lake.repair()
    assert copy.run().status == 0
    assert copy.verified()


def test_ledgers_beyond_lake_end_are_missing(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> None:
    lake = sample(first=8, ledgers=12)
    copy = copier(lake.root, ledger_start=8, ledger_end=31, partition_size=8)

    ran = copy.run()

    assert ran.status == 1
    assert copy.partitions() == [(8, 15)]
    assert [
        f"{lake.path(ledger)} is missing" in line for ledger, line in zip((20, 24), ran.lines("failed"), strict=True)
    ] == [
        True,
        True,
    ]


def test_all_damaged_partitions_are_reported(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> None:
    """With several workers too; no failed partition affects a published one."""
    lake = sample(first=8, ledgers=40)
    copy = copier(lake.root, ledger_start=8, ledger_end=47, partition_size=2, settings={"perf": {"workers": 4}})
    for ledger in range(9, 48, 4):
        empty(lake, ledger)

    ran = copy.run()

    assert (ran.status, ran.failures_logged) == (1, (10, ""))
    assert len(ran.lines("failed")) == 10
    assert len(copy.partitions()) == 10
    assert not [line for line in copy.run("verify").out.splitlines() if "checksum" in line]
    lake.repair()
    assert copy.run().status == 0
    assert copy.verified()


def test_failed_partition_closes_its_file(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], tmp_path: Path
) -> None:
    """Arrow closes a file when its writer is collected, perhaps long after the temporary file was closed.

    By then another open file may have the same descriptor.
    """
    lake = sample(first=8, ledgers=8)
    copy = copier(lake.root, ledger_start=8, ledger_end=15, partition_size=8)
    empty(lake, 12)
    connections = prepare(load(copy.config, {})).connections
    raised = None
    try:
        connections.copier().copy(connections.job.eras[0], Partition(8, 15), range(8, 16))
    except Exception as error:
        raised = error  # keeps everything that the frames of its traceback hold

    with (tmp_path / "other").open("wb") as other:
        assert raised is not None
        raised = None
        gc.collect()
        other.write(b"mine")

    assert (tmp_path / "other").read_bytes() == b"mine"


def test_unhashed_bytes_are_checked_for_form_only(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    """No hash covers transaction meta: a flip that leaves it well-formed cannot be noticed.

    It is copied byte for byte, and its SHA-256 is that of the copied bytes.
    """
    lake = sample(first=FIRST, ledgers=8, protocols=(23,))
    original = lake.meta(12)
    piece = meta_of_a_transaction(xdr.LedgerCloseMeta.from_xdr_bytes(original)).to_xdr_bytes()
    flipped = next(found for found in _well_formed_flips(original, original.index(piece), len(piece)))
    lake.put_meta(12, flipped)
    copy = copier(lake.root, ledger_start=8, ledger_end=15, partition_size=8)

    assert copy.run().status == 0

    row = next(row for row in copy.rows() if row["ledger_sequence"] == 12)
    assert row["xdr_bytes"] == flipped != original
    assert row["xdr_sha256"] == sha256(flipped).hexdigest()


def _well_formed_flips(meta: bytes, start: int, size: int) -> Any:
    for at in range(start, start + size):
        changed = flip(meta, at)
        try:
            if xdr.LedgerCloseMeta.from_xdr_bytes(changed).to_xdr_bytes() == changed:
                yield changed
        except Exception:
            continue


def test_load_test_ledgers_pass_header_verification(
    damaged: Callable[[Damage], tuple[LakeFiles, Copier, dict[str, Any]]],
) -> None:
    """``source.verify: header`` accepts a wrong transaction set and nothing else."""
    lake, copy, _ = damaged(Damage("", flip_part(signature_of_a_transaction, 20), 20, ""))
    copy.settings["source"]["verify"] = "header"
    flip_part(header, -80)(lake, 36)

    ran = copy.run()

    assert ran.status == 1
    assert copy.partitions() == [part for part in PARTITIONS if part != (32, 39)]
    assert "ledger 36: ledger hash does not hold" in ran.out


def test_lake_of_bare_ledgers_is_copied(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> None:
    """Some private archives hold one bare LedgerCloseMeta in each object; it must match the object's name."""
    lake = sample(first=8, ledgers=16)
    metas = {ledger: lake.meta(ledger) for ledger in range(8, 24)}
    for ledger, meta in metas.items():
        lake.path(ledger).write_bytes(pack(meta))
    copy = copier(lake.root, ledger_start=8, ledger_end=23, partition_size=8)
    content_of_another(lake, 20)

    ran = copy.run()

    assert ran.status == 1
    assert f"{lake.path(20)}: holds the bare ledger 21, but its name says 20" in ran.out
    lake.repair()
    assert copy.run().status == 0
    assert [row["xdr_bytes"] for row in copy.rows()] == list(metas.values())


@pytest.mark.parametrize(
    ("config", "status", "says"),
    [
        pytest.param("{", 1, ".config.json cannot be used: it is not valid JSON", id="no JSON"),
        pytest.param(
            {"networkPassphrase": "Public Global Stellar Network ; September 2015"},
            2,
            "era.network is 'standalone', which is not a known network",
            id="a public network's lake under another name",
        ),
        pytest.param({"ledgersPerBatch": 4}, 1, "do not match the lake", id="contradicts the names"),
        pytest.param({"compression": "gzip"}, 1, "compression is 'gzip', only 'zstd' is supported", id="compression"),
    ],
)
def test_contradictory_lake_is_refused(
    config: Any, status: int, says: str, sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    lake = sample(first=8, ledgers=8)
    path = lake.root / ".config.json"
    path.write_text(config if isinstance(config, str) else json.dumps({**json.loads(path.read_text()), **config}))
    copy = copier(lake.root, ledger_start=8, ledger_end=15)

    ran = copy.run()

    assert ran.status == status
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert not (copy.root / "data").exists()


def test_lake_is_never_written(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> None:
    lake = sample(first=8, ledgers=8)
    before = {path: path.stat().st_mtime_ns for path in lake.root.rglob("*")}
    assert call("--config", copier(lake.root, ledger_start=8, ledger_end=15).config).status == 0
    assert {path: path.stat().st_mtime_ns for path in lake.root.rglob("*")} == before
