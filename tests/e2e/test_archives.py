"""Whole runs with history archives: confirmed, contradicted, behind, slow, of another network, and after kills."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bronze.archives.checkpoint_files import file_key
from bronze.archives.opening import open_archive
from bronze.errors import ArchiveError
from bronze.retry import RetryPolicy
from tests.e2e.conftest import Copier, LakeFiles, RealLedgers
from tests.support import archivist
from tests.support.made_archive import archive_answers, header_of, make_archive, record, write_file, write_history
from tests.support.scripted_server import Answer, Request, ScriptedServer, running_server

STANDALONE = "Standalone Network ; February 2017"
SAMPLE = {"first": 64, "ledgers": 192}
ERA = {"ledger_start": 64, "ledger_end": 255, "partition_size": 32}
#: The last ledgers of the partitions.
ENDS = [95, 127, 159, 191, 223, 255]


@pytest.fixture
def lake(sample: Callable[..., LakeFiles]) -> LakeFiles:
    return sample(**SAMPLE)


@pytest.fixture
def headers(lake: LakeFiles) -> dict[int, bytes]:
    return {ledger: header_of(lake.meta(ledger)) for ledger in range(64, 256)}


@pytest.fixture
def archive(tmp_path: Path, headers: dict[int, bytes]) -> Path:
    """An archive of the lake's ledgers."""
    return make_archive(tmp_path / "archive", headers, STANDALONE)


@pytest.fixture
def server(archive: Path) -> Iterator[ScriptedServer]:
    """An HTTP server for the archive."""
    with running_server(archive_answers(archive)) as running:
        yield running


@pytest.fixture
def copy(lake: LakeFiles, copier: Callable[..., Copier], server: ScriptedServer) -> Copier:
    """A copier that is told of the served archive."""
    made = copier(lake.root, **ERA)
    made.settings["authenticity"] = {"archives": [server.url]}
    return made


def whole_archive(root: Path, ledgers: RealLedgers) -> Path:
    """An archive of the real testnet ledgers 1410048 to 1410367: five checkpoints."""
    metas = {one["ledger_seq"]: ledgers.load(one) for one in ledgers.of_chain(0)}
    return archivist.make_whole_archive(root / "archive", metas)


def anchored(copy: Copier) -> dict[str, Any]:
    (path,) = (copy.root / "pas").glob("anchored_*.json")
    return dict(json.loads(path.read_bytes())["archives"])


def confirmed(copy: Copier, url: str) -> list[int]:
    return [ledger for ledger, _ in anchored(copy)[url]["confirmed"]]


def other_header(archive: Path, headers: dict[int, bytes], ledger: int) -> None:
    """Make the archive one of another history from `ledger` on: all later headers name it."""
    changed, previous = dict(headers), b""
    for number in range(ledger, 256):
        header = changed[number]
        changed[number] = header[:-1] + b"\x01" if not previous else header[:4] + previous + header[36:]
        previous = hashlib.sha256(changed[number]).digest()
    make_archive(archive, changed, STANDALONE)


@pytest.mark.ledgers
def test_real_ledgers_are_confirmed_over_http(
    ledgers: RealLedgers, real_lake: Callable[..., Path], copier: Callable[..., Copier], tmp_path: Path
) -> None:
    lines = ledgers.of_chain(0)
    archive = whole_archive(tmp_path, ledgers)
    copy = copier(
        real_lake("--chain", "0"), network="testnet", ledger_start=1410048, ledger_end=1410367, partition_size=64
    )
    with running_server(archive_answers(archive)) as one, running_server(archive_answers(archive)) as other:
        copy.settings["authenticity"] = {"archives": [one.url, other.url]}
        ran = copy.run()
        assert ran.status == 0, ran.out
        assert ran.lines("authentic") == ["testnet: 320 signatures, archives 2 of 2 through 1,410,367"]
        assert confirmed(copy, one.url) == [1410367]
        hashes = {one["ledger_seq"]: one["ledger_hash"] for one in lines}
        assert anchored(copy)[other.url]["confirmed"] == [[1410367, hashes[1410367]]]
        asked = [request.path for request in one.requests if "ledger" in request.path]
        assert asked == [f"/{file_key('ledger', end)}" for end in range(1410111, 1410368, 64)]
        count = len(one.requests)
        assert copy.run().lines("authentic") == ["testnet: archives 2 of 2 through 1,410,367"]
        assert len(one.requests) == count  # what is confirmed is not asked again
    assert "  anchored     archives 2 of 2 through 1,410,367\n" in copy.run("status").out
    assert json.loads(copy.run("status", "--json").out)["eras"][0]["anchored_through"] == 1410367


