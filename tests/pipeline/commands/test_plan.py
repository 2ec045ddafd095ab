"""The command `plan`: what a run would do."""

from __future__ import annotations

import re
from collections.abc import Callable

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
