"""The program's output is byte for byte the recorded one (``recorded_output.json``), however its code is arranged.

These tests use only the command line and the files that the program writes. The record holds the checksum of every
parquet file, the text of every other file (manifests, events, chain heads, delivery record, checkpoints), the rows of
the catalog, and the requests to the HTTP endpoint. Only what depends on the run, the release or the directory is
replaced in these texts, by substitution, so that the order of keys, the spaces and the line ends are compared too:

    <time>         RFC 3339 time, the value of created_at, updated_at or timestamp
    <hash of N>    hash of event N of a chain, which covers the event's timestamp; the test checks that it verifies
    <id of N>      id of event N, which depends on the hash of the event before; the test checks how it is derived
    <version>, <git sha>    of the program, as ``--version`` states them
    <root>, <lake>, <length>            directories of the test, length of a request's body

Serial ids of catalog rows are left out, because gaps in their sequences are not part of the output: rows name their
dataset instead, and are in insertion order within it. Headers that the HTTP library adds are left out.

Record again only with a change of the output that CHANGELOG.md names, with the real ledgers in ../shared::

    python -m tests.e2e.test_recorded_output

and check with ``git diff`` that ``recorded_output.json`` changed in that and nothing else.
"""

from __future__ import annotations

import datetime
import difflib
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.e2e.conftest import Copier, LakeFiles, call, era, tree
from tests.support.http_endpoint import EventEndpoint
from tests.support.postgres_server import database, postgres

__all__ = ["database", "postgres"]

RECORDED = Path(__file__).with_name("recorded_output.json")
#: When this variable is set, the tests write the record instead of comparing with it.
RECORDING = "RECORD_OUTPUT"

TIME = re.compile(r'("(?:created_at|updated_at|timestamp)":\s?")\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{0,8}[1-9])?Z"')
#: What the hashed form of an event escapes, as Go does.
ESCAPED = {ord(char): f"\\u{ord(char):04x}" for char in "&<>\u2028\u2029"}

#: Headers that the program states itself.
HEADERS = ("Content-Type", "Idempotency-Key", "Content-Length")
#: Table -> query of its rows. The order of insertion counts within a dataset; eras do not wait for each other.
CATALOG = {
    **{
        table: f"SELECT * FROM {table} ORDER BY domain, dataset, network, era_id, version"
        for table in ("_meta_datasets", "_meta_coverage")
    },
    **{
        table: "SELECT concat_ws('/', d.domain, d.dataset, d.network, d.era_id, d.version) AS of_dataset, t.*"
        f" FROM {table} t JOIN _meta_datasets d ON d.id = t.dataset_id ORDER BY of_dataset, t.id"
        for table in ("_meta_lineage", "_meta_quality", "_meta_changes")
    },
}


# ------------------------------------------------------------------------------------------- output of a run


def replacements(copy: Copier) -> list[tuple[str, str]]:
    """Patterns and what replaces them in every text; checks the links, hashes and ids of all events."""
    found = re.match(r"bronze-copier (\S+) \((.*)\)\n", call("--version").out)
    assert found is not None
    release, git_sha = found.groups()
    pairs = [
        (re.escape(str(copy.lake)), "<lake>"),
        (re.escape(str(copy.root)), "<root>"),
        (rf'("version":\s?"){re.escape(release)}"', r'\1<version>"'),
        (re.escape(f"bronze-copier@{release}"), "bronze-copier@<version>"),
        (rf'("git_sha":\s?"|"producer_git_sha":\s?"){re.escape(git_sha)}"', r'\1<git sha>"'),
        (TIME.pattern, r'\1<time>"'),
    ]
    files = (copy.root / "pas").glob("*.json")
    events = [json.loads(path.read_bytes()) for path in files if not path.name.startswith("pas-")]
    following = {(chain_of(event), event["chain"]["prev_event_hash"]): event for event in events}
    for chain in sorted({chain_of(event) for event in events}):
        number, before = 1, ""
        while event := following.pop((chain, before), None):
            check_hash_and_id(event, chain, before)
            before, name = event["chain"]["event_hash"], f"event {number} of {chain}"
            pairs += [(re.escape(before), f"<hash of {name}>"), (re.escape(event["event_id"]), f"<id of {name}>")]
            number += 1
    assert following == {}, "events outside of the chains"
    return pairs


def chain_of(event: dict[str, Any]) -> str:
    return "/".join(event["partition"][key] for key in ("network", "era_id", "version_label"))