@pytest.mark.ledgers
def test_real_archivist_accepts_that_archive(ledgers: RealLedgers, tmp_path: Path) -> None:
    if not archivist.PROGRAM.exists():
        pytest.skip("stellar-archivist is not built: python -m tests.support.archivist")
    archive = whole_archive(tmp_path, ledgers)
    scanned = archivist.scan(archive, 1410111, 1410367)
    assert scanned.returncode == 0, scanned.stdout
    assert "20 files found, 0 missing or corrupt" in scanned.stdout
    key, opened = file_key("ledger", 1410239), open_archive(f"file://{archive}", retry=RetryPolicy(1, 1))
    assert len(opened.ledger_hashes(1410239)) == 64
    changed = bytearray(gzip.decompress((archive / key).read_bytes()))
    changed[-9] ^= 1  # the last bit of the last header, before two empty extensions
    write_file(archive, key, gzip.compress(bytes(changed)))
    assert archivist.scan(archive, 1410111, 1410367).returncode == 2
    with pytest.raises(ArchiveError, match="is damaged"):
        opened.ledger_hashes(1410239)


def test_contradicted_partition_is_not_committed(
    copy: Copier, archive: Path, headers: dict[int, bytes], server: ScriptedServer
) -> None:
    other_header(archive, headers, 150)
    ran = copy.run()
    assert ran.status == 1
    assert copy.committed() == [(64, 95), (96, 127)]
    (refused,) = ran.lines("refused")
    assert refused.startswith("standalone/e1/v1 128-159: ArchiveContradictionError: ")
    assert f"the history archive {server.url} has the hash " in refused
    ours = copy.manifests()[(128, 159)]["ledgers"]["last_hash"]
    assert f"of ledger 159, but what was copied has {ours}" in refused
    assert ran.lines("authentic")[0].endswith("archives 1 of 1 through 127, 1 contradicts")

    # Nothing goes on while it contradicts, whether or not it answers; and everything once it is right.
    again = copy.run()
    assert again.status == 1
    assert len(copy.committed()) == 2
    (archive / ".well-known" / "stellar-history.json").write_text("{}")
    silent = copy.run()
    assert silent.status == 1
    assert "and the archive cannot be asked now" in silent.out
    assert copy.run("status").status == 1
    make_archive(archive, headers, STANDALONE)
    healed = copy.run()
    assert healed.status == 0, healed.out
    assert [end for _, end in copy.committed()] == ENDS
    assert healed.lines("authentic")[0].endswith("archives 1 of 1 through 255")


def test_contradiction_of_one_of_two_stops(
    copy: Copier, archive: Path, headers: dict[int, bytes], server: ScriptedServer, tmp_path: Path
) -> None:
    good = make_archive(tmp_path / "good", headers, STANDALONE)
    other_header(archive, headers, 64)
    copy.settings["authenticity"] |= {"archives": [server.url, f"file://{good}"], "archives_agree": 1}
    ran = copy.run()
    assert ran.status == 1
    assert copy.committed() == []
    copy.settings["authenticity"]["archives"] = [f"file://{good}"]
    assert copy.run().status == 0
    assert [end for _, end in copy.committed()] == ENDS


def test_archive_that_lags_is_pending(copy: Copier, archive: Path, server: ScriptedServer) -> None:
    write_history(archive, 191, STANDALONE)
    copy.settings["authenticity"]["archives_strict"] = True
    ran = copy.run()
    assert ran.status == 0, ran.out
    assert [end for _, end in copy.committed()] == ENDS
    assert ran.lines("authentic")[0].endswith("archives 1 of 1 through 191, 1 lags behind")
    assert "  anchored     archives 1 of 1 through 191, 1 lags behind\n" in copy.run("status").out
    write_history(archive, 255, STANDALONE)
    later = copy.run()
    assert later.status == 0
    assert later.lines("authentic") == ["standalone: archives 1 of 1 through 255"]
    assert confirmed(copy, server.url) == [255]


def test_pending_ledger_that_is_contradicted_is_found(copy: Copier, archive: Path, headers: dict[int, bytes]) -> None:
    write_history(archive, 63, STANDALONE)
    copy.settings["era"]["ledger_end"] = 159
    assert copy.run().status == 0
    other_header(archive, headers, 150)
    copy.settings["era"]["ledger_end"] = 255
    ran = copy.run()
    assert ran.status == 1
    assert copy.committed()[-1] == (128, 159)
    assert "191" in ran.lines("refused")[0]
    (contradicted,) = ran.lines("contradicted")
    assert "of ledger 159" in contradicted


