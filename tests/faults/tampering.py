"""Tampers with a good destination in random ways, and audits it: each way is found at the level that claims it.

``python -m tests.faults.tampering --count 300`` prints what was done and how it was found; it exits with 1 when one
tampering was not found, or at another place than where it was made.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bronze.audit.event import hash_document, parse_event
from bronze.audit.event_log import HEADS, EventLog, in_link_order
from bronze.partitioning.partition import Partition
from bronze.storage.local import LocalStore
from bronze.verify.finding import Finding
from tests.bronze.conftest import GRID, Workspace
from tests.faults.catalog_tampering import CATALOG_KINDS
from tests.faults.tampered_place import (
    CATALOG,
    CHAIN,
    HEAD,
    Place,
    Tampering,
    audit,
    is_found,
    known_chains,
    make_place,
)
from tests.support.postgres_server import running_server

#: Keys of a manifest that something covers; nothing covers the others (docs/verifying.md).
_COVERED = ("partition", "tables", "ledgers")


def flip(path: Path, rng: random.Random) -> int:
    """Change one bit; return where."""
    data = bytearray(path.read_bytes())
    at = rng.randrange(len(data))
    data[at] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return at


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False))


def rehash(at: Workspace, changes: dict[Partition, Callable[[dict[str, Any]], object]]) -> None:
    """Change events, and hash the whole chain and its head again, as its maker could."""
    names = {at.log.key(one.partition): one for one in EventLog(LocalStore(at.events), at.era).load()}
    previous = None
    for event in in_link_order(list(names.values()), ""):
        document = event.document
        changes.get(event.partition, lambda _: None)(document)
        if previous is not None:
            document["chain"]["prev_event_hash"] = previous
        document["chain"]["event_hash"] = ""
        previous = document["chain"]["event_hash"] = hash_document(document)
        data = json.dumps(document, indent=2, ensure_ascii=False).encode()
        (at.events / at.log.key(event.partition)).write_bytes(data)
        parse_event(data, "")
    edit(at.events / HEADS, lambda heads: heads.update({at.era.chain: previous}))


def cover(at: Workspace, partition: Partition, depth: int) -> None:
    """Make what describes a changed parquet file fit it: the manifest (1), and the events as well (2)."""
    path = at.parquet(partition)
    size, checksum = path.stat().st_size, at.dataset.checksum(at.dataset.parquet_key(at.era, partition))
    values = {"checksum": checksum, "byte_size": size, "row_count": pq.ParquetFile(path).metadata.num_rows}
    if depth >= 1:
        edit(at.manifest(partition), lambda one: one["tables"]["ledgers_lcm_raw"].update(values))
    if depth >= 2:
        rehash(at, {partition: lambda one: one["tables"]["ledgers_lcm_raw"].update(values)})


def rewrite(path: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change rows of a parquet file."""
    table = pq.read_table(path, partitioning=None)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path, compression="zstd")


# Each kind of tampering: place, partition and random numbers in, what was done out.


def flipped_data(place: Place, one: Partition, rng: random.Random) -> Tampering:
    at = flip(place.of(one).parquet(one), rng)
    return Tampering(f"bit at byte {at} of the parquet file flipped", "files", f"part-{one}.parquet")


def truncated_data(place: Place, one: Partition, rng: random.Random) -> Tampering:
    path = place.of(one).parquet(one)
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])
    return Tampering("parquet file cut off", "manifests", f"range={one}")


def flipped_manifest(place: Place, one: Partition, rng: random.Random) -> Tampering:
    path = place.of(one).manifest(one)
    before = json.loads(path.read_bytes())
    at = flip(path, rng)
    what = f"bit at byte {at} of the manifest flipped"
    with suppress(ValueError):
        after = json.loads(path.read_bytes())
        if all(before[key] == after.get(key) for key in _COVERED):
            return Tampering(what, "", "")
    return Tampering(what, "rows", str(one))


def flipped_event(place: Place, one: Partition, rng: random.Random) -> Tampering:
    at = place.of(one)
    name = at.log.key(one)
    return Tampering(f"bit at byte {flip(at.events / name, rng)} of the event flipped", CHAIN, name)


