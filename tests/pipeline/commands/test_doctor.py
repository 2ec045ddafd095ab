"""The command `doctor`: each thing that a run relies on, broken alone, is named with its remedy; nothing is left."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from bronze.errors import ConfigError
from pipeline.launch import job
from pipeline.launch.checkup.examination import examine
from pipeline.sample.chain import STANDALONE_PASSPHRASE
from pipeline.settings import load
from tests.e2e.conftest import Copier, tree
from tests.e2e.test_object_stores import Cloud, gcs, gcs_bucket, gcs_server, s3, s3_bucket, s3_server
from tests.support.made_archive import write_history
from tests.support.postgres_server import database, postgres
from tests.support.scripted_server import Answer, ScriptedServer, running_server

__all__ = ["database", "gcs", "gcs_bucket", "gcs_server", "postgres", "s3", "s3_bucket", "s3_server"]

pytestmark = pytest.mark.timeout(120)
NAMES = [
    "lake",
    "destination",
    "events",
    "checkpoint",
    "catalog",
    "endpoint",
    "archive",
    "trust",
    "plan",
    "space",
    "clock",
]


@pytest.fixture
def options_server() -> Iterator[ScriptedServer]:
    """An endpoint that answers OPTIONS, and nothing else."""
    with running_server(lambda request: Answer(204 if request.method == "OPTIONS" else 500)) as server:
        yield server


def checks(copy: Copier, *options: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit status, and the checks by name; every one that does not hold has a remedy."""
    ran = copy.run("doctor", "--json", *options)
    document = json.loads(ran.out)
    assert document["exit_status"] == ran.status
    for one in document["checks"]:
        assert bool(one["remedy"]) == (one["verdict"] in ("warning", "fails", "unchecked")), one
    return ran.status, {one["name"]: one for one in document["checks"]}


def verdicts(found: dict[str, dict[str, str]]) -> dict[str, str]:
    """The verdicts other than `holds` and `unused`."""
    return {name: one["verdict"] for name, one in found.items() if one["verdict"] not in ("holds", "unused")}


def test_everything_is_checked_and_nothing_left(
    copy: Copier, database: str, options_server: ScriptedServer, tmp_path: Path
) -> None:
    write_history(tmp_path / "archive", 63, STANDALONE_PASSPHRASE)
    copy.settings["catalog"] = {"postgres_dsn": database}
    copy.settings["pas"]["endpoint"] = f"{options_server.url}/secret-path"
    copy.settings["authenticity"] = {"archives": [f"file://{tmp_path}/archive"]}
    assert copy.config.exists()
    before = tree(copy.root)
    status, found = checks(copy)
    assert (status, verdicts(found)) == (0, {})
    assert list(found) == NAMES
    assert tree(copy.root) == before
    assert [request.method for request in options_server.requests] == ["OPTIONS"]
    assert "ledgers 8-31, 1 in each file" in found["lake"]["found"]
    assert "reaches ledger 63" in found["archive"]["found"]
    assert found["plan"]["found"] == "3 partitions, 24 ledgers to copy"
    assert "from 16 lake objects" in found["space"]["found"]
    assert "as the catalog at" in found["clock"]["found"]
    assert "secret-path" not in json.dumps(found)

    assert copy.run().status == 5  # this endpoint takes no events
    status, found = checks(copy)
    assert (status, found["plan"]["found"]) == (0, "nothing to do")
    quiet = copy.run("doctor", "-q")
    assert (quiet.status, quiet.out, quiet.err) == (0, "", "")
    assert copy.run("doctor").out.endswith("all 10 checks hold\n")


def test_lake_and_what_needs_it_fail(copy: Copier, tmp_path: Path) -> None:
    newest = next(copy.lake.rglob("*--31.xdr.zst"))
    content = newest.read_bytes()
    newest.write_bytes(content[:-1])
    for found_words, prepare in (
        ("--31.xdr.zst", lambda: None),
        ("is not a directory", lambda: shutil.move(copy.lake, tmp_path / "elsewhere")),
        ("is it the lake's root?", lambda: copy.lake.mkdir()),
    ):
        prepare()
        status, found = checks(copy)
        assert (status, verdicts(found)) == (1, {"lake": "fails", "plan": "unchecked", "space": "unchecked"})
        assert found_words in found["lake"]["found"]


