"""Lost, old, damaged or edited state is rebuilt, obeyed or refused with a remedy; no partition gets a second event.

These tests run the program inside this process; nothing is killed here.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Copier
from tests.faults.bed import Bed
from tests.faults.steps import CHAIN, LAST, PARTITIONS

pytestmark = pytest.mark.timeout(120)
EARLY, HALF = PARTITIONS[4], PARTITIONS[9]
Spoil = Callable[[Copier], None]


@pytest.fixture(scope="module")
def halved(bed: Bed) -> Path:
    """Half of the range, copied once for all tests; ``early`` keeps an earlier state of it."""
    copy = bed.copy("halved", ledger_end=EARLY[1])
    assert copy.run().status == 0
    for part in ("pas", "state"):
        shutil.copytree(copy.root / part, copy.root / "early" / part)
    copy.settings["era"]["ledger_end"] = HALF[1]
    assert copy.run().status == 0
    return copy.root


@pytest.fixture
def half(bed: Bed, halved: Path) -> Iterator[Copier]:
    """Half of the range is copied and the next run copies the rest; ``early`` keeps an earlier state."""
    copy = bed.copy()
    for part in ("data", "pas", "state", "early"):
        shutil.copytree(halved / part, copy.root / part)
    yield copy
    shutil.rmtree(copy.root)


def checkpoint(copy: Copier) -> Path:
    return copy.root / "state" / "checkpoint.json"


def heads(copy: Copier) -> Path:
    return copy.root / "pas" / "pas-chain-heads.json"


def event(copy: Copier, part: tuple[int, int]) -> Path:
    return copy.root / "pas" / f"standalone_e1_v1_{part[0]}-{part[1]}.json"


def event_bytes(copy: Copier) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (copy.root / "pas").glob("standalone_*.json")}


def set_checkpoint(copy: Copier, last: int) -> None:
    """As an operator edits it."""
    document = json.loads(checkpoint(copy).read_bytes())
    document["last_committed_ledger"] = last
    del document["last_committed_partition"]
    checkpoint(copy).write_text(json.dumps(document))


def no_checkpoint(copy: Copier) -> None:
    checkpoint(copy).unlink()


def no_heads(copy: Copier) -> None:
    heads(copy).unlink()


def neither(copy: Copier) -> None:
    no_checkpoint(copy)
    no_heads(copy)


def no_state_directory(copy: Copier) -> None:
    shutil.rmtree(copy.root / "state")
    no_heads(copy)


def older_checkpoint(copy: Copier) -> None:
    shutil.copy(copy.root / "early" / "state" / "checkpoint.json", checkpoint(copy))


def older_heads(copy: Copier) -> None:
    shutil.copy(copy.root / "early" / "pas" / "pas-chain-heads.json", heads(copy))


def both_older(copy: Copier) -> None:
    older_checkpoint(copy)
    older_heads(copy)


def older_checkpoint_no_heads(copy: Copier) -> None:
    older_checkpoint(copy)
    no_heads(copy)


def older_heads_no_checkpoint(copy: Copier) -> None:
    older_heads(copy)
    no_checkpoint(copy)


def set_back(copy: Copier) -> None:
    set_checkpoint(copy, PARTITIONS[2][1])


def set_back_to_the_start(copy: Copier) -> None:
    set_checkpoint(copy, 0)


def last_event_lost(copy: Copier) -> None:
    """As when the disk lost what was written last: event, head and checkpoint; the partition is there."""
    both_older(copy)
    for part in PARTITIONS[5:10]:
        event(copy, part).unlink()


@pytest.mark.parametrize(
    "spoil",
    [
        no_checkpoint,
        no_heads,
        neither,
        no_state_directory,
        older_checkpoint,
        older_heads,
        both_older,
        older_checkpoint_no_heads,
        older_heads_no_checkpoint,
        set_back,
        set_back_to_the_start,
        last_event_lost,
    ],
)
def test_lost_state_is_rebuilt_from_events(spoil: Spoil, half: Copier, bed: Bed) -> None:
    spoil(half)
    before = event_bytes(half)
    ran = half.run()
    assert ran.status == 0, ran
    assert {name: data for name, data in event_bytes(half).items() if name in before} == before
    bed.check(half)


@pytest.mark.parametrize("spoil", [no_checkpoint, no_heads, neither, both_older, set_back])
def test_complete_copy_is_repaired(spoil: Spoil, bed: Bed) -> None:
    """Nothing is left to copy, and the state is restored."""
    copy = bed.complete()
    shutil.copytree(copy.root / "pas", copy.root / "early" / "pas")
    shutil.copytree(copy.root / "state", copy.root / "early" / "state")
    document = json.loads(checkpoint(copy).read_bytes())
    part = {
        "start": EARLY[0],
        "end": EARLY[1],
        "checksum": copy.manifests()[EARLY]["tables"]["ledgers_lcm_raw"]["checksum"],
    }
    document |= {"last_committed_ledger": EARLY[1], "last_committed_partition": part}
    (copy.root / "early" / "state" / "checkpoint.json").write_text(json.dumps(document))
    hash_ = json.loads(event(copy, EARLY).read_bytes())["chain"]["event_hash"]
    (copy.root / "early" / "pas" / "pas-chain-heads.json").write_text(json.dumps({CHAIN: hash_}))
    spoil(copy)
    before = event_bytes(copy)
    ran = copy.run()
    assert ran.status == 0, ran
    assert event_bytes(copy) == before
    bed.check(copy)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\0" * 300, b"[]", b'{"last_committed_ledger": "many"}'],
    ids=["empty", "cut off", "zeros", "a list", "no number"],
)
@pytest.mark.parametrize("which", [checkpoint, heads])
def test_damaged_state_error_names_remedy(
    which: Callable[[Copier], Path], content: bytes, half: Copier, bed: Bed
) -> None:
    which(half).write_bytes(content)
    before = event_bytes(half)

    ran = half.run()

    assert ran.status == 1, ran
    assert str(which(half)) in ran.err, ran
    remedy = "run `bronze-copier repair`" if which is checkpoint else "remove it"
    assert remedy in ran.err, f"it does not say what repairs it: {ran.err}"
    assert which(half).read_bytes() == content
    assert event_bytes(half) == before
    # The remedy that the message names works, and keeps the damaged file.
    assert half.run("repair").status == 0
    aside = which(half).with_name(f"{which(half).name}.damaged-1")
    assert aside.read_bytes() == content
    aside.unlink()
    assert half.run().status == 0
    bed.check(half)


def test_checkpoint_json_of_another_chain_stays(half: Copier, bed: Bed) -> None:
    """As one that is missing: the chain goes on behind its events, and keeps its checkpoint under its long name."""
    document = json.loads(checkpoint(half).read_bytes())
    foreign = json.dumps({**document, "era_id": "e9"})
    checkpoint(half).write_text(foreign)
    before = event_bytes(half)
    ran = half.run()
    assert ran.status == 0, ran
    assert {name: data for name, data in event_bytes(half).items() if name in before} == before
    assert checkpoint(half).read_text() == foreign
    own = checkpoint(half).with_name("checkpoint_standalone_e1_v1.json")
    assert json.loads(own.read_bytes())["last_committed_ledger"] == PARTITIONS[-1][1]
    assert half.committed() == PARTITIONS
    assert half.published() == bed.undisturbed.published()


def test_checkpoint_of_another_chain_is_refused(half: Copier) -> None:
    document = json.loads(checkpoint(half).read_bytes())
    own = checkpoint(half).with_name("checkpoint_standalone_e1_v1.json")
    checkpoint(half).unlink()
    own.write_text(json.dumps({**document, "era_id": "e9"}))
    before = event_bytes(half)
    ran = half.run()
    assert ran.status == 1, ran
    assert "standalone/e9/v1" in ran.err
    assert CHAIN in ran.err
    assert event_bytes(half) == before


# -------------------------------------------------------------------------------------------- pruned events


def prune(copy: Copier, parts: list[tuple[int, int]]) -> None:
    for part in parts:
        event(copy, part).unlink()


@pytest.mark.parametrize("spoil", [None, no_checkpoint, no_heads, neither, set_back_to_the_start])
def test_pruned_old_events_stay_committed(spoil: Spoil | None, half: Copier, bed: Bed) -> None:
    """Partitions before the oldest remaining event count as committed and get no new event."""
    prune(half, PARTITIONS[:6])
    if spoil is not None:
        spoil(half)
    before = event_bytes(half)

    ran = half.run()

    assert ran.status == 0, ran
    assert half.committed() == PARTITIONS[6:]
    assert {name: data for name, data in event_bytes(half).items() if name in before} == before
    assert half.published() == bed.undisturbed.published()
    assert half.checkpoint() == LAST
    assert half.heads == {CHAIN: half.events()[-1]["chain"]["event_hash"]}
    assert half.verified()
    assert half.run().status == 0
    assert half.committed() == PARTITIONS[6:]


def test_head_older_than_events_is_refused(half: Copier) -> None:
    """It could belong to another chain; the program does not guess."""
    prune(half, PARTITIONS[:6])
    older_heads(half)
    before = event_bytes(half)
    ran = half.run()
    assert ran.status == 1, ran
    assert "remove the chain's line from the chain heads" in ran.err
    assert event_bytes(half) == before
    heads(half).write_text("{}")
    assert half.run().status == 0
    assert half.committed() == PARTITIONS[6:]


@pytest.mark.parametrize("spoil", [None, no_checkpoint, set_back, set_back_to_the_start])
def test_chain_resumes_from_head_without_events(spoil: Spoil | None, half: Copier, bed: Bed) -> None:
    head = half.heads[CHAIN]
    prune(half, PARTITIONS[:10])
    if spoil is not None:
        spoil(half)

    ran = half.run()

    assert ran.status == 0, ran
    assert half.committed() == PARTITIONS[10:]
    assert half.events()[0]["chain"]["prev_event_hash"] == head
    assert half.published() == bed.undisturbed.published()
    assert half.verified()


# --------------------------------------------------------------------------------------- an edited checkpoint


def test_advanced_checkpoint_continues_and_fills_gap(half: Copier, bed: Bed) -> None:
    set_checkpoint(half, PARTITIONS[14][1])
    gap = f"{PARTITIONS[10][0]}-{PARTITIONS[14][1]}"

    ran = half.run()

    assert ran.status == 6, ran
    assert half.committed() == PARTITIONS[:10] + PARTITIONS[15:]
    assert gap in half.run("verify").out
    first = event_bytes(half)

    set_checkpoint(half, HALF[1])
    ran = half.run()

    assert ran.status == 0, ran
    assert sorted(half.committed()) == PARTITIONS
    assert half.committed() == PARTITIONS[:10] + PARTITIONS[15:] + PARTITIONS[10:15]
    assert {name: data for name, data in event_bytes(half).items() if name in first} == first
    assert half.published() == bed.undisturbed.published()
    assert half.checkpoint() == LAST
    assert half.heads == {CHAIN: half.events()[-1]["chain"]["event_hash"]}
    assert half.verified()
    # Once more: nothing is left to do, and nothing is done twice.
    assert half.run().status == 0
    assert sorted(half.committed()) == PARTITIONS


def test_advanced_checkpoint_gap_is_always_reported(half: Copier) -> None:
    set_checkpoint(half, PARTITIONS[14][1])
    gap = f"{PARTITIONS[10][0]}-{PARTITIONS[14][1]}"
    for report in (half.run(), half.run(), half.run("verify")):
        assert gap in report.out, f"the report does not name the gap {gap}: {report.out}"


def test_removed_copy_starts_afresh(half: Copier, bed: Bed) -> None:
    for part in ("data", "pas", "state"):
        shutil.rmtree(half.root / part)
    assert half.run().status == 0
    bed.check(half)
