"""Sinks: bytes are passed on, counted and hashed, or discarded."""

from __future__ import annotations

import hashlib
import io

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bronze.dataset.sink import HashingSink, NullSink


def test_hashing_sink_accepts_any_buffer() -> None:
    target = io.BytesIO()
    sink = HashingSink(target)
    assert [sink.write(piece) for piece in (b"ab", memoryview(b"cd"), bytearray(), pa.py_buffer(b"e"))] == [2, 2, 0, 1]
    assert (target.getvalue(), sink.size, sink.tell()) == (b"abcde", 5, 5)
    assert sink.checksum == "sha256:36bbe50ed96841d10443bcb670d6554f0a34b761be67ec9c4a8ad2c0c44ca42c"


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_checksum_does_not_depend_on_chunking(chunks: list[bytes]) -> None:
    sink, data = HashingSink(NullSink()), b"".join(chunks)
    assert sum(sink.write(chunk) for chunk in chunks) == sink.size == len(data)
    assert sink.checksum == f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_detached_sink_passes_nothing_on() -> None:
    target = io.BytesIO()
    sink = HashingSink(target)
    sink.write(b"a")
    sink.detach()
    assert sink.write(b"bc") == 2
    assert target.getvalue() == b"a"


def test_closed_sink_leaves_target_open() -> None:
    target = io.BytesIO()
    sink = HashingSink(target)
    sink.close()
    assert (sink.closed, target.closed) == (True, False)