@pytest.mark.parametrize(
    ("name", "section", "key"),
    [("destination", "storage", "local_dir"), ("events", "pas", "backup_dir"), ("checkpoint", "checkpoint", "dir")],
)
def test_place_that_cannot_be_made_fails(name: str, section: str, key: str, copy: Copier, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    copy.settings[section][key] = str(tmp_path / "file" / "below")
    status, found = checks(copy)
    assert status == 1
    assert verdicts(found)[name] == "fails"
    assert f"{section}" in found[name]["remedy"]


def test_broken_services_fail_with_remedies(copy: Copier, tmp_path: Path) -> None:
    write_history(tmp_path / "archive", 63, "Test SDF Network ; September 2015")
    copy.settings["catalog"] = {"postgres_dsn": "postgresql://me:hush1@127.0.0.1:9/lineage"}
    copy.settings["pas"]["endpoint"] = "http://127.0.0.1:9/hush2"
    copy.settings["authenticity"] = {
        "archives": [f"file://{tmp_path}/archive", "http://127.0.0.1:9/history"],
        "validators": str(tmp_path / "none.cfg"),
    }
    ran = copy.run("doctor")
    assert ran.status == 1
    lines = ran.out.splitlines()
    failed = [line.split()[1] for line in lines if line.startswith("FAILS")]
    # A file that the settings name and that cannot be read: no run, so no plan.
    assert failed == ["catalog", "endpoint", "archive", "archive", "trust", "plan"]
    assert "CATALOG_DSN" in ran.out
    assert "'Test SDF Network ; September 2015', the ledgers are of" in ran.out
    assert lines[-1] == "of 12 checks 6 failed, 1 could not be made"
    assert "hush" not in ran.out + ran.err


@pytest.mark.parametrize("is_readable", [True, False])
def test_named_secrets_are_read(
    is_readable: bool,
    copy: Copier,
    database: str,
    options_server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secrets = {f"projects/p/secrets/{name}/versions/1": name for name in ("dsn", "url")}
    values = {"dsn": database, "url": f"{options_server.url}/events"}

    def read_secret(version: str) -> str:
        if not is_readable:
            raise ConfigError(f"the secret {version} cannot be read")
        return values[secrets[version]]

    monkeypatch.setattr(job, "read_secret", read_secret)
    dsn, url = secrets
    copy.settings["catalog"] = {"postgres_dsn_secret": dsn}
    copy.settings["pas"]["endpoint_secret"] = url
    found = checks(copy)[1]
    assert (found["catalog"]["verdict"], found["endpoint"]["verdict"]) == (("holds" if is_readable else "fails"),) * 2
    assert is_readable or dsn in found["catalog"]["found"]


def test_catalog_without_rights_fails(copy: Copier, database: str, postgres: Any) -> None:
    import psycopg2

    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE ROLE reader LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    try:
        copy.settings["catalog"] = {"postgres_dsn": database.replace("postgres@", "reader@")}
        status, found = checks(copy)
        assert (status, verdicts(found)) == (1, {"catalog": "fails"})
        assert "may not create them" in found["catalog"]["found"]
    finally:
        with psycopg2.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute("DROP ROLE reader")


@pytest.mark.parametrize(
    ("answer", "verdict", "words"),
    [
        (Answer(405), "holds", "405"),
        (Answer(501), "holds", "501"),
        (Answer(307, {"Location": "/other"}), "holds", "307"),
        (Answer(301, {"Location": "/token-other"}), "fails", "a redirect to http://127.0.0.1"),
        (Answer(401), "fails", "401"),
        (Answer(503), "fails", "503"),
        (Answer(404), "unchecked", "404"),
    ],
)
def test_answer_of_endpoint_decides(answer: Answer, verdict: str, words: str, copy: Copier) -> None:
    with running_server(lambda _: answer) as server:
        copy.settings["pas"]["endpoint"] = f"{server.url}/events"
        status, found = checks(copy)
    assert status == {"holds": 0, "fails": 1, "unchecked": 3}[verdict]
    assert found["endpoint"]["verdict"] == verdict
    assert words in found["endpoint"]["found"]
    assert "token" not in found["endpoint"]["found"]


def test_clock_that_differs_fails(
    copy: Copier, options_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = formatdate(time.time() + 7200, usegmt=True)
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: later)
    copy.settings["pas"]["endpoint"] = options_server.url
    status, found = checks(copy)
    assert (status, verdicts(found)) == (1, {"clock": "fails"})
    assert "behind the endpoint at" in found["clock"]["found"]
    assert "timedatectl" in found["clock"]["remedy"]


def test_plan_larger_than_disk_fails(copy: Copier) -> None:
    for path in sorted(copy.lake.rglob("*.xdr.zst"))[1:]:  # all but the newest
        with path.open("r+b") as file:
            file.truncate(4 << 40)
    status, found = checks(copy)
    assert (status, verdicts(found)) == (1, {"space": "fails"})
    assert "the plan needs about" in found["space"]["found"]
    assert " TB for each ledger" in found["space"]["found"]

    copy.settings["era"]["partition_size"] = 24
    copy.settings["era"]["ledger_start"] = 31
    copy.settings["era"]["ledger_end"] = 31
    assert checks(copy)[0] == 0


def test_plan_beyond_lake_is_warned_of(copy: Copier) -> None:
    copy.settings["era"]["ledger_end"] = 400
    status, found = checks(copy)
    assert (status, found["plan"]["verdict"]) == (1, "warning")
    assert "newest ledger is 31, does not have all of 47 partitions, the first 32-39" in found["plan"]["found"]


def test_lost_partition_is_warned_of(copy: Copier) -> None:
    copy.run()
    shutil.rmtree(copy.parquet((16, 23)).parent)
    status, found = checks(copy)
    assert (status, verdicts(found)) == (1, {"plan": "warning"})
    assert "not there as a whole: 1 published partition" in found["plan"]["found"]


def test_silent_endpoint_ends_after_limit(copy: Copier) -> None:
    released = threading.Event()

    def wait(_: object) -> Answer:
        released.wait(60)
        return Answer()

    with running_server(wait) as server:
        copy.settings["pas"]["endpoint"] = server.url
        found = {check.name: check for check in examine(load(copy.config, {}), limit_s=3)}
        released.set()
    assert (found["endpoint"].verdict, found["endpoint"].found) == ("unchecked", "no answer within 3 s")


@pytest.mark.parametrize("which", ["s3", "gcs"])
def test_buckets_are_tried_and_left_clean(
    which: str, copy: Copier, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud: Cloud = request.getfixturevalue(which)
    cloud.fill(copy.lake)
    cloud.write_to(copy)
    copy.settings["source"] = cloud.source()
    before = cloud.objects()
    status, found = checks(copy)
    assert (status, verdicts(found)) == (0, {})
    assert "objects can be written on conditions" in found["destination"]["found"]
    assert found["space"]["verdict"] == "unused"
    assert cloud.objects() == before

    copy.settings["storage"] = {**cloud.storage(), f"{which}_bucket": "no-such-bucket-here"}
    status, found = checks(copy)
    assert (status, found["destination"]["verdict"]) == (1, "fails")
    assert "docs/object-stores.md" in found["destination"]["remedy"]


def test_era_that_is_unknown_is_usage(copy: Copier) -> None:
    ran = copy.run("doctor", "--eras", "other")
    assert (ran.status, ran.out) == (2, "")
    assert "there is no era 'other'" in ran.err


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes standard output a terminal of so many columns."""

    def set_columns(columns: int) -> None:
        monkeypatch.setattr("pipeline.commands.output.terminal_columns", lambda: columns)
        monkeypatch.setattr("pipeline.commands.doctor.terminal_columns", lambda: columns)

    return set_columns


def test_terminal_gets_wrapped_coloured_lines(
    copy: Copier, narrow: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy.settings["pas"]["endpoint"] = "http://127.0.0.1:9/"
    monkeypatch.delenv("NO_COLOR", raising=False)
    narrow(72)
    lines = copy.run("doctor").out.splitlines()
    red = next(line for line in lines if "FAILS" in line)
    assert red.startswith("\x1b[31mFAILS\x1b[0m      endpoint     http://127.0.0.1:9 ")
    plain = [line.replace("\x1b[31m", "").replace("\x1b[32m", "").replace("\x1b[0m", "") for line in lines]
    assert all(len(line) <= 72 for line in plain if not any(len(word) > 40 for word in line.split()))
    monkeypatch.setenv("NO_COLOR", "1")
    narrow(40)
    assert "\x1b" not in (out := copy.run("doctor").out)
    assert "FAILS      endpoint\n  http://127.0.0.1:9 cannot be reached:" in out
