"""The sequence stage: commits in ledger order whatever the order of arrival, and nothing twice."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bronze.commit.sequencer import Sequencer
from bronze.errors import StoreError
from bronze.job.build import this_build
from bronze.job.spec import CopyJob
from bronze.outcomes import CommittedPartition, PartitionFailure, PartitionSummary, PendingPartition
from bronze.partitioning.partition import Partition
from bronze.retry import RetryPolicy
from tests.bronze.conftest import changed
from tests.support.stage_state import Timer, new_states, pending_states
from tests.transforms.conftest import ERA, OTHER, connect, make_job, publish, run, summary
from transforms.sequence import NEAR, PENDING, REFUSED, SequencePartitions

Published = Callable[..., list[PartitionSummary]]


def events_of(job: CopyJob) -> Path:
    """The directory of its event files."""
    assert job.chain.events is not None
    return Path(job.chain.events.path)


class Key:
    """The stage for one key, called as a runner calls it; `bundles` are given to stages of their own."""

    def __init__(self, job: CopyJob) -> None:
        self.job = job
        self.states = new_states()

    def bundle(self, arrivals: list[PartitionSummary]) -> list[Any]:
        stage = SequencePartitions(self.job)
        stage.setup()
        return [out for one in arrivals for out in stage.process((one.chain, one), **self.states, end=Timer())]

    def end(self) -> list[Any]:
        return [out.value for out in SequencePartitions(self.job).report_waiting(**pending_states(self.states))]


def committed(job: CopyJob, era: Any = ERA) -> list[int]:
    """First ledgers of the chain's events, in the order of their links."""
    log = connect(job).event_log(era)
    assert log is not None
    return [event.partition.start for event in log.load()]


def starts(found: list[Any]) -> list[int]:
    return [(one.value if isinstance(one, beam.pvalue.TaggedOutput) else one).partition.start for one in found]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(order=st.permutations([100, 110, 120, 130, 140]), cuts=st.sets(st.integers(1, 4)))
