"""The checkpoint: its two names, what an operator may write into it, and damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bronze.commit.chain_end import ChainEnd
from bronze.commit.checkpoint import Checkpoint, CheckpointFile
from bronze.errors import StateError
from bronze.partitioning.partition import Partition
from bronze.storage.local import LocalStore
from tests.bronze.conftest import ERA, era, hex_hash

CHECKSUM = f"sha256:{hex_hash(1)}"
OWN = "checkpoint_standalone_e1_v1.json"


def document(**changes: Any) -> dict[str, Any]:
    stated: dict[str, Any] = {
        "copier_id": "c",
        "network": "standalone",
        "era_id": "e1",
        "version_label": "v1",
        "last_committed_ledger": 21,
        "last_committed_partition": {"start": 12, "end": 21, "checksum": CHECKSUM},
        "updated_at": "2025-01-15T10:30:00Z",
    }
    return {name: value for name, value in (stated | changes).items() if value is not ...}


def file(root: Path, *, single: bool) -> CheckpointFile:
    return CheckpointFile(LocalStore(root), ERA, "test-copier", single=single)


def put(root: Path, name: str, content: object) -> None:
    (root / name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


@pytest.mark.parametrize(("single", "name"), [(True, "checkpoint.json"), (False, OWN)])
def test_file_name_depends_on_number_of_eras(tmp_path: Path, single: bool, name: str) -> None:
    assert file(tmp_path, single=single).load() is None
    file(tmp_path, single=single).save(Partition(12, 21), CHECKSUM)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    stored = json.loads((tmp_path / name).read_text())
    assert stored | {"updated_at": ""} == document(copier_id="test-copier", updated_at="")
    assert list(stored) == list(document())  # keys in the order of the format
    for either in (True, False):  # and read under either
        assert file(tmp_path, single=either).load() == Checkpoint(21, Partition(12, 21))


def test_older_copiers_checkpoint_is_read(shared: Path, tmp_path: Path) -> None:
    data = (shared / "samples" / "checkpoint_pubnet_pre_p23_v1.json").read_bytes()
    put(tmp_path, "checkpoint.json", data)
    one = era(network="pubnet", era_id="pre_p23")
    found = CheckpointFile(LocalStore(tmp_path), one, "x", single=True).load()
    assert found == Checkpoint(53312049, Partition(53312040, 53312049))


def test_own_checkpoint_name_comes_first(tmp_path: Path) -> None:
    put(tmp_path, "checkpoint.json", document(last_committed_ledger=11))
    put(tmp_path, OWN, document(last_committed_ledger=31))
    for single, ledger in ((True, 11), (False, 31)):
        found = file(tmp_path, single=single).load()
        assert found is not None
        assert found.last_ledger == ledger


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("change", [{"network": "pubnet"}, {"era_id": "e2"}, {"version_label": "v2"}])
def test_another_chains_checkpoint_json_stays(tmp_path: Path, change: dict[str, str], single: bool) -> None:
    """The data of an older version label keeps it; the new one is published beside it."""
    put(tmp_path, "checkpoint.json", document(**change))
    before = (tmp_path / "checkpoint.json").read_bytes()
    one = file(tmp_path, single=single)
    assert one.load() is None
    one.save(Partition(12, 21), CHECKSUM)
    one.save(Partition(22, 31), CHECKSUM, lambda now: now == Checkpoint(21, Partition(12, 21)))
    assert one.load() == Checkpoint(31, Partition(22, 31))
    assert json.loads((tmp_path / OWN).read_text())["last_committed_ledger"] == 31
    assert (tmp_path / "checkpoint.json").read_bytes() == before


def test_chain_end_beside_another_chain_is_replaced(tmp_path: Path) -> None:
    put(tmp_path, "checkpoint.json", document(version_label="v2"))
    one = file(tmp_path, single=True)
    one.save(Partition(12, 21), CHECKSUM, chain=ChainEnd(CHECKSUM, 1, ""))
    one.save_chain(ChainEnd("sha256:" + "2" * 64, 2, ""), {CHECKSUM})
    found = one.load()
    assert found is not None
    assert found.chain is not None
    assert (found.chain.events, found.name) == (2, OWN)


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("change", [{"network": "pubnet"}, {"era_id": "e2"}, {"version_label": "v2"}])
def test_own_name_with_another_chain_is_refused(tmp_path: Path, change: dict[str, str], single: bool) -> None:
    put(tmp_path, OWN, document(**change))
    with pytest.raises(StateError, match=f"{OWN} is of the chain .*, expected standalone/e1/v1"):
        file(tmp_path, single=single).load()
    if not single:
        with pytest.raises(StateError, match=f"{OWN} is of the chain .*, expected standalone/e1/v1"):
            file(tmp_path, single=single).save(Partition(12, 21), CHECKSUM)


@pytest.mark.parametrize(
    ("edited", "expected"),
    [
        (document(last_committed_ledger=11), Checkpoint(11, Partition(12, 21))),  # back
        (document(last_committed_ledger=1000), Checkpoint(1000, Partition(12, 21))),  # forward
        (document(last_committed_ledger=15), Checkpoint(15, Partition(12, 21))),  # into a partition
        (document(last_committed_ledger=0), Checkpoint(0, Partition(12, 21))),
        (document(last_committed_partition=...), Checkpoint(21, None)),  # left out
        (document(last_committed_partition=None), Checkpoint(21, None)),
        (document(last_committed_partition={}), Checkpoint(21, None)),
        (document(last_committed_partition={"start": 12, "end": 21}), Checkpoint(21, Partition(12, 21))),
        (
            document(copier_id=..., updated_at=..., note="restarted by hand"),
            Checkpoint(21, Partition(12, 21)),
        ),
    ],
)
def test_edited_checkpoint_file_is_obeyed(tmp_path: Path, edited: object, expected: Checkpoint) -> None:
    put(tmp_path, "checkpoint.json", edited)
    assert file(tmp_path, single=True).load() == expected


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 60_000,
        b" " * 65_537,
        *(document(**{name: ...}) for name in ("network", "era_id", "version_label", "last_committed_ledger")),
        *(document(last_committed_ledger=value) for value in (-1, "21", 2.5, True, None, 1 << 32)),
        *(document(last_committed_partition=value) for value in (7, "12-21", [1])),
        document(last_committed_partition={"start": 12}),
        document(last_committed_partition={"start": 21, "end": 12}),
        document(last_committed_partition={"start": "12", "end": 21}),
    ],
    ids=lambda damaged: str(damaged)[:40],
)
@pytest.mark.parametrize("single", [True, False])
def test_damaged_checkpoint_error_names_file(tmp_path: Path, damaged: object, single: bool) -> None:
    put(tmp_path, "checkpoint.json", damaged)
    with pytest.raises(StateError, match=f"checkpoint {tmp_path}/checkpoint.json (cannot be used|lacks the key)"):
        file(tmp_path, single=single).load()


def test_refused_checkpoint_stays_as_it_is(tmp_path: Path) -> None:
    one = file(tmp_path, single=True)
    one.save(Partition(12, 21), CHECKSUM)
    one.save(Partition(2, 11), CHECKSUM, lambda now: now is None)
    found = one.load()
    assert found is not None
    assert found.partition == Partition(12, 21)


def test_checkpoint_that_says_the_same_stays(tmp_path: Path) -> None:
    one, end = file(tmp_path, single=True), ChainEnd(CHECKSUM, 1, "")
    one.save(Partition(12, 21), CHECKSUM, chain=end)
    before = one.content()
    one.save(Partition(12, 21), CHECKSUM, chain=end)
    assert one.content() == before
    one.save(Partition(12, 21), CHECKSUM, chain=ChainEnd(CHECKSUM, 2, ""))
    assert one.content() != before


def test_end_of_chain_is_replaced_where_expected(tmp_path: Path) -> None:
    one = file(tmp_path, single=True)
    ends = [ChainEnd(f"sha256:{digit * 64}", 1, "") for digit in "123"]
    one.save_chain(ends[0], expected=[])
    assert one.load() is None  # one that is gone is not made

    one.save(Partition(12, 21), CHECKSUM, chain=ends[0])
    one.save_chain(ends[1], expected=[ends[2].head])
    assert stated_end(one) == ends[0]
    one.save_chain(ends[1], expected=[ends[2].head, ends[0].head])
    assert stated_end(one) == ends[1]


def stated_end(of: CheckpointFile) -> ChainEnd | None:
    found = of.load()
    assert found is not None
    return found.chain