_COLUMNS: dict[str, Callable[[Any], Any]] = {
    "ledger_hash": lambda value: "0" + value[1:] if value[0] != "0" else "1" + value[1:],
    "previous_ledger_hash": lambda value: value[::-1],
    "tx_set_hash": lambda value: value[::-1],
    "xdr_sha256": lambda value: value[::-1],
    "tx_count": lambda value: value + 1,
    "operation_count": lambda value: value + 7,
    "protocol_version": lambda value: value + 1,
    "total_coins": lambda value: value - 1,
    "fee_pool": lambda value: value + 1,
    "xdr_byte_length": lambda value: value - 4,
    "era_id": lambda value: f"{value}x",
    "network": lambda value: f"{value}x",
    "bronze_version": lambda value: "v9",
    "ledger_sequence": lambda value: value + 1000,
    "close_time": lambda value: value + timedelta(seconds=1),
    "ingested_at": lambda _: datetime(2026, 1, 1, tzinfo=UTC),
}


def forged_column(place: Place, one: Partition, rng: random.Random) -> Tampering:
    name, ledger, depth = rng.choice(list(_COLUMNS)), rng.randint(one.start, one.end), rng.randint(0, 2)
    at = place.of(one)

    def change(rows: list[dict[str, Any]]) -> None:
        row = rows[ledger - one.start]
        row[name] = _COLUMNS[name](row[name])

    rewrite(at.parquet(one), change)
    cover(at, one, depth)
    return Tampering(f"{name} of ledger {ledger} changed, covered to depth {depth}", "rows", f"part-{one}", ledger)


def forged_xdr(place: Place, one: Partition, rng: random.Random) -> Tampering:
    ledger, depth = rng.randint(one.start, one.end), rng.randint(0, 2)
    at = place.of(one)

    def change(rows: list[dict[str, Any]]) -> None:
        row = rows[ledger - one.start]
        xdr = bytearray(row["xdr_bytes"])
        xdr[rng.randrange(len(xdr))] ^= 1 << rng.randrange(8)
        row["xdr_bytes"], row["xdr_sha256"] = bytes(xdr), hashlib.sha256(xdr).hexdigest()

    rewrite(at.parquet(one), change)
    cover(at, one, depth)
    return Tampering(
        f"bit in the XDR of ledger {ledger} flipped, covered to depth {depth}", "source", f"part-{one}", ledger
    )


def removed_row(place: Place, one: Partition, rng: random.Random) -> Tampering:
    number, depth = rng.randrange(10), rng.randint(0, 2)
    at = place.of(one)
    rewrite(at.parquet(one), lambda rows: rows.pop(number))
    cover(at, one, depth)
    return Tampering(f"row {number} removed, covered to depth {depth}", "manifests" if depth else "files", f"{one}")


def swapped_rows(place: Place, one: Partition, rng: random.Random) -> Tampering:
    number, depth = rng.randrange(9), rng.randint(0, 2)
    at = place.of(one)

    def change(rows: list[dict[str, Any]]) -> None:
        rows[number], rows[number + 1] = rows[number + 1], rows[number]

    rewrite(at.parquet(one), change)
    cover(at, one, depth)
    return Tampering(
        f"rows {number} and {number + 1} exchanged, covered to depth {depth}", "rows", f"part-{one}", one.start + number
    )


def swapped_files(place: Place, one: Partition, rng: random.Random) -> Tampering:
    at = place.of(one)
    other = rng.choice([partition for partition in GRID if place.of(partition).era == at.era and partition != one])
    depth = rng.randint(0, 2)
    first, second = at.parquet(one), at.parquet(other)
    data = first.read_bytes(), second.read_bytes()
    first.write_bytes(data[1])
    second.write_bytes(data[0])
    cover(at, one, depth)
    cover(at, other, depth)
    return Tampering(f"parquet files of {one} and {other} exchanged, covered to depth {depth}", "rows", f"range={one}")