@pytest.mark.parametrize("strict", [False, True])
def test_archive_that_is_down_fails_no_copy(copy: Copier, strict: bool) -> None:
    copy.settings["authenticity"] = {"archives": ["http://127.0.0.1:9"], "archives_strict": strict}
    ran = copy.run()
    assert ran.status == (5 if strict else 0)
    assert [end for _, end in copy.committed()] == ENDS
    assert "archives agree through no ledger yet (0 of 1, 1 are needed), 1 failed" in ran.lines("authentic")[0]
    (unconfirmed,) = ran.lines("unconfirmed")
    assert "http://127.0.0.1:9/.well-known/stellar-history.json cannot be read" in unconfirmed
    assert bool(ran.lines("outstanding")) == strict


def test_slow_archive_delays_no_copy(lake: LakeFiles, copier: Callable[..., Copier], archive: Path) -> None:
    released = threading.Event()
    files = archive_answers(archive)

    def answer(request: Request) -> Answer:
        released.wait(30)
        return files(request)

    with running_server(answer) as server:
        copy = copier(lake.root, **ERA)
        copy.settings["authenticity"] = {"archives": [server.url]}
        started = time.monotonic()
        ran = copy.run()
        took = time.monotonic() - started
        assert ran.status == 0
        assert [end for _, end in copy.committed()] == ENDS
        # Waiting for six partitions and the end, each as long as it may, would take 23 s.
        assert took < 16
        assert "did not answer within 5 s; the next run asks again" in ran.lines("unconfirmed")[0]
        released.set()
        assert copy.run().lines("authentic") == ["standalone: archives 1 of 1 through 255"]


def test_archive_of_another_network_is_an_error(copy: Copier, archive: Path) -> None:
    write_history(archive, 255, "Test SDF Network ; September 2015")
    ran = copy.run()
    assert ran.status == 1
    assert [end for _, end in copy.committed()] == ENDS  # what it says of its own ledgers stops nothing
    (contradicted,) = ran.lines("contradicted")
    assert "is one of the network 'Test SDF Network ; September 2015', but the ledgers are of" in contradicted


def test_lie_about_the_network_is_no_help(copy: Copier, archive: Path, headers: dict[int, bytes]) -> None:
    make_archive(archive, {**headers}, STANDALONE)
    other_header(archive, headers, 64)
    ran = copy.run()
    assert ran.status == 1
    assert copy.committed() == []


@pytest.mark.parametrize("damage", ["bomb", "truncated", "unlinked", "missing"])
def test_damaged_archive_fails_no_copy(copy: Copier, archive: Path, headers: dict[int, bytes], damage: str) -> None:
    content = b"".join(record(headers[ledger]) for ledger in range(192, 256))
    key = file_key("ledger", 255)
    if damage == "missing":
        (archive / key).unlink()
    else:
        changed = bytearray(headers[200])
        changed[-1] ^= 1
        packed = {
            "bomb": gzip.compress(bytes(64 << 20), compresslevel=1),
            "truncated": gzip.compress(content)[:-20],
            "unlinked": gzip.compress(content.replace(record(headers[200]), record(bytes(changed)))),
        }[damage]
        write_file(archive, key, packed)
    ran = copy.run()
    assert ran.status == 0, ran.out
    assert [end for _, end in copy.committed()] == ENDS
    assert ran.lines("authentic")[0].endswith("archives 1 of 1 through 191, 1 failed")
    message = {
        "bomb": "decompresses to more than 1048576 bytes",
        "truncated": "cut off",
        "unlinked": "as the hash of the ledger before",
        "missing": "does not exist (the server answered 404), although its history reaches ledger 255",
    }[damage]
    assert message in ran.lines("unconfirmed")[0]


def test_file_compressed_twice_is_confirmed(lake: LakeFiles, copier: Callable[..., Copier], archive: Path) -> None:
    with running_server(archive_answers(archive, [".gz"])) as server:
        copy = copier(lake.root, **ERA)
        copy.settings["authenticity"] = {"archives": [server.url]}
        assert copy.run().lines("authentic")[0].endswith("archives 1 of 1 through 255")