def test_partitions_in_any_order_commit_in_ledger_order(
    order: list[int], cuts: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    job = make_job(tmp_path_factory.mktemp("job"))
    key, bounds = Key(job), [0, *sorted(cuts), 5]
    arrivals = [publish(job, summary(ERA, start)) for start in order]

    out = [one for low, high in itertools.pairwise(bounds) for one in key.bundle(arrivals[low:high])]

    assert starts(out) == committed(job) == [100, 110, 120, 130, 140]
    assert all(isinstance(one, CommittedPartition) and one.is_new for one in out)
    assert key.end() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(order=st.permutations([100, 110, 130, 140]))
def test_partitions_after_gap_are_pending(order: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    job = make_job(tmp_path_factory.mktemp("job"))
    key = Key(job)

    out = key.bundle([publish(job, summary(ERA, start)) for start in order])

    assert starts(out) == committed(job) == [100, 110]
    assert key.end() == [
        PendingPartition(chain=ERA.chain, partition=Partition(130, 139), blocked_at=120, reason=""),
        PendingPartition(chain=ERA.chain, partition=Partition(140, 149), blocked_at=120, reason=""),
    ]


def test_partitions_wait_near_and_far(job: CopyJob, published: Published) -> None:
    """A chain that is refused within what is near reports both as pending, in ledger order."""
    far = ERA.ledger_start + 10 * NEAR
    long = dataclasses.replace(ERA, ledger_end=far + 99)
    key = Key(dataclasses.replace(job, eras=(long,)))
    arrivals = published(long, 100, far + 10, 120, far)

    assert starts(key.bundle(arrivals)) == [100]
    assert starts(key.end()) == [120, far, far + 10]
    assert starts(key.bundle(published(long, 110))) == [110, 120]
    assert starts(key.end()) == [far, far + 10]


def test_later_run_commits_pending_partitions(job: CopyJob, published: Published) -> None:
    first = published(ERA, 100, 120, 130)
    Key(job).bundle(first)

    out = Key(job).bundle([first[1], first[2], *published(ERA, 110)])

    assert starts(out) == [110, 120, 130]
    assert committed(job) == [100, 110, 120, 130]


def test_retried_bundle_commits_nothing_twice(job: CopyJob, published: Published) -> None:
    """The runner forgets what the bundle did to its state; the files remember."""
    arrivals = published(ERA, 100, 110, 120)
    once = Key(job).bundle(arrivals)
    before = {path.name: path.read_bytes() for path in events_of(job).iterdir() if path.is_file()}

    again = Key(job).bundle(arrivals)

    assert starts(again) == starts(once) == [100, 110, 120]
    assert [one.is_new for one in again] == [False, False, False]
    assert [one.event_hash for one in again] == [one.event_hash for one in once]
    assert {path.name: path.read_bytes() for path in events_of(job).iterdir() if path.is_file()} == before


@pytest.mark.parametrize("dies_at", [1, 2, 3])
def test_bundle_failing_halfway_is_completed_by_retry(
    dies_at: int, job: CopyJob, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrivals = published(ERA, 100, 110, 120)
    commit, calls = Sequencer.commit, []

    def dying(self: Sequencer, one: PartitionSummary, *position: object) -> CommittedPartition:
        calls.append(one)
        if len(calls) == dies_at:
            raise KeyboardInterrupt
        return commit(self, one, *position)

    monkeypatch.setattr(Sequencer, "commit", dying)
    with pytest.raises(KeyboardInterrupt):
        Key(job).bundle(arrivals)
    monkeypatch.undo()

    out = Key(job).bundle(arrivals)

    assert starts(out) == committed(job) == [100, 110, 120]
    assert [one.is_new for one in out] == [number >= dies_at for number in (1, 2, 3)]


def test_concurrent_attempts_of_bundle_make_one_chain(job: CopyJob, published: Published) -> None:
    """A zombie: the runner gave the bundle up, but it goes on."""
    arrivals = published(ERA, 100, 110, 120)
    zombie, heir = Key(job), Key(job)
    for one in arrivals:
        zombie.bundle([one])
        heir.bundle([one])
    assert committed(job) == [100, 110, 120]


def test_unlinked_partition_is_refused_and_blocks_later_ones(job: CopyJob, published: Published) -> None:
    good, bad = published(ERA, 100), published(ERA, 110, previous="ab" * 32)
    key = Key(job)

    out = key.bundle([*good, *bad, *published(ERA, 120)])

    commit, refused = out
    assert commit.partition.start == 100
    assert refused.tag == REFUSED
    assert isinstance(refused.value, PartitionFailure)
    assert (refused.value.partition.start, refused.value.error_type, refused.value.published) == (
        110,
        "VerificationError",
        True,
    )
    assert "ab" * 32 in refused.value.message
    assert [(one.partition.start, one.blocked_at, one.reason) for one in key.end()] == [
        (120, 110, refused.value.message)
    ]
    assert committed(job) == [100]


def test_forged_summary_is_refused_and_blocks_chain(job: CopyJob, published: Published) -> None:
    """A report that was changed on its way from a worker; the manifest in the store decides."""
    real = published(ERA, 100, 110, 120)
    forged = dataclasses.replace(real[1], checksum=f"sha256:{'6' * 64}")
    key = Key(job)

    _, refused = key.bundle([real[0], forged, real[2]])

    assert (refused.tag, refused.value.partition.start, refused.value.error_type) == (REFUSED, 110, "StateError")
    assert "6" * 64 in refused.value.message
    assert real[1].checksum in refused.value.message
    assert starts(key.end()) == [120]
    assert committed(job) == [100]
    assert starts(Key(job).bundle(real[1:])) == [110, 120]


def test_unwritable_store_refuses_without_ending_run(
    job: CopyJob, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk under the events: reported at once; a later run goes on from there."""
    arrivals = published(ERA, 100, 110)
    calls = []

    def full(_self: Sequencer, one: PartitionSummary, *_: object) -> CommittedPartition:
        calls.append(one)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Sequencer, "commit", full)
    key = Key(job)
    (refused,) = key.bundle(arrivals)
    monkeypatch.undo()

    assert len(calls) == 1
    assert (refused.tag, refused.value.error_type, refused.value.partition.start) == (REFUSED, "OSError", 100)
    assert refused.value.stops_run
    assert "No space left on device" in refused.value.message
    assert starts(key.end()) == [110]
    assert starts(Key(job).bundle(arrivals)) == [100, 110]


def test_transient_commit_errors_are_retried(
    job: CopyJob, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, calls = Sequencer.commit, []

    def once(self: Sequencer, one: PartitionSummary, *position: object) -> CommittedPartition:
        calls.append(one)
        if len(calls) == 1:
            raise StoreError("try again")
        return commit(self, one, *position)

    monkeypatch.setattr(Sequencer, "commit", once)
    assert starts(Key(job).bundle(published(ERA, 100))) == [100]
    assert len(calls) == 2


def test_edited_checkpoint_is_obeyed(job: CopyJob, published: Published) -> None:
    """It says that everything up to 119 is committed, whoever did it."""
    state = Path(job.chain.checkpoint.path if job.chain.checkpoint else "")
    state.mkdir()
    document = {"network": "net", "era_id": "e1", "version_label": "v1", "last_committed_ledger": 119}
    (state / "checkpoint_net_e1_v1.json").write_text(json.dumps(document))

    assert starts(Key(job).bundle(published(ERA, 130, 120))) == [120, 130]


def check_graph(job: CopyJob, arrivals: list[PartitionSummary], wanted: dict[str, list[tuple[str, int]]]) -> None:
    """Run a graph of the stage alone; `wanted` are chains and first ledgers of what comes out under each tag."""

    def graph(pipeline: Any) -> None:
        keyed = beam.Create([(one.chain, one) for one in arrivals], reshuffle=False)
        out = (
            pipeline
            | keyed.with_output_types(tuple[str, PartitionSummary])
            | beam.ParDo(SequencePartitions(job)).with_outputs(PENDING, REFUSED, main="commits")
        )
        for name in ("commits", PENDING, REFUSED):
            said = out[name] | f"Say {name}" >> beam.Map(lambda one: (one.chain, one.partition.start))
            assert_that(said, equal_to(wanted.get(name, [])), label=name)

    run(graph)


def test_chains_of_one_graph_are_independent(job: CopyJob, published: Published) -> None:
    """One chain is refused, the other one goes on; state and timers are the runner's own."""
    broken = [*published(ERA, 120), *published(ERA, 110, previous="cd" * 32), *published(ERA, 100)]
    sound = published(OTHER, 1020, 1000, 1010, 1040)
    arrivals = [one for pair in zip(broken, sound, strict=False) for one in pair] + sound[3:]
    wanted = {
        "commits": [(ERA.chain, 100), (OTHER.chain, 1000), (OTHER.chain, 1010), (OTHER.chain, 1020)],
        PENDING: [(ERA.chain, 120), (OTHER.chain, 1040)],
        REFUSED: [(ERA.chain, 110)],
    }

    check_graph(job, arrivals, wanted)

    assert (committed(job), committed(job, OTHER)) == ([100], [1000, 1010, 1020])


@pytest.mark.parametrize("order", [[100, 110, 120], [120, 110, 100], [110, 120, 100]], ids=str)
def test_graph_commits_partitions_in_ledger_order(order: list[int], job: CopyJob, published: Published) -> None:
    check_graph(job, published(ERA, *order), {"commits": [(ERA.chain, start) for start in (100, 110, 120)]})
    assert committed(job) == [100, 110, 120]


def test_job_without_events_and_checkpoint_is_sequenced(tmp_path: Path) -> None:
    job = make_job(tmp_path, chain={"events": None, "checkpoint": None}, run={"retry": RetryPolicy(1, 1)})
    out = Key(job).bundle([publish(job, summary(ERA, start)) for start in (110, 100, 120)])
    assert starts(out) == [100, 110, 120]
    assert {one.event_hash for one in out} == {""}


def test_zombie_bundle_commits_nothing_twice(job: CopyJob, published: Published) -> None:
    """The runner took its worker for dead, and had another one do it all again; it lives, and goes on."""
    job = changed(job, run={"build": this_build(), "is_exclusive": False})
    arrivals = published(ERA, *range(100, 160, 10))
    zombie, successor = Key(job), Key(job)
    zombie.bundle(arrivals[:2])
    again = successor.bundle(arrivals[:4])

    late = zombie.bundle(arrivals[2:])
    last = successor.bundle(arrivals[4:])

    assert committed(job) == [100, 110, 120, 130, 140, 150]
    assert [one.is_new for one in (*again, *late)] == [False, False, True, True, False, False, True, True]
    assert [one.is_new for one in last] == [False, False]


def test_sequencer_of_another_build_writes_nothing(job: CopyJob, published: Published) -> None:
    arrivals = published(ERA, 100)
    (refused,) = Key(changed(job, run={"build": "bronze-copier v9.9.9"})).bundle(arrivals)
    assert (refused.tag, refused.value.error_type, refused.value.published) == (REFUSED, "ConfigError", True)
    assert not events_of(job).exists()
