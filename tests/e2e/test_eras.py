"""Several eras over one lake: each has its own directory, grid, chain and checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Copier, LakeFiles, era

#: Both boundaries, 21|22 and 37|38, lie inside a file of 4 ledgers.
LAKE = {"first": 8, "ledgers": 48, "ledgers_per_file": 4}
ERAS = [
    era("a", ledger_start=8, ledger_end=21, partition_size=6),
    era("b", ledger_start=22, ledger_end=37, partition_size=8),
    era("c", ledger_start=38, ledger_end=55, partition_size=10),
]
PARTITIONS = {
    "a": [(8, 13), (14, 19), (20, 21)],
    "b": [(22, 29), (30, 37)],
    "c": [(38, 47), (48, 55)],
}


@pytest.fixture
def three(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    return copier(sample(**LAKE).root, eras=ERAS)


def eras_of(copy: Copier) -> dict[str, list[tuple[int, int]]]:
    found = {name: copy.partitions(name) for name in PARTITIONS}
    return {name: parts for name, parts in found.items() if parts}


def test_three_eras_cover_every_ledger_once(three: Copier) -> None:
    assert three.run().status == 0

    assert eras_of(three) == PARTITIONS
    assert [ledger for name in PARTITIONS for ledger in three.ledgers(name)] == list(range(8, 56))
    assert {row["era_id"] for row in three.rows("b")} == {"b"}


def test_each_era_has_its_chain(three: Copier) -> None:
    three.run()

    assert {name: three.committed(name) for name in PARTITIONS} == PARTITIONS
    assert [three.events(name)[0]["chain"]["prev_event_hash"] for name in PARTITIONS] == ["", "", ""]
    assert three.heads == {
        f"standalone/{name}/v1": three.events(name)[-1]["chain"]["event_hash"] for name in PARTITIONS
    }
    assert [three.checkpoint(name) for name in PARTITIONS] == [21, 37, 55]
    assert three.verified()


def test_ledgers_link_across_era_boundary(three: Copier) -> None:
    """The first ledger of an era states the hash of the last one of the era before."""
    three.run()
    first, last = three.manifests("b")[22, 29]["ledgers"], three.manifests("a")[20, 21]["ledgers"]
    assert first["previous_hash"] == last["last_hash"]


@pytest.mark.parametrize(
    ("active", "arguments", "copied"),
    [
        pytest.param([], [], "abc", id="all by default"),
        pytest.param(["b"], [], "b", id="active_eras"),
        pytest.param(["c", "a"], [], "ac", id="active_eras in ledger order"),
        pytest.param([], ["--eras", "a,c"], "ac", id="--eras"),
        pytest.param(["a"], ["--eras", "b"], "b", id="--eras wins over active_eras"),
        pytest.param([], ["--eras", " b , c "], "bc", id="--eras with spaces"),
    ],
)
def test_only_chosen_eras_are_copied(active: list[str], arguments: list[str], copied: str, three: Copier) -> None:
    three.settings["active_eras"] = active

    ran = three.run(*arguments)

    assert ran.status == 0
    assert eras_of(three) == {name: PARTITIONS[name] for name in copied}
    assert len(ran.lines("chain")) == len(copied)


def test_open_era_ends_at_last_complete_partition(three: Copier) -> None:
    three.settings["eras"] = [*ERAS[:2], {**ERAS[2], "ledger_end": 0}]

    ran = three.run()

    assert ran.status == 0
    assert eras_of(three) == {**PARTITIONS, "c": [(38, 47)]}
    assert ran.lines("unpublished") == ["standalone/c/v1: 8 ledgers of an incomplete partition"]


#: Ledgers 8-23 close under protocol 20, 24-39 under 22; the header of 23 states 22 already.
TWO_PROTOCOLS = {"first": 8, "ledgers": 32, "protocols": (20, 22)}


@pytest.mark.parametrize(
    ("bounds", "published", "complaint"),
    [
        pytest.param({}, 4, "", id="no bound"),
        pytest.param({"protocol_min": 20, "protocol_max": 22}, 4, "", id="bounds are inclusive"),
        pytest.param(
            {"protocol_max": 21}, 1, "ledger 23 has protocol 22, era 'e1' allows any to 21", id="above the highest"
        ),
        pytest.param(
            {"protocol_min": 21}, 2, "ledger 8 has protocol 20, era 'e1' allows 21 to any", id="below the lowest"
        ),
        pytest.param({"protocol_min": 21, "protocol_max": 21}, 0, "era 'e1' allows 21 to 21", id="no ledger is of it"),
    ],
)
def test_protocol_outside_era_bounds_is_refused(
    bounds: dict[str, Any],
    published: int,
    complaint: str,
    sample: Callable[..., LakeFiles],
    copier: Callable[..., Copier],
) -> None:
    copy = copier(sample(**TWO_PROTOCOLS).root, ledger_start=8, ledger_end=39, partition_size=8, **bounds)

    ran = copy.run()

    assert ran.status == (1 if complaint else 0)
    assert len(copy.partitions()) == published
    assert complaint in ran.out
