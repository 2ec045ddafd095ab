"""The command `plan`: what a run would do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.launch import forecast
from tests.e2e.conftest import Copier, LakeFiles, era
from tests.pipeline.commands.conftest import written_names


def test_plan_describes_a_run_and_writes_nothing(copy: Copier) -> None:
    copy.settings["era"]["partition_size"] = 10

    ran = copy.run("plan")

    assert (ran.status, ran.err) == (0, "")
    for says in (f"lake         {copy.lake} (1 ledger per file", "era e1 (standalone/e1/v1)", "ledgers     8-31: 24"):
        assert says in ran.out
    assert "partitions  3 of up to 10 ledgers" in ran.out
    assert "files       24" in ran.out
    assert written_names(copy) == []


def test_plan_continues_where_the_chain_ends(copy: Copier) -> None:
    copy.settings["era"]["ledger_end"] = 15
    copy.run()
    copy.settings["era"]["ledger_end"] = 31
    assert "ledgers     16-31: 16" in copy.run("plan").out
    copy.run()
    assert "nothing to do: the next ledger is 32, the last wanted is 31" in copy.run("plan").out


def test_plan_counts_a_shared_file_twice(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> None:
    lake = sample(first=8, ledgers=24, ledgers_per_file=4)
    ran = copier(lake.root, ledger_start=8, ledger_end=31, partition_size=6).run("plan")
    assert "partitions  4 of up to 6 ledgers" in ran.out
    assert "files       8" in ran.out  # 6 files, two of them on a boundary


def test_plan_lists_every_chosen_era(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> None:
    eras = [era("a", ledger_start=8, ledger_end=15), era("b", ledger_start=16, ledger_end=31)]
    copy = copier(sample(first=8, ledgers=24).root, eras=eras)
    assert re.findall(r"^era (\w+)", copy.run("plan").out, re.MULTILINE) == ["a", "b"]
    assert re.findall(r"^era (\w+)", copy.run("plan", "--eras", "b").out, re.MULTILINE) == ["b"]


@pytest.fixture
def lake(sample: Callable[..., LakeFiles]) -> LakeFiles:
    return sample(first=8, ledgers=32)


@pytest.fixture
def planned(copier: Callable[..., Copier], lake: LakeFiles) -> Copier:
    """Four partitions of eight ledgers."""
    return copier(lake.root, ledger_start=8, ledger_end=39, partition_size=8)


def label(out: str, name: str) -> list[str]:
    """The lines of an era with this label, without it."""
    found = re.findall(rf"^  {name:12}(.*)$", out, re.MULTILINE)
    return [str(one) for one in found]


def document(copy: Copier, *arguments: str) -> dict[str, Any]:
    ran = copy.run("plan", "--json", *arguments)
    assert ran.status == 0, ran
    (found,) = json.loads(ran.out)["eras"]
    assert isinstance(found, dict)
    return found


def lake_bytes(lake: LakeFiles) -> int:
    return sum(path.stat().st_size for path in lake.root.rglob("*.xdr.*"))


def renamed(lake: LakeFiles, ledger: int) -> Path:
    return lake.path(ledger).rename(lake.path(ledger).with_suffix(".zstd"))


def test_whole_lake_lacks_nothing(planned: Copier, lake: LakeFiles) -> None:
    found = document(planned)
    assert found["objects"]["expected"] == found["objects"]["listed"] == 32
    assert [found["objects"][name] for name in ("missing", "empty", "doubles", "lacking")] == [0, 0, 0, 0]
    assert found["bytes_to_read"] == found["bytes_to_write"] == lake_bytes(lake)
    assert (found["time"]["basis"], found["time"]["workers"]) == ("measured", 1)
    out = planned.run("plan").out
    assert label(out, "objects") == ["32 of 32 needed are in the lake"]
    assert label(out, "missing") == label(out, "will fail") == []


def test_missing_objects_are_named_with_partitions(planned: Copier, lake: LakeFiles) -> None:
    for ledger in (20, 22, 23, 24, 39):
        lake.remove(ledger)

    ran = planned.run("plan")

    assert ran.status == 0
    assert label(ran.out, "objects") == ["27 of 32 needed are in the lake"]
    (missing,) = label(ran.out, "missing")
    assert missing == (
        f"5 objects not in the lake, of ledgers 20, 22-24, 39; the first is {lake.layout.key(20)}; 1 of them behind the"
        " lake's newest ledger"
    )
    assert label(ran.out, "will fail")[0].startswith("3 partitions for want of them: 16-23, 24-31, 32-39")
    counted = document(planned)["objects"]
    assert counted["missing_ledgers"] == [{"start": n, "end": m} for n, m in ((20, 20), (22, 24), (39, 39))]
    assert [one["start"] for one in counted["lacking_partitions"]] == [16, 24, 32]
    failed = {one["start"] for one in json.loads(planned.run("--json").out)["failures"]}
    assert failed == {16, 24, 32}  # what a run then does


def test_objects_of_either_extension_are_there(planned: Copier, lake: LakeFiles) -> None:
    for ledger in (*range(8, 19), 30):
        renamed(lake, ledger)
    double = lake.path(35)
    double.with_suffix(".zstd").write_bytes(double.read_bytes())
    found = document(planned)
    assert (found["objects"]["missing"], found["objects"]["doubles"]) == (0, 1)
    assert found["bytes_to_read"] == lake_bytes(lake)
    assert "1 object under both extensions" in label(planned.run("plan").out, "doubles")[0]


def test_object_exported_again_counts_as_it_is(planned: Copier, lake: LakeFiles) -> None:
    before = document(planned)["bytes_to_read"]
    lake.path(20).write_bytes(lake.path(20).read_bytes() + b"\x50\x2a\x4d\x18\x0c\0\0\0" + bytes(12))
    found = document(planned)
    assert (found["objects"]["missing"], found["bytes_to_read"]) == (0, before + 20)
    lake.path(20).write_bytes(b"")  # exported again, and interrupted
    assert document(planned)["objects"]["empty_ledgers"] == [{"start": 20, "end": 20}]
    out = planned.run("plan").out
    assert label(out, "empty") == ["1 object of 0 bytes, of ledger 20"]
    assert label(out, "will fail")[0].startswith("1 partition for want of them: 16-23")


def test_objects_of_published_partitions_are_not_needed(planned: Copier, lake: LakeFiles) -> None:
    planned.settings["era"]["ledger_end"] = 23
    assert planned.run().status == 0
    planned.settings["era"]["ledger_end"] = 39
    (planned.root / "state" / "checkpoint.json").unlink()
    for path in (planned.root / "pas").glob("*"):
        if path.is_file():
            path.unlink()  # so that the plan begins with the published partitions
    for ledger in range(8, 20):
        lake.remove(ledger)

    found = document(planned)

    assert (found["partitions"], found["published"], found["skipped"]) == (4, 2, 2)
    assert found["to_copy"] == {"partitions": 2, "ledgers": 16}
    assert (found["objects"]["expected"], found["objects"]["missing"]) == (16, 0)
    exists = label(planned.run("plan").out, "exists")
    assert exists == ["2 partitions of 8-23; 2 of those above are among them, and skipped"]


def test_range_behind_the_lake_is_missing(planned: Copier) -> None:
    planned.settings["era"]["ledger_end"] = 4_000_000_000
    planned.settings["era"]["partition_size"] = 1_000_000
    found = document(planned)
    assert (found["objects"]["missing"], found["objects"]["behind_newest"]) == (3_999_999_961, 3_999_999_961)
    assert found["objects"]["missing_ledgers"] == [{"start": 40, "end": 4_000_000_000}]
    (missing,) = label(planned.run("plan").out, "missing")
    assert missing.endswith("; all of them behind the lake's newest ledger")


def test_large_range_is_sampled_unless_asked(planned: Copier, lake: LakeFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "COUNTED_UNASKED", 31)
    monkeypatch.setattr(forecast, "_LOCAL_SAMPLES", 4)
    monkeypatch.setattr(forecast, "_SAMPLE_FILES", 2)
    lake.remove(13)  # of the sample
    lake.remove(34)  # not of it

    found = document(planned)

    assert (found["objects"]["expected"], found["objects"]["listed"], found["objects"]["missing"]) == (32, 8, 1)
    assert found["objects"]["missing_ledgers"] == [{"start": 13, "end": 13}]
    out = planned.run("plan").out
    assert "32 are needed; of a sample of 8, 7 are in the lake" in label(out, "objects")[0]
    assert "--count all does it, in about 1 list request" in label(out, "objects")[0]
    assert label(out, "to read")[0].startswith("about ")
    whole = document(planned, "--count", "all")["objects"]
    assert (whole["listed"], whole["missing"]) == (32, 2)
    assert document(planned, "--count", "auto") == found


def test_nothing_is_counted_when_not_wanted(planned: Copier) -> None:
    found = document(planned, "--count", "none")
    assert (found["objects"], found["bytes_to_read"], found["bytes_to_write"]) == (None, None, None)
    assert found["time"] == {"basis": "unknown", "shortest_s": None, "longest_s": None, "workers": 1}
    out = planned.run("plan", "--count", "none").out
    assert label(out, "objects") == ["not counted (--count none)"]
    assert label(out, "time")[0].startswith("unknown")


def test_size_of_other_compression_is_unknown(planned: Copier) -> None:
    planned.settings["bronze"] = {"compression": "none"}
    found = document(planned)
    assert (found["bytes_to_read"] > 0, found["bytes_to_write"]) == (True, None)
    assert "unknown: bronze.compression" in label(planned.run("plan").out, "to write")[0]


def test_several_eras_are_added_up(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> None:
    lake = sample(first=8, ledgers=24)
    lake.remove(20)
    eras = [era("a", ledger_start=8, ledger_end=15), era("b", ledger_start=16, ledger_end=31)]
    out = copier(lake.root, eras=eras).run("plan").out
    assert re.findall(r"^all eras +(.*)$", out, re.MULTILINE) == ["2 partitions, 24 ledgers to copy"]
    assert re.findall(r"^missing +(.*)$", out, re.MULTILINE) == ["1 lake object"]


def test_partitions_made_anew_need_their_objects(planned: Copier, lake: LakeFiles) -> None:
    assert planned.run().status == 0
    lake.remove(20)
    planned.settings["logging"] = {"level": "info"}
    log = planned.run("--dry-run", "--partition", "16-23", "--again").log
    assert "exists      4 partitions of 8-39; 1 of those above are among them, and made anew" in log
    assert "to copy     1 partition, 8 ledgers of 16-23" in log
    assert "objects     7 of 8 needed are in the lake" in log

    planned.settings["era"]["allow_overwrite"] = True
    found = document(planned)
    assert (found["skipped"], found["replaced"], found["to_copy"]["partitions"]) == (0, 4, 4)
    assert (found["objects"]["expected"], found["objects"]["missing"]) == (32, 1)


def test_dry_run_logs_what_is_missing(planned: Copier, lake: LakeFiles) -> None:
    lake.remove(20)
    planned.settings["logging"] = {"level": "info"}
    assert "missing     1 object not in the lake, of ledger 20: FFFFFFEB--20-23/" in planned.run("--dry-run").log
    assert "missing     1 object" not in planned.run().log  # a run finds it, and pays for no listing
