"""``verify --archives``: exit statuses and output, with archives that confirm, contradict, lag, fail or disagree."""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bronze.archives import opening
from bronze.archives.checkpoint_files import file_key
from bronze.retry import RetryPolicy
from tests.e2e.conftest import Copier, LakeFiles, call, new_copier, own_environment, sample_lakes, small  # noqa: F401
from tests.support.made_archive import archive_answers, header_of, make_archive, write_file, write_history
from tests.support.scripted_server import Answer, Request, running_server

# ruff: noqa: F811 - fixtures are imported by name

STANDALONE = "Standalone Network ; February 2017"
SAMPLE = {"first": 64, "ledgers": 192}
ENDS = (127, 191, 255)


class Sources:
    """A copied sample lake of partitions 64-127, 128-191 and 192-255, and archives of it."""

    def __init__(self, root: Path, lake: LakeFiles, copier: Copier) -> None:
        self.root, self.copy = root, copier
        self.bronze = str(Path(copier.settings["storage"]["local_dir"]) / "bronze")
        self.headers = {ledger: header_of(lake.meta(ledger)) for ledger in range(64, 256)}
        self.archive = self.make("archive")

    def make(self, name: str) -> Path:
        return make_archive(self.root / name, self.headers, STANDALONE)

    def of_other_history(self, name: str) -> Path:
        """An archive of other ledgers with the same numbers."""
        options = small(**SAMPLE, seed=1)
        other = {one.sequence: header_of(one.xdr) for one in options.chain() if 64 <= one.sequence <= 255}
        return make_archive(self.root / name, other, STANDALONE)


