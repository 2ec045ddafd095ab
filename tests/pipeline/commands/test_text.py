"""What the commands print: every number of a run, and what was left undone and why."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from bronze.commit.existence import Existence
from bronze.commit.position import ChainPosition
from bronze.dataset.listing import DatasetListing
from bronze.errors import FrameError, VerificationError
from bronze.lake.lake import Lake, NewestObject
from bronze.lake.layout import LakeLayout
from bronze.outcomes import Outcome, PartitionFailure, PendingPartition
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.partitioning.plan import EraPlan
from bronze.storage.local import LocalStore
from pipeline.commands.text import plan_lines, run_lines, start_lines
from pipeline.launch.listings import Listings
from pipeline.launch.prepare import Prepared
from pipeline.telemetry.totals import Totals
from tests.pipeline.telemetry.test_totals import SUMMARY
from tests.transforms.conftest import connect, make_job

ERA = Era(era_id="e", version_label="v1", network="net", ledger_start=0, ledger_end=0, partition_size=1000)
HEAD = "sha256:" + "ab" * 32


def prepared(
    *,
    tail: int = 0,
    parts: tuple[Partition, ...] = (Partition(0, 999), Partition(1000, 1999)),
    missing: dict[Partition, str] | None = None,
    unfinished: tuple[Partition, ...] = (),
    **changes: Any,
) -> Prepared:
    layout = LakeLayout(4, 64000)
    end = parts[-1].end if parts else -1
    plan = EraPlan(era=ERA, start=0, end=end, incomplete_tail=tail, partitions=parts)
    store = LocalStore("/lake")
    made = make_job(Path("/out"), eras=(ERA,), layout=layout, target={"prefix": "bronze"}, **changes)
    connections = connect(made)
    nothing: dict[str, Any] = dict.fromkeys(("published", "orphans", "bare", "replaced", "empty"), ())
    listing = DatasetListing(dataset=connections.dataset(), era=ERA, **nothing)
    found = Existence(
        listing=listing,
        missing=missing or {},
        unfinished=unfinished,
        superfluous=(),
        uncorrected={},
        problems={},
    )
    return Prepared(
        connections=connections,
        lake=Lake(store, layout, None),
        newest=NewestObject("x/y.xdr.zst", 2500),
        plans=[plan],
        positions=[ChainPosition(0, "", None)],
        existence=[found],
        listings=Listings([]),
    )


def test_plan_says_what_is_made_again_or_finished() -> None:
    lines = list(plan_lines(prepared(missing={Partition(0, 999): ""}, unfinished=(Partition(2000, 2499),))))
    assert lines[-2:] == [
        "  found       0-999: in the chain but not published: to be made again",
        "  found       2000-2499: a parquet file without a manifest: to be finished",
    ]


def test_run_begins_with_what_it_is() -> None:
    assert list(start_lines(prepared(), "/etc/config.yaml")) == [
        "run          test of test v0 (unknown)",
        "settings     /etc/config.yaml",
        "checked      hashes: full, signatures: require",
    ]
    assert list(start_lines(prepared(), ""))[1] == "settings     of the environment"


def test_gap_names_its_remedy() -> None:
    lines = list(
        run_lines(prepared(), Totals(), 2.0, [ChainPosition(2000, HEAD, None)], {ERA.chain: [Partition(10, 19)]})
    )
    assert lines[-1].endswith("set last_committed_ledger of the checkpoint to 9, and run again")


def test_run_without_work_has_no_rates() -> None:
    assert lines_of(Totals(), ChainPosition(2000, HEAD, None)) == [
        "partitions   0 written, 0 skipped, 0 failed",
        f"chain        net/e/v1: committed up to ledger 1999, head {HEAD}",
    ]


def test_reason_of_waiting_partitions_is_told_once() -> None:
    totals = Totals()
    for start, reason in ((30, "does not link"), (40, "does not link"), (50, ""), (60, "other")):
        one = PendingPartition(chain="net/e/v1", partition=Partition(start, start + 9), blocked_at=10, reason=reason)
        totals.add(one)
    lines = lines_of(totals, ChainPosition(10, HEAD, None))[-4:]
    assert [line.partition("ledger 10")[2] for line in lines] == ["; does not link", "", "", "; other"]


def test_run_lists_what_is_missing_still() -> None:
    at = ChainPosition(2000, HEAD, None)
    problems = {(ERA.chain, Partition(0, 999)): "it was not made again"}
    lines = list(run_lines(prepared(), Totals(), 2.0, [at], {}, problems))
    assert lines[-1] == "missing      net/e/v1 0-999: it was not made again"


def lines_of(totals: Totals, position: ChainPosition, **keys: Any) -> list[str]:
    return list(run_lines(prepared(**keys), totals, 2.0, [position]))


def test_plan_lists_locations_eras_partitions_files() -> None:
    assert list(plan_lines(prepared(tail=501))) == [
        "lake         /lake (4 ledgers per file, 64,000 files per directory, .xdr.zst)",
        "newest       ledger 2500 (x/y.xdr.zst)",
        "destination  /out/data/bronze",
        "events       /out/pas",
        "checkpoint   /out/state",
        "era e (net/e/v1)",
        "  ledgers     0-1999: 1,998",
        "  partitions  2 of up to 1,000 ledgers",
        "  files       500",
        "  unpublished 501 ledgers of an incomplete partition, up to ledger 2500 (--publish-partial publishes them)",
    ]


def test_plan_without_partitions_says_why() -> None:
    assert "  nothing to do: the next ledger is 0, no partition is complete yet" in list(plan_lines(prepared(parts=())))


def test_run_lists_all_totals() -> None:
    totals = Totals()
    for outcome in (Outcome.WRITTEN, Outcome.WRITTEN, Outcome.SKIPPED, Outcome.UNCHANGED, Outcome.REPLACED):
        totals.add(
            dataclasses.replace(SUMMARY, outcome=outcome, row_count=1500, raw_bytes=2_500_000, byte_size=500_000)
        )
    assert lines_of(totals, ChainPosition(2000, HEAD, None)) == [
        "partitions   2 written, 1 unchanged, 1 replaced, 1 skipped, 0 failed",
        "ledgers      6,000 from 8 files, 10.0 MB raw, 2.0 MB parquet",
        "time         2.0 s, 3,000 ledgers/s, 5.0 MB/s raw",
        f"chain        net/e/v1: committed up to ledger 1999, head {HEAD}",
    ]


@pytest.mark.parametrize(
    ("position", "state", "says"),
    [
        pytest.param(ChainPosition(0, "", None), {}, "nothing committed", id="an empty chain"),
        pytest.param(ChainPosition(10, HEAD, None), {}, f"committed up to ledger 9, head {HEAD}", id="with events"),
        pytest.param(
            ChainPosition(10, "", None),
            {"chain": {"events": None}},
            "committed up to ledger 9, no audit stream",
            id="a checkpoint alone",
        ),
        pytest.param(
            ChainPosition(0, "", None),
            {"chain": {"events": None, "checkpoint": None}},
            "not kept (no audit stream, no checkpoint)",
            id="nothing is kept of the chain",
        ),
    ],
)
def test_chain_line_states_the_position(position: ChainPosition, state: dict[str, Any], says: str) -> None:
    assert f"chain        net/e/v1: {says}" in lines_of(Totals(), position, **state)


def test_undone_partitions_are_listed_with_reasons() -> None:
    totals = Totals()
    totals.add(PartitionFailure.of("net/e/v1", Partition(20, 29), FrameError("object x: it is empty")))
    totals.add(PartitionFailure.of("net/e/v1", Partition(10, 19), VerificationError("does not link"), published=True))
    totals.add(PendingPartition(chain="net/e/v1", partition=Partition(30, 39), blocked_at=10, reason="does not link"))
    lines = lines_of(totals, ChainPosition(10, HEAD, None))
    assert lines[0] == "partitions   0 written, 0 skipped, 1 failed, 1 refused"
    assert lines[-3:] == [
        "refused      net/e/v1 10-19: VerificationError: does not link",
        "failed       net/e/v1 20-29: FrameError: object x: it is empty",
        "pending      net/e/v1 30-39 is published, but its chain waits for ledger 10; does not link",
    ]


def test_long_lists_are_cut_and_counted() -> None:
    totals = Totals()
    for start in range(100):
        totals.add(PartitionFailure.of("net/e/v1", Partition(start, start), FrameError("")))
        later = Partition(1000 + start, 1000 + start)
        totals.add(PendingPartition(chain="net/e/v1", partition=later, blocked_at=0, reason=""))
    lines = lines_of(totals, ChainPosition(0, "", None))
    assert lines[0] == "partitions   0 written, 0 skipped, 100 failed"
    assert len([line for line in lines if line.startswith("failed")]) == 20
    assert len([line for line in lines if line.startswith("pending")]) == 20
    assert lines.count("             and 80 more") == 2


def test_dry_run_lists_files_but_no_chains() -> None:
    totals = Totals()
    totals.add(dataclasses.replace(SUMMARY, outcome=Outcome.DRY_RUN, storage_path="net/e/v1/t/range=0-9"))
    lines = lines_of(totals, ChainPosition(0, "", None), run={"dry_run": True})
    assert lines[0] == "partitions   1 measured, 0 failed"
    assert lines[-1] == "would write  net/e/v1/t/range=0-9: 8 ledgers, 100 bytes, sha256:00"