def check_hash_and_id(event: dict[str, Any], chain: str, before: str) -> None:
    unhashed = {**event, "chain": {**event["chain"], "event_hash": ""}}
    hashed_form = json.dumps(unhashed, separators=(",", ":"), ensure_ascii=False).translate(ESCAPED)
    assert event["chain"]["event_hash"] == f"sha256:{hashlib.sha256(hashed_form.encode()).hexdigest()}"
    ((table, entry),) = event["tables"].items()
    part = f"{event['partition']['ledger_start']}-{event['partition']['ledger_end']}"
    seed = "\n".join((chain, part, table, entry["checksum"], before))
    assert event["event_id"] == f"pas_evt_{hashlib.sha256(seed.encode()).hexdigest()[:16]}"


def replaced(text: str, pairs: list[tuple[str, str]]) -> str:
    for pattern, by in pairs:
        text = re.sub(pattern, by, text)
    return text


def files_of(copy: Copier, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Every file that the program wrote: checksum of a parquet file, lines of any other."""
    found: dict[str, Any] = {}
    for name, data in tree(copy.root).items():
        if name.endswith(".parquet"):
            found[name] = f"sha256:{hashlib.sha256(data).hexdigest()} of {len(data)} bytes"
        elif name != "config.yaml":
            found[name] = replaced(data.decode(), pairs).split("\n")  # keeps a newline at the end as an empty line
    return found


def catalog_of(dsn: str, pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    """The rows of each table, with the columns in their order."""
    found: dict[str, list[str]] = {}
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        for table, query in CATALOG.items():
            cursor.execute(query)
            assert cursor.description is not None
            columns = [column.name for column in cursor.description]
            rows = [dict(zip(columns, values, strict=True)) for values in cursor.fetchall()]
            found[table] = [replaced(json.dumps(row_text(row), ensure_ascii=False), pairs) for row in rows]
    return found


def row_text(row: dict[str, Any]) -> dict[str, Any]:
    """A row without its serial ids and times."""
    kept = {name: value for name, value in row.items() if name not in ("id", "dataset_id")}
    plain = (str, int, bool, type(None))
    return {
        name: "<time>" if isinstance(value, datetime.datetime) else value if isinstance(value, plain) else str(value)
        for name, value in kept.items()
    }


def requests_of(endpoint: EventEndpoint, pairs: list[tuple[str, str]]) -> list[Any]:
    """Path, own headers and body of each request."""
    found = []
    for path, (headers, body) in zip(endpoint.paths, endpoint.requests, strict=True):
        assert headers["Content-Length"] == str(len(body))
        assert headers["Host"] == f"127.0.0.1:{endpoint.port}"
        shown = {**headers, "Content-Length": "<length>"}
        lines = [f"{name}: {replaced(shown[name], pairs)}" for name in HEADERS]
        found.append([path, *lines, replaced(body.decode(), pairs)])
    return found


def content_of(lake: Path) -> str:
    """Checksum of a lake's names and decompressed content: it tells a changed input from a changed output."""
    total = hashlib.sha256()
    for name, data in tree(lake).items():
        content = zstandard.ZstdDecompressor().decompressobj().decompress(data) if ".xdr." in name else data
        total.update(f"{name} {len(content)}\n".encode() + content)
    return f"sha256:{total.hexdigest()}"


def compare(name: str, copy: Copier, dsn: str = "", endpoint: EventEndpoint | None = None) -> None:
    """Compare the output of `copy` with the case `name` of the record, or record it."""
    pairs = replacements(copy)
    seen: dict[str, Any] = {"lake": content_of(copy.lake), "files": files_of(copy, pairs)}
    if dsn:
        seen["catalog"] = catalog_of(dsn, pairs)
    if endpoint:
        seen["requests"] = requests_of(endpoint, pairs)
    record = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else {}
    if RECORDING in os.environ:
        RECORDED.write_text(pretty({**record, name: seen}) + "\n", encoding="utf-8")
        return
    before, now = pretty(record.get(name)).split("\n"), pretty(seen).split("\n")
    difference = "\n".join(difflib.unified_diff(before, now, "recorded", "now", lineterm="", n=4))
    assert not difference, f"the output of the case {name!r} is not the recorded one:\n{difference}"


def pretty(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True)


def done(copy: Copier, *arguments: str) -> Copier:
    """Run the program to its successful end, as a process of its own."""
    ran = copy.process(*arguments)
    assert ran.status == 0, ran.out + ran.log
    return copy


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit in the output is the one that ``--version`` states."""
    monkeypatch.delenv("BRONZE_COPIER_GIT_SHA", raising=False)


@pytest.fixture
def endpoint() -> Iterator[EventEndpoint]:
    with EventEndpoint() as server:
        yield server


# ------------------------------------------------------------------------------------------- generated lakes


def test_one_era_is_as_recorded(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], database: str, endpoint: EventEndpoint
) -> None:
    copy = copier(
        sample(first=8, ledgers=32).root,
        ledger_start=8,
        ledger_end=39,
        partition_size=8,
        settings={"catalog": {"postgres_dsn": database}, "pas": {"endpoint": endpoint.url}},
    )
    compare("one era", done(copy), database, endpoint)


def test_three_eras_are_as_recorded(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], database: str
) -> None:
    """Eras and partitions begin and end inside files of four ledgers."""
    eras = [
        era("a", ledger_start=8, ledger_end=21, partition_size=6),
        era("b", ledger_start=22, ledger_end=37, partition_size=8),
        era("c", ledger_start=38, ledger_end=55, partition_size=10),
    ]
    lake = sample(first=8, ledgers=48, ledgers_per_file=4).root
    copy = copier(lake, eras=eras, settings={"catalog": {"postgres_dsn": database}})
    compare("three eras", done(copy), database)


@pytest.mark.parametrize("compression", ["snappy", "none"])
def test_other_compressions_are_as_recorded(
    compression: str, sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    """The names that can be configured are not the defaults."""
    copy = copier(
        sample(first=8, ledgers=16, ledgers_per_file=4).root,
        ledger_start=8,
        ledger_end=23,
        partition_size=6,
        settings={"bronze": {"compression": compression, "primary_table": "other_table"}, "storage": {"prefix": "raw"}},
    )
    copy.settings["copier_id"] = "Köln & <Söhne>"
    compare(f"compression {compression}", done(copy))


def test_published_tail_and_continuation_are_as_recorded(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    lake = sample(first=8, ledgers=40)
    copy = copier(
        lake.root, ledger_start=8, ledger_end=0, partition_size=10, settings={"bronze": {"publish_partial": True}}
    )
    for ledger in range(32, 48):
        lake.remove(ledger)
    compare("partial tail", done(copy))
    lake.repair()
    compare("partial tail, lake grown", done(copy))


def test_replaced_partitions_are_as_recorded(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], database: str
) -> None:
    copy = copier(
        sample(first=8, ledgers=24).root,
        ledger_start=8,
        ledger_end=31,
        partition_size=8,
        settings={"catalog": {"postgres_dsn": database}},
    )
    done(copy)
    copy.settings["bronze"] = {"compression": "snappy"}
    copy.settings["era"]["allow_overwrite"] = True
    compare("replaced partitions", done(copy), database)


# -------------------------------------------------------------------------------------------- the real ledgers


@pytest.mark.ledgers
@pytest.mark.parametrize(
    ("chain", "network", "first", "last", "k"),
    [
        pytest.param(0, "testnet", 1410048, 1410367, 4, id="testnet"),
        pytest.param(2, "pubnet", 63092982, 63092991, 1, id="pubnet"),
    ],
)
def test_real_ledgers_are_as_recorded(
    chain: int,
    network: str,
    first: int,
    last: int,
    k: int,
    real_lake: Callable[..., Path],
    copier: Callable[..., Copier],
    database: str,
) -> None:
    copy = copier(
        real_lake("--chain", str(chain), "-k", str(k)),
        network=network,
        ledger_start=first,
        ledger_end=last,
        partition_size=70,
        settings={"source": {"verify": "full"}, "catalog": {"postgres_dsn": database}},
    )
    compare(f"real ledgers of {network}", done(copy), database)


@pytest.mark.ledgers
def test_several_row_groups_are_as_recorded(real_lake: Callable[..., Path], copier: Callable[..., Copier]) -> None:
    """40 MB of ledgers in one partition: the checksum depends on where row groups end."""
    copy = copier(
        real_lake("--repeat", "63092982-p26-v2-bde0662951d0.xdr.zst", "--count", "30"),
        network="pubnet",
        ledger_start=63092982,
        ledger_end=63093011,
        partition_size=30,
        settings={"source": {"verify": "header"}},  # the copies of a ledger keep its transaction set hash
    )
    done(copy)
    assert pq.ParquetFile(copy.parquet((63092982, 63093011))).num_row_groups > 1
    compare("several row groups", copy)


if __name__ == "__main__":
    os.environ[RECORDING] = "1"
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", __file__]))
