"""The block message: what goes in comes out, and no byte string does harm."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semg.domain import Block
from semg.errors import WireError
from semg.wire import blocks
from testing.kits.ingest_kit import encode_blocks


@st.composite
def a_block(draw: st.DrawFn) -> Block:
    n, channels = draw(st.integers(1, 40)), draw(st.integers(1, 16))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    start = draw(st.integers(0, 2**45))
    return Block(
        user_id=draw(st.integers(0, 2**62)),
        segment_id=draw(st.integers(0, 2**52)),
        starts_run=draw(st.booleans()),
        late=draw(st.booleans()),
        clock_offset_us=draw(st.integers(-(2**52), 2**52)),
        device_us=start + np.cumsum(rng.integers(0, 20_000, n)),
        received_us=start + np.cumsum(rng.integers(-1000, 20_000, n)),
        samples=rng.normal(0, 100, (n, channels)).astype(np.float32),
    )


@given(st.lists(a_block(), max_size=6))
def test_decode_gives_back_what_was_encoded(sent: list[Block]) -> None:
    message = encode_blocks(sent)
    received = blocks.decode_blocks(message)
    assert len(received) == len(sent)
    for a, b in zip(sent, received, strict=True):
        assert (a.user_id, a.segment_id, a.starts_run, a.late) == (
            b.user_id,
            b.segment_id,
            b.starts_run,
            b.late,
        )
        assert a.clock_offset_us == b.clock_offset_us
        np.testing.assert_array_equal(a.device_us, b.device_us)
        np.testing.assert_array_equal(a.received_us, b.received_us)
        np.testing.assert_array_equal(a.samples, b.samples)


@given(st.lists(a_block(), max_size=3), st.data())
def test_damaged_message_raises_only_wire_error(sent: list[Block], data: st.DataObject) -> None:
    message = bytearray(encode_blocks(sent))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(message)))
    for damaged in (bytes(message), bytes(message[:cut])):
        try:
            blocks.decode_blocks(damaged)
        except WireError as exc:
            assert exc.reason.startswith("blocks_")


@given(st.binary(max_size=300))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(WireError):
        blocks.decode_blocks(noise)
