"""Elements of the graph: every coder is deterministic and loses nothing."""

from __future__ import annotations

import dataclasses
from dataclasses import is_dataclass
from typing import Any

import apache_beam as beam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.authenticity.findings import PartitionAuthenticity
from bronze.outcomes import CommittedPartition, Outcome, PartitionFailure, PartitionSummary, PendingPartition
from bronze.partitioning.partition import Partition
from bronze.producer import Producer
from transforms.elements import BatchFiles, PartitionKey, decode_json, encode_json

KINDS = [BatchFiles, PartitionKey, PartitionSummary, PartitionFailure, CommittedPartition, PendingPartition]
LEDGERS = st.integers(0, 2**32 - 1)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(0, 2**63 - 1),
    "str": st.text(),
    "bool": st.booleans(),
    "int | None": st.none() | LEDGERS,
    "Outcome": st.sampled_from(Outcome),
    "Partition": st.tuples(LEDGERS, LEDGERS).map(lambda ends: Partition(*sorted(ends))),
    "PartitionAuthenticity | None": st.none()
    | st.builds(
        PartitionAuthenticity,
        network_id=st.text(),
        signatures=LEDGERS,
        signers=st.lists(st.tuples(st.text(), LEDGERS)).map(tuple),
    ),
    "Producer": st.builds(Producer, st.text(), st.text(), st.text()),
}


def values_of(kind: type) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{field.name: VALUES[str(field.type)] for field in dataclasses.fields(kind)})


def types_in(value: Any) -> list[Any]:
    """The type of the value, and those of all that is in it."""
    inner = [getattr(value, field.name) for field in dataclasses.fields(value)] if is_dataclass(value) else []
    return [type(value), *(types_in(one) for one in inner)]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_coder(kind: type) -> None:
    coder = beam.coders.registry.get_coder(kind)
    assert (type(coder).__name__, coder.to_type_hint()) == (f"{kind.__name__}Coder", kind)
    assert coder.is_deterministic()


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_decoding_restores_what_was_encoded(kind: type, data: st.DataObject) -> None:
    value, coder = data.draw(values_of(kind)), beam.coders.registry.get_coder(kind)

    encoded = coder.encode(value)

    again = coder.decode(encoded)
    assert again == value
    assert types_in(again) == types_in(value)
    # The same value gives the same bytes, made however.
    assert coder.encode(again) == coder.encode(dataclasses.replace(value)) == encoded


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_equal_bytes_mean_equal_values(kind: type, data: st.DataObject) -> None:
    one, other = data.draw(values_of(kind)), data.draw(values_of(kind))
    coder = beam.coders.registry.get_coder(kind)
    assert (coder.encode(one) == coder.encode(other)) == (one == other)


def test_coders_can_be_pickled() -> None:
    from apache_beam.internal import pickler

    for each in KINDS:
        coder = beam.coders.registry.get_coder(each)
        assert type(pickler.loads(pickler.dumps(coder))) is type(coder)


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(b'["net/e/v1",[10,19]]', id="fields missing"),
        pytest.param(b'["net/e/v1",[10,19],110,"",0]', id="a field too many"),
        pytest.param(b'["net/e/v1",[19,10],110,""]', id="not a partition"),
        pytest.param(b'{"chain', id="not JSON"),
    ],
)
def test_other_json_is_not_decoded(encoded: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - which message is Python's matter
        decode_json(PendingPartition, encoded)


def test_coder_and_codec_give_the_same_bytes() -> None:
    key = PartitionKey("net/e/v1", Partition(10, 19))
    assert beam.coders.registry.get_coder(PartitionKey).encode(key) == encode_json(key) == b'["net/e/v1",[10,19]]'