def test_agreement_of_some_archives_is_reported(copy: Copier, archive: Path, server: ScriptedServer) -> None:
    copy.settings["authenticity"] |= {"archives": [server.url, "http://127.0.0.1:9"], "archives_agree": 1}
    ran = copy.run()
    assert ran.status == 0
    assert ran.lines("authentic")[0].endswith("archives 1 of 2 through 255, 1 failed")
    copy.settings["authenticity"]["archives_agree"] = 2
    assert "agree through no ledger yet (1 of 2, 2 are needed)" in copy.run().lines("authentic")[0]


def test_nothing_published_depends_on_archives(
    copy: Copier, lake: LakeFiles, copier: Callable[..., Copier], server: ScriptedServer
) -> None:
    several = copier(
        lake.root, name="several", settings={"perf": {"workers": 3}, "authenticity": {"archives": [server.url]}}, **ERA
    )
    without = copier(lake.root, name="without", **ERA)
    for one in (copy, several, without):
        assert one.run().status == 0
    kept = [
        {name: found for name, found in one.documents().items() if not name.startswith("anchored_")}
        for one in (copy, several, without)
    ]
    assert kept[0] == kept[1] == kept[2]
    assert copy.published() == several.published() == without.published()
    assert confirmed(copy, server.url) == confirmed(several, server.url) == [255]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\0" * 50, b'{"chain": "x"}', None], ids=range(6))
def test_damaged_state_is_made_anew(copy: Copier, server: ScriptedServer, content: bytes | None) -> None:
    assert copy.run().status == 0
    (path,) = (copy.root / "pas").glob("anchored_*.json")
    whole = json.loads(path.read_bytes())
    if content is None:  # believable in form, but of no published ledger
        whole["archives"][server.url]["confirmed"] = [[191, "ab" * 32], [255, "cd" * 32], [9999, "ef" * 32]]
        content = json.dumps(whole).encode()
    path.write_bytes(content)
    assert "through 255" not in copy.run("status").out
    assert copy.run().lines("authentic") == ["standalone: archives 1 of 1 through 255"]
    assert confirmed(copy, server.url) == [255]


def test_killed_run_is_confirmed_by_the_next(lake: LakeFiles, copier: Callable[..., Copier], archive: Path) -> None:
    asked, released = threading.Event(), threading.Event()
    files = archive_answers(archive)

    def answer(request: Request) -> Answer:
        if request.path.endswith("ledger-000000bf.xdr.gz"):
            asked.set()
            released.wait(30)
        return files(request)

    with running_server(answer) as server:
        copy = copier(lake.root, settings={"perf": {"wave_partitions": 1}}, **ERA)
        copy.settings["authenticity"] = {"archives": [server.url]}
        process = copy.start()
        try:
            assert asked.wait(30)  # a partition is published, and its comparison begun
        finally:
            process.kill()
            process.communicate()
        assert copy.committed() == [(64, 95), (96, 127)]
        released.set()
        ran = copy.run()
        assert ran.status == 0
        assert ran.lines("authentic")[0].endswith("archives 1 of 1 through 255")
        assert [end for _, end in copy.committed()] == ENDS

    # Killed after the commit, before its state is kept: as if the file had been lost.
    (path,) = (copy.root / "pas").glob("anchored_*.json")
    path.unlink()
    with running_server(files) as server:
        copy.settings["authenticity"]["archives"] = [server.url]
        assert copy.run().lines("authentic") == ["standalone: archives 1 of 1 through 255"]


def test_metric_follows_what_is_confirmed(copy: Copier, tmp_path: Path) -> None:
    written = tmp_path / "metrics.prom"
    copy.settings["metrics"] = {"textfile": str(written)}
    assert copy.run().status == 0
    labels = 'era_id="e1",network="standalone",version="v1"'
    assert f"bronze_copier_anchored_ledger{{{labels}}} 255.0\n" in written.read_text()


def test_faulty_settings_are_refused_at_start(copy: Copier) -> None:
    for faulty, message in (
        ({"archives": ["https://u:hidden@h/a"]}, "must be the URL of a history archive"),
        ({"archives": ["/srv/archive"]}, "must be the URL of a history archive"),
        ({"archives": ["https://h/a", "https://h/a/"]}, "https://h/a is named twice"),
        ({"archives": ["https://h/a"], "archives_agree": 2}, "2 history archives cannot agree"),
        ({"archives_strict": True}, "needs history archives"),
    ):
        copy.settings["authenticity"] = faulty
        ran = copy.run()
        assert ran.status == 2
        assert message in ran.err
        assert "hidden" not in ran.err
