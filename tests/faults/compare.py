"""Compares a disturbed copy with an undisturbed one: files, chain, state, catalog, endpoint."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import duckdb

from bronze.audit.delivery import DELIVERED
from bronze.verify.verifier import verify_chain
from pipeline.launch.prepare import prepare
from pipeline.settings import load
from tests.e2e.conftest import Copier
from tests.faults.downstream_servers import DownstreamServers
from tests.faults.steps import CHAIN


def differences(copy: Copier, undisturbed: Copier, servers: DownstreamServers) -> list[str]:
    """What differs between `copy` and an undisturbed run, a line each; empty when they are equal."""
    return [
        *_files(copy, undisturbed),
        *_stories(copy, undisturbed),
        *_state(copy),
        *chain_problems(copy),
        *_rows(copy, undisturbed),
        *servers.problems(copy),
    ]


#: Python tests the temporary directory by writing a file; a kill at that moment leaves it.
_PYTHONS_OWN = re.compile(r"tmp/[a-z0-9_]{8}")


def _left(copy: Copier) -> dict[str, Path]:
    """Everything in the program's directories, its temporary one included; directories end with a slash."""
    found = {
        f"{path.relative_to(copy.root)}{'/' if path.is_dir() else ''}": path
        for part in ("data", "pas", "state", "tmp")
        for path in sorted((copy.root / part).rglob("*"))
    }
    return {name: path for name, path in found.items() if not _PYTHONS_OWN.fullmatch(name)}


def _files(copy: Copier, undisturbed: Copier) -> Iterator[str]:
    ours, theirs = _left(copy), _left(undisturbed)
    if not copy.settings["pas"].get("endpoint"):
        for found in (ours, theirs):
            found.pop(f"pas/{DELIVERED}", None)
    yield from (f"missing: {name}" for name in theirs.keys() - ours.keys())
    yield from (f"left over: {name}" for name in ours.keys() - theirs.keys())
    for name in sorted(ours.keys() & theirs.keys()):
        if name.endswith(".parquet") and ours[name].read_bytes() != theirs[name].read_bytes():
            yield f"other bytes: {name}"


def _stories(copy: Copier, undisturbed: Copier) -> Iterator[str]:
    ours, theirs = copy.documents(), undisturbed.documents()
    for name in sorted((ours.keys() & theirs.keys()) - {DELIVERED}):  # compared by `DownstreamServers`
        if ours[name] != theirs[name]:
            yield f"{name} says {ours[name]}, undisturbed {theirs[name]}"


def _state(copy: Copier) -> Iterator[str]:
    """One event for each partition, linked in ledger order; heads and checkpoint at the last of them."""
    try:
        events, parts, manifests = copy.events(), copy.partitions(), copy.manifests()
    except (AssertionError, ValueError, KeyError) as error:
        yield f"events and manifests cannot be read: {type(error).__name__}: {error}"
        return
    spans = [(event["partition"]["ledger_start"], event["partition"]["ledger_end"]) for event in events]
    if spans != parts:
        yield f"the chain holds {spans}, published is {parts}"
    files = len(list((copy.root / "pas").glob("standalone_*.json")))
    if files != len(events):
        yield f"{files} event files, {len(events)} of them in the chain"
    for span, event in zip(spans, events, strict=True):
        tables = manifests[span]["tables"] if span in manifests else {}
        for table, stated in event["tables"].items():
            if stated["checksum"] != tables.get(table, {}).get("checksum"):
                yield f"the event of {span} says {stated['checksum']}, its manifest {tables.get(table)}"
    if not events:
        return
    head = events[-1]["chain"]["event_hash"]
    if copy.heads != {CHAIN: head}:
        yield f"the chain heads are {copy.heads}, the last event is {head}"
    path = copy.root / "state" / "checkpoint.json"
    document = json.loads(path.read_bytes()) if path.exists() else {}
    (start, end), table = spans[-1], next(iter(events[-1]["tables"].values()))
    expected = {"start": start, "end": end, "checksum": table["checksum"]}
    if document.get("last_committed_ledger") != end or document.get("last_committed_partition") != expected:
        yield f"the checkpoint is {document}, expected it at {expected}"


def chain_problems(copy: Copier) -> Iterator[str]:
    """What the verifier finds, a line each."""
    try:
        prepared = prepare(load(copy.config))
        for plan in prepared.plans:
            connections, era = prepared.connections, plan.era
            found = verify_chain(
                era, connections.dataset(), log=connections.event_log(era), checkpoint=connections.checkpoint(era)
            )
            yield from (f"audit: {problem}" for problem in found.problems)
            yield from (f"audit: gap {gap}" for gap in found.gaps)
    except Exception as error:
        yield f"audit: {type(error).__name__}: {error}"


def assert_nothing_half_published(copy: Copier) -> None:
    """After any exit: each parquet file has its manifest's checksum, each event names a published partition."""
    manifests = copy.manifests()
    for part, manifest in manifests.items():
        for stated in manifest["tables"].values():
            checksum = "sha256:" + sha256(copy.parquet(part).read_bytes()).hexdigest()
            assert stated["checksum"] == checksum, (
                f"{copy.parquet(part)}: manifest {stated['checksum']}, has {checksum}"
            )
    committed = copy.committed()
    assert set(committed) <= set(manifests), f"events without a partition: {set(committed) - set(manifests)}"
    assert len(committed) == len(set(committed)), f"a partition has two events: {committed}"


def count_rows(copy: Copier, era_id: str = "e1") -> dict[int, int]:
    """How often the README's query, a glob over all parquet files of the era, finds each ledger."""
    glob = str(copy.folder(era_id) / "*" / "*.parquet")
    if not list(copy.folder(era_id).glob("*/*.parquet")):
        return {}
    with duckdb.connect() as connection:
        query = "SELECT ledger_sequence, count(*) FROM read_parquet(?) GROUP BY ALL"
        return dict(connection.execute(query, [glob]).fetchall())


def duplicates(copy: Copier) -> list[str]:
    """The ledgers that the README's query finds more than once, as after any kill none may be; a line, or none."""
    found = [ledger for ledger, count in count_rows(copy).items() if count > 1]
    return [f"the README's query finds ledgers more than once: {sorted(found)}"] if found else []


def _rows(copy: Copier, undisturbed: Copier) -> Iterator[str]:
    """Every ledger of an undisturbed run is found once by the README's query."""
    ours, expected = count_rows(copy), {ledger: 1 for part in undisturbed.partitions() for ledger in _ledgers(part)}
    if ours != expected:
        differing = sorted(one for one in ours.keys() | expected.keys() if ours.get(one) != expected.get(one))
        yield f"the README's query counts these ledgers otherwise than once: {differing}"


def _ledgers(part: tuple[int, int]) -> range:
    return range(max(part[0], 2), part[1] + 1)
