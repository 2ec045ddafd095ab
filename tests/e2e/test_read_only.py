"""Commands that only read work where nothing may be written, and leave nothing behind; others say what they lack."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Copier, LakeFiles, finish, start
from tests.support.read_only import is_refused, mounted_read_only, without_rights

PLACES = ["data", "pas", "state"]
#: Command lines that only read, and a word of their answer.
READING = [
    (["plan"], "partitions  2 of up to 8 ledgers"),
    (["run", "--dry-run"], "partitions   2 measured, 0 failed"),
    (["config"], "era.partition_size"),
]


@pytest.fixture
def copy(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """Half copied."""
    copy = copier(sample(first=8, ledgers=32).root, ledger_start=8, ledger_end=23, partition_size=8)
    assert copy.run().status == 0
    copy.settings["era"]["ledger_end"] = 39
    return copy


@pytest.fixture(params=[without_rights, mounted_read_only], ids=["another user's", "read-only mounts"])
def under(request: pytest.FixtureRequest, copy: Copier) -> list[str]:
    """The beginning of a command line that may not write to the lake, the destination, the events, the checkpoint."""
    places = [copy.lake, *(copy.root / name for name in PLACES)]
    made: list[str] = request.param(*places)
    for place in places:
        assert is_refused(made, place)
    return made


def traces(root: Path) -> dict[str, tuple[int, int]]:
    """Every path below `root` but the configuration, with its times of change."""
    return {
        path.relative_to(root).as_posix(): (path.lstat().st_mtime_ns, path.lstat().st_ctime_ns)
        for path in root.rglob("*")
        if not path.name.startswith("config.yaml")
    }


@pytest.mark.timeout(120)
def test_reading_commands_need_no_write_permission(under: list[str], copy: Copier) -> None:
    before = traces(copy.root), traces(copy.lake)
    for arguments, says in READING:
        ran = copy.process(*arguments, under=under)
        assert (ran.status, ran.err) == (0, ""), (arguments, ran)
        assert says in ran.out, ran.out
    assert (traces(copy.root), traces(copy.lake)) == before


@pytest.mark.timeout(120)
def test_audits_need_no_write_permission(under: list[str], copy: Copier, tmp_path: Path) -> None:
    """By URL and by configuration, with workers too."""
    copy.settings["era"]["ledger_end"] = 23
    bronze, events, page = (str(place) for place in (copy.root / "data/bronze", copy.root / "pas", tmp_path / "a.html"))
    by_url = [
        (["verify", bronze, "--level", "rows", "--chain", events, "--workers", "2"], "e1/v1: HOLDS"),
        (["verify", bronze, "--level", "source", "--lake", str(copy.lake)], "HOLDS"),
        (["inspect", "20", bronze], "hold"),
        (["inspect", "16-23", bronze], "rows                  8"),
        (["report", bronze, "--chain", events, "--out", page], page),
    ]
    configured = [
        (["verify"], "e1/v1: HOLDS"),
        (["status"], "committed    up to ledger 23"),
        (["inspect", "20"], "hold"),
        (["report", "--out", page], page),
    ]
    before = traces(copy.root), traces(copy.lake)
    for arguments, says in by_url:
        ran = finish(start(*arguments, cwd=tmp_path, under=under))
        assert (ran.status, says in ran.out) == (0, True), (arguments, ran)
    for arguments, says in configured:
        ran = copy.process(*arguments, under=under)
        assert (ran.status, says in ran.out) == (0, True), (arguments, ran)
    assert (traces(copy.root), traces(copy.lake)) == before


@pytest.mark.timeout(120)
def test_writing_commands_name_what_they_lack(under: list[str], copy: Copier) -> None:
    """`doctor` too: it says that a run would fail, and still checks what it can."""
    before = traces(copy.root), traces(copy.lake)
    ran = copy.process("run", under=under)
    assert (ran.status, ran.out) == (2, ""), ran
    for setting in ("storage.local_dir", "pas.backup_dir", "checkpoint.dir"):
        assert f"{setting}: '{copy.root}" in ran.err, ran
    ran = copy.process("doctor", "--json", under=under)
    found = {check["name"]: check for check in json.loads(ran.out)["checks"]}
    verdicts = {name: check["verdict"] for name, check in found.items()}
    assert (ran.status, verdicts["lake"], verdicts["clock"]) == (1, "holds", "holds"), ran
    for name, place in zip(("destination", "events", "checkpoint"), PLACES, strict=True):
        assert (verdicts[name], str(copy.root / place) in found[name]["found"]) == ("fails", True)
    assert (traces(copy.root), traces(copy.lake)) == before


def test_init_needs_read_permission_only(copy: Copier, tmp_path: Path) -> None:
    """It writes the file that it is asked for, and nothing beside the lake or at the destination."""
    place, new = copy.root / "data", tmp_path / "new.yaml"
    under = without_rights(copy.lake, copy.root)
    before = traces(copy.root), traces(copy.lake)
    arguments = ["init", "--lake", str(copy.lake), "--network", "standalone", "--destination", str(place)]
    ran = finish(start(*arguments, "--out", str(new), cwd=tmp_path, under=under))
    assert (ran.status, "ledger_start: 8" in new.read_text()) == (0, True), ran
    ran = finish(start(*arguments, "--out", str(place / "new.yaml"), cwd=tmp_path, under=under))
    assert (ran.status, f"{place}/new.yaml" in ran.err) == (1, True), ran
    assert (traces(copy.root), traces(copy.lake)) == before


@pytest.mark.timeout(120)
def test_dataset_alone_can_be_planned(copy: Copier) -> None:
    """Neither events nor checkpoint are there, nor may their directories be made: nothing is, and plan says what is."""
    copy.settings["pas"] = {"enabled": False}
    shutil.rmtree(copy.root / "pas")
    shutil.rmtree(copy.root / "state")
    config = copy.config
    under = without_rights(copy.root, copy.lake)
    before = traces(copy.root)
    for arguments, says in ((["plan"], "partitions  4 of"), (["run", "--dry-run"], "partitions   4 measured")):
        ran = finish(start(*arguments, "--config", config, cwd=copy.root, under=under))
        assert (ran.status, ran.err, says in ran.out) == (0, "", True), (arguments, ran)
    assert traces(copy.root) == before
