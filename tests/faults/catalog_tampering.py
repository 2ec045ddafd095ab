"""Kinds of tampering with a catalog: rows changed, removed, added and exchanged, also between eras."""

from __future__ import annotations

import random
from collections.abc import Callable

from bronze.partitioning.partition import Partition
from tests.bronze.conftest import GRID
from tests.faults.tampered_place import CATALOG, Place, Tampering

#: Columns that nothing compares (docs/verifying.md), and what they are changed to.
_UNCOMPARED = {
    "storage_uri": "file:///elsewhere",
    "producer_version": "another@v9",
    "producer_git_sha": "0000000",
    "source_type": "s3",
    "source_location": "s3://elsewhere/lake",
    "created_at": "2020-01-01T00:00:00Z",
}
_WHERE = "WHERE ledger_start = %s AND ledger_end = %s"


def changed_row(place: Place, one: Partition, rng: random.Random) -> Tampering:
    values = {
        "row_count": rng.randint(11, 99),
        "byte_size": rng.randint(1, 99),
        "checksum": f"sha256:{rng.getrandbits(256):064x}",
        "prev_hash": f"sha256:{rng.getrandbits(256):064x}",
        "storage_path": f"elsewhere/range={one}",
        "pas_event_hash": f"sha256:{rng.getrandbits(256):064x}",
    }
    column = rng.choice(list(values))
    place.sql(f"UPDATE _meta_lineage SET {column} = %s {_WHERE}", values[column], one.start, one.end)
    return Tampering(f"{column} of a row of the catalog changed", CATALOG, str(one))


def emptied_column(place: Place, one: Partition, rng: random.Random) -> Tampering:
    column = rng.choice(["pas_event_hash", *(["prev_hash"] if one not in (GRID[0], GRID[3]) else [])])
    place.sql(f"UPDATE _meta_lineage SET {column} = NULL {_WHERE}", one.start, one.end)
    return Tampering(f"{column} of a row of the catalog removed", CATALOG, str(one))


def uncompared_column(place: Place, one: Partition, rng: random.Random) -> Tampering:
    column = rng.choice(list(_UNCOMPARED))
    place.sql(f"UPDATE _meta_lineage SET {column} = %s {_WHERE}", _UNCOMPARED[column], one.start, one.end)
    return Tampering(f"{column} of a row of the catalog changed", "", "")


def moved_row(place: Place, one: Partition, rng: random.Random) -> Tampering:
    by = rng.choice([1, -1, 1000])
    change = "ledger_start = ledger_start + %s, ledger_end = ledger_end + %s"
    place.sql(f"UPDATE _meta_lineage SET {change} {_WHERE}", by, by, one.start, one.end)
    moved = Partition(one.start + by, one.end + by)
    return Tampering(f"ledgers of a row of the catalog moved by {by}", CATALOG, rng.choice([str(one), str(moved)]))


def unusable_row(place: Place, one: Partition, rng: random.Random) -> Tampering:
    place.sql(f"UPDATE _meta_lineage SET ledger_start = ledger_end + 1 {_WHERE}", one.start, one.end)
    return Tampering("a row of the catalog begins behind its end", CATALOG, rng.choice([str(one), "is not a range"]))


def removed_row(place: Place, one: Partition, rng: random.Random) -> Tampering:
    place.sql(f"DELETE FROM _meta_lineage {_WHERE}", one.start, one.end)
    return Tampering("a row of the catalog removed", CATALOG, str(one))


def removed_rows(place: Place, one: Partition, rng: random.Random) -> Tampering:
    place.sql("DELETE FROM _meta_lineage")
    return Tampering("all rows of the catalog removed", CATALOG, str(one))


def added_row(place: Place, one: Partition, rng: random.Random) -> Tampering:
    start = rng.choice([one.start + 2, 500])
    columns = "dataset_id, row_count, byte_size, checksum, prev_hash, storage_path, producer_version, pas_event_hash"
    place.sql(
        f"INSERT INTO _meta_lineage (ledger_start, ledger_end, {columns})"
        f" SELECT %s, %s, {columns} FROM _meta_lineage {_WHERE}",
        start, start + 5, one.start, one.end,
    )  # fmt: skip
    return Tampering("a row added to the catalog", CATALOG, f"{start}-{start + 5}")


def exchanged_rows(place: Place, one: Partition, rng: random.Random) -> Tampering:
    """The rows of two partitions of one era say each other's contents, in some columns or in all."""
    era = GRID[:3] if one in GRID[:3] else GRID[3:]
    other = rng.choice([partition for partition in era if partition != one])
    columns = rng.choice(["checksum", "pas_event_hash", "storage_path", "checksum, byte_size, pas_event_hash"])
    (mine,), (theirs,) = (
        place.sql(f"SELECT {columns} FROM _meta_lineage {_WHERE}", partition.start, partition.end)
        for partition in (one, other)
    )
    assignments = ", ".join(f"{column} = %s" for column in columns.split(", "))
    for partition, values in ((one, theirs), (other, mine)):
        place.sql(f"UPDATE _meta_lineage SET {assignments} {_WHERE}", *values, partition.start, partition.end)
    return Tampering(f"{columns} of two rows of the catalog exchanged", CATALOG, str(rng.choice([one, other])))


def exchanged_eras_of_rows(place: Place, one: Partition, rng: random.Random) -> Tampering:
    place.sql("UPDATE _meta_lineage SET dataset_id = (SELECT sum(id) FROM _meta_datasets) - dataset_id")
    return Tampering("the rows of two eras in the catalog exchanged", CATALOG, str(one))


def row_of_another_era(place: Place, one: Partition, rng: random.Random) -> Tampering:
    place.sql(
        f"UPDATE _meta_lineage SET dataset_id = (SELECT sum(id) FROM _meta_datasets) - dataset_id {_WHERE}",
        one.start, one.end,
    )  # fmt: skip
    return Tampering("a row of the catalog moved to another era", CATALOG, str(one))


CATALOG_KINDS: tuple[Callable[[Place, Partition, random.Random], Tampering], ...] = (
    changed_row, emptied_column, uncompared_column, moved_row, unusable_row, removed_row, removed_rows, added_row,
    exchanged_rows, exchanged_eras_of_rows, row_of_another_era,
)  # fmt: skip