def swapped_partitions(place: Place, one: Partition, rng: random.Random) -> Tampering:
    at = place.of(one)
    other = rng.choice([partition for partition in GRID if place.of(partition).era == at.era and partition != one])
    for path in (at.parquet, at.manifest):
        first, second = path(one), path(other)
        data = first.read_bytes(), second.read_bytes()
        first.write_bytes(data[1])
        second.write_bytes(data[0])
    return Tampering(f"files and manifests of {one} and {other} exchanged", "manifests", f"range={one}")


def removed_partition(place: Place, one: Partition, rng: random.Random) -> Tampering:
    shutil.rmtree(place.of(one).parquet(one).parent)
    return Tampering("partition removed", "manifests", str(one))


def removed_manifest(place: Place, one: Partition, rng: random.Random) -> Tampering:
    place.of(one).manifest(one).unlink()
    return Tampering("manifest removed", "manifests", str(one))


def edited_event(place: Place, one: Partition, rng: random.Random) -> Tampering:
    at = place.of(one)
    field = rng.choice(
        ["row_count", "byte_size", "storage_path", "checksum", "table", "event_id", "timestamp", "producer"]
    )

    def change(document: dict[str, Any]) -> None:
        (table,) = document["tables"]
        entry = document["tables"][table]
        if field in ("row_count", "byte_size"):
            entry[field] += rng.randint(1, 9)
        elif field in ("storage_path", "checksum"):
            entry[field] = entry[field][:-1] + ("0" if entry[field][-1] != "0" else "1")
        elif field == "table":
            document["tables"] = {"other": entry}
        elif field == "producer":
            document["producer"]["version"] = "v9.9.9"
        else:
            document[field] = document[field][:-2] + "zz"

    rehash(at, {one: change})
    if field in ("producer", "event_id"):
        return Tampering(f"{field} of an event changed, chain hashed again", HEAD, at.events.as_posix())
    return Tampering(f"{field} of an event changed, chain hashed again", CHAIN, at.log.key(one))


def rebuilt_chain(place: Place, one: Partition, rng: random.Random) -> Tampering:
    at = place.of(one)
    stamp = f"2026-01-0{rng.randint(1, 9)}T00:00:00Z"
    rehash(at, {one: lambda document: document.update(timestamp=stamp)})
    return Tampering("chain made anew with another time", HEAD, at.events.as_posix())


def shortened_chain(place: Place, one: Partition, rng: random.Random) -> Tampering:
    at = place.of(one)
    events = at.log.load()
    left = rng.randint(1, len(events) - 1)
    for event in events[left:]:
        (at.events / at.log.key(event.partition)).unlink()
    edit(at.events / HEADS, lambda heads: heads.update({at.era.chain: events[left - 1].event_hash}))
    return Tampering(f"{len(events) - left} events removed from the end, head set back", HEAD, at.events.as_posix())


def removed_event(place: Place, one: Partition, rng: random.Random) -> Tampering:
    at = place.of(one)
    name = at.log.key(at.log.load()[1].partition)
    (at.events / name).unlink()
    return Tampering("an event in the middle removed", CHAIN, at.events.as_posix())


def exchanged_eras(place: Place, one: Partition, rng: random.Random) -> Tampering:
    """Also with manifests that say the era that their directory is of."""
    bronze, covered = place.root / "data/bronze/standalone", rng.random() < 0.5
    first, second, spare = (bronze / name for name in ("e1", "e2", "spare"))
    first.rename(spare)
    second.rename(first)
    spare.rename(second)
    for manifest in bronze.rglob("_manifest.json") if covered else ():
        edit(manifest, lambda document, name=manifest.parts[-5]: document["partition"].update(era_id=name))
    what = "directories of two eras exchanged" + (", their manifests made to fit" if covered else "")
    return Tampering(what, "manifests", "e1/v1")


def exchanged_chains(place: Place, one: Partition, rng: random.Random) -> Tampering:
    """The event files of two eras get each other's names, and the chain heads each other's hashes."""
    first, second = place.era(0), place.era(1)
    for mine, other in zip(GRID[:3], GRID[3:], strict=True):
        names = [first.events / first.log.key(mine), first.events / second.log.key(other)]
        data = [name.read_bytes() for name in names]
        names[0].write_bytes(data[1])
        names[1].write_bytes(data[0])
    chains = first.era.chain, second.era.chain
    edit(first.events / HEADS, lambda heads: heads.update({chains[0]: heads[chains[1]], chains[1]: heads[chains[0]]}))
    return Tampering("event files and heads of two eras exchanged", CHAIN, first.log.key(GRID[0]))


