"""What flows between stages: every coder is deterministic and loses nothing."""

from __future__ import annotations

import dataclasses
from typing import Any

import apache_beam as beam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.outcomes import CommittedPartition, Outcome, PartitionFailure, PartitionSummary, PendingPartition
from transforms.elements import BatchFiles, PartitionKey

KINDS = [BatchFiles, PartitionKey, PartitionSummary, PartitionFailure, CommittedPartition, PendingPartition]
VALUES = {
    "int": st.integers(0, 2**63 - 1),
    "str": st.text(),
    "bool": st.booleans(),
    "Outcome": st.sampled_from(Outcome),
}


def values_of(kind: type) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{field.name: VALUES[str(field.type)] for field in dataclasses.fields(kind)})


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_coder_of_its_own(kind: type) -> None:
    coder = beam.coders.registry.get_coder(kind)
    assert (type(coder).__name__, coder.to_type_hint()) == (f"{kind.__name__}Coder", kind)
    assert coder.is_deterministic()


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_what_is_encoded_is_decoded_the_same(kind: type, data: st.DataObject) -> None:
    value, coder = data.draw(values_of(kind)), beam.coders.registry.get_coder(kind)

    encoded = coder.encode(value)

    again = coder.decode(encoded)
    assert again == value
    assert [type(part) for part in dataclasses.astuple(again)] == [type(part) for part in dataclasses.astuple(value)]
    # The same value gives the same bytes, made however.
    assert coder.encode(again) == coder.encode(dataclasses.replace(value)) == encoded


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_different_values_have_different_bytes(kind: type, data: st.DataObject) -> None:
    one, other = data.draw(values_of(kind)), data.draw(values_of(kind))
    coder = beam.coders.registry.get_coder(kind)
    assert (coder.encode(one) == coder.encode(other)) == (one == other)


def test_coders_travel_to_workers() -> None:
    from apache_beam.internal import pickler

    for each in KINDS:
        coder = beam.coders.registry.get_coder(each)
        assert type(pickler.loads(pickler.dumps(coder))) is type(coder)