@pytest.fixture(scope="module")
def published(sample_lakes: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Copier:
    """The copied lake; nobody changes what it published."""
    keys = {"ledger_start": 64, "ledger_end": 255, "partition_size": 64}
    made = new_copier(tmp_path_factory.mktemp("published") / "copy", sample_lakes(small(**SAMPLE)), **keys)
    assert made.run().status == 0
    return made


@pytest.fixture
def sources(tmp_path: Path, published: Copier) -> Sources:
    lake = LakeFiles(published.lake, small(**SAMPLE).layout)
    return Sources(tmp_path, lake, Copier(tmp_path, published.lake, copy.deepcopy(published.settings)))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Archives are asked once, and waited for a moment only."""
    whole = opening.open_archive

    def once(url: str, **options: int) -> object:
        return whole(url, **options, attempt_seconds=0.5, retry=RetryPolicy(1, 1))  # type: ignore[arg-type]

    monkeypatch.setattr("pipeline.launch.archive_audit.open_archive", once)
    return


def verify(sources: Sources, *urls: str | Path, words: tuple[str, ...] = ()) -> tuple[int, str]:
    given = ",".join(url if isinstance(url, str) else f"file://{url}" for url in urls)
    ran = call("verify", sources.bronze, "--level", "manifests", "--archives", given, *words)
    return ran.status, ran.out


def test_archives_that_agree_confirm_all(sources: Sources) -> None:
    with running_server(archive_answers(sources.archive)) as server:
        status, out = verify(sources, server.url, sources.make("second"))
        assert status == 0, out
        sentence = (
            "checked history archives: 2 of 2 have the hash that ends 3 of 3 partitions, the last of them ledger 255"
        )
        assert sentence in out
        assert [one.path for one in server.requests if "ledger" in one.path] != []
    document = json.loads(verify(sources, sources.archive, words=("--json", "--to", "191"))[1])
    assert document["eras"][0]["archives"] == {"checked": 2, "proven": 2, "through": 191}
    without = call("verify", sources.bronze, "--level", "manifests")
    assert "not checked: history archives (--archives)" in without.out
    assert json.loads(call("verify", sources.bronze, "--json").out)["eras"][0]["archives"] is None


def test_configured_archives_are_asked(sources: Sources) -> None:
    absent = f"file://{sources.root}/absent"
    sources.copy.settings["authenticity"] = {"archives": [absent, f"file://{sources.archive}"], "archives_agree": 1}
    ran = sources.copy.run("verify", "--level", "manifests", "--archives")
    assert ran.status == 0, ran.out
    assert "1 of 2 have the hash that ends 3 of 3 partitions" in ran.out
    assert f"{absent}/.well-known/stellar-history.json does not exist" in ran.out  # a note
    sources.copy.settings["authenticity"]["archives_agree"] = 2
    assert sources.copy.run("verify", "--level", "manifests", "--archives").status == 3


def test_archive_of_other_history_ends_with_one(sources: Sources) -> None:
    other = sources.of_other_history("other")
    for urls in ((other,), (sources.archive, other)):  # who is right is not settled by a majority
        status, out = verify(sources, *urls)
        assert status == 1
        assert "DOES NOT HOLD: 3 wrong" in out
        ours = hashlib.sha256(sources.headers[127]).hexdigest()
        assert f"has the hash {ours}, but the history archive file://{other} has another" in out


def test_archive_that_lags_ends_with_three(sources: Sources) -> None:
    write_history(sources.archive, 127, STANDALONE)
    status, out = verify(sources, sources.archive)
    assert status == 3
    assert "2 partitions from 128-191 to 192-255 are newer than what 1 of the history archives have yet" in out
    assert "have the hash that ends 1 of 3 partitions, the last of them ledger 127" in out
    assert out.count("unchecked") == 2  # one finding, and its count


def test_archive_of_another_network_ends_with_one(sources: Sources) -> None:
    write_history(sources.archive, 255, "Test SDF Network ; September 2015")
    status, out = verify(sources, sources.archive, words=("--passphrase", STANDALONE))
    assert status == 1
    assert "is one of the network 'Test SDF Network ; September 2015'" in out
    assert "0 of 3 partitions" in out


@pytest.mark.parametrize("damage", ["bomb", "truncated", "garbage", "missing", "another", "denied", "unavailable"])
@pytest.mark.usefixtures("impatient")
def test_damaged_file_ends_with_three(sources: Sources, damage: str) -> None:
    key, files = file_key("ledger", 191), archive_answers(sources.archive)
    whole = (sources.archive / key).read_bytes()
    contents = {
        "bomb": gzip.compress(bytes(64 << 20), compresslevel=1),
        "truncated": whole[:-9],
        "garbage": b"\x1f\x8b" + b"\xff" * 5000,
        "another": (sources.archive / file_key("ledger", 127)).read_bytes(),
    }
    if damage in contents:
        write_file(sources.archive, key, contents[damage])

    def answer(request: Request) -> Answer:
        status = {"missing": 404, "denied": 403, "unavailable": 503}.get(damage)
        return Answer(status) if status and request.path.endswith(key) else files(request)

    with running_server(answer) as server:
        status, out = verify(sources, server.url)
    assert status == 3
    assert "COULD NOT BE CHECKED: 1 unchecked" in out
    assert key in out
    assert "2 of 3 partitions, the last of them ledger 255" in out


@pytest.mark.usefixtures("impatient")
def test_silent_archive_is_given_up(sources: Sources) -> None:
    """Of many files of an archive that does not answer, only the first few are waited for."""
    released, files = threading.Event(), archive_answers(sources.archive)

    def answer(request: Request) -> Answer:
        if "ledger" in request.path:
            released.wait(30)
        return files(request)

    keys = {"ledger_start": 64, "ledger_end": 255, "partition_size": 8}
    many = new_copier(sources.root / "many", sources.copy.lake, **keys)
    assert many.run().status == 0
    with running_server(answer) as server:
        ran = many.run("verify", "--level", "manifests", "--archives", server.url)
        status, out = ran.status, ran.out
        released.set()
    assert status == 3
    assert 3 <= sum("ledger" in one.path for one in server.requests) <= 3 + 8
    assert "was not asked for: 3 files of this archive could not be read one after the other" in out
    assert "0 of 24 partitions" in out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "--archives needs the URL of a history archive, or authenticity.archives in a configuration"),
        ("ftp://host/x", "--archives must be the URL of a history archive"),
        ("file:///a,file:///a/", "each named once"),
        ("https://u:hidden@host/a", "without credentials"),
    ],
)
def test_unusable_archives_end_with_two(sources: Sources, given: str, message: str) -> None:
    words = [f"--archives={given}"] if given else ["--archives"]
    ran = call("verify", sources.bronze, *words)
    assert ran.status == 2
    assert message in ran.err
    assert "hidden" not in ran.err