def foreign_file(place: Place, one: Partition, rng: random.Random) -> Tampering:
    """Wherever in the table's directory, which some engines read at any depth."""
    path = place.of(one).parquet(one)
    table = path.parent.parent
    name = rng.choice([
        f"range={one}/part-extra.parquet", "part-extra.parquet", f"range=0{one}/part-extra.parquet",
        f"range={one}/deeper/part-extra.parquet", f"backup/range={one}/part-extra.parquet",
    ])  # fmt: skip
    (table / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, table / name)
    return Tampering(f"a parquet file added at {name}", "manifests", "part-extra.parquet")


def forged_links(place: Place, one: Partition, rng: random.Random) -> Tampering:
    at = place.of(one)
    key = rng.choice(["previous_hash", "first_hash", "last_hash"])
    edit(at.manifest(one), lambda document: document["ledgers"].update({key: f"{rng.getrandbits(256):064x}"}))
    return Tampering(f"{key} of the manifest made up", "rows", f"range={one}/_manifest.json")


def removed_links(place: Place, one: Partition, rng: random.Random) -> Tampering:
    """Also as the older copier's manifests are, which have none."""
    as_older = rng.random() < 0.5
    keys = ("ledgers", "made_with") if as_older else ("ledgers",)
    edit(place.of(one).manifest(one), lambda document: [document.pop(key) for key in keys])
    what = f"{' and '.join(keys)} removed from the manifest"
    return Tampering(what, "" if as_older else "manifests", f"range={one}/_manifest.json")


KINDS: tuple[Callable[[Place, Partition, random.Random], Tampering], ...] = (
    flipped_data, truncated_data, flipped_manifest, flipped_event, forged_column, forged_xdr, removed_row, swapped_rows,
    swapped_files, swapped_partitions, removed_partition, removed_manifest, edited_event, rebuilt_chain,
    shortened_chain, removed_event, exchanged_eras, exchanged_chains, foreign_file, forged_links, removed_links,
    *CATALOG_KINDS,
)  # fmt: skip


def tamper(
    good: Place, root: Path, kind: Callable[..., Tampering], rng: random.Random
) -> tuple[Tampering, list[Finding]]:
    """Tamper with a copy of `good` below `root`; what was done, and what the audit found."""
    known = known_chains(good)
    shutil.copytree(good.root, root)
    place = replace(good, root=root)
    if kind not in CATALOG_KINDS:
        done = kind(place, rng.choice(GRID), rng)
        return done, audit(place, done.claim or "source", known)
    place = replace(place, database="tampered")
    good.postgres.execute(f'CREATE DATABASE "{place.database}" TEMPLATE "{good.database}"')
    try:
        done = kind(place, rng.choice(GRID), rng)
        return done, audit(place, done.claim or CATALOG, known)
    finally:
        good.postgres.execute(f'DROP DATABASE "{place.database}"')


def campaign(count: int, seed: int) -> Iterator[str]:
    """Tamper `count` times; a line for each that was not found as it is claimed."""
    tally: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="tampering-") as folder, running_server() as postgres:
        good = make_place(Path(folder), postgres)
        for number in range(count):
            kind = KINDS[number % len(KINDS)]
            rng = random.Random(f"{seed} {number}")
            done, findings = tamper(good, Path(folder) / str(number), kind, rng)
            shutil.rmtree(Path(folder) / str(number))
            tally[f"{kind.__name__}: {done.claim or 'not detectable'}"] += 1
            if done.claim and not is_found(done, findings):
                yield f"number {number}: {done}: {[str(one) for one in findings]}"
    for line, times in sorted(tally.items()):
        print(f"{times:4} {line}")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    missed = 0
    for line in campaign(options.count, options.seed):
        missed += 1
        print("NOT FOUND", line)
    print(f"{options.count} tamperings, {missed} not found as claimed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
