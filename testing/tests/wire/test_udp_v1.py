"""Text datagrams: what the sketch sends is read exactly; everything else is refused with its reason."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semg.errors import WireError
from semg.wire import udp


@given(
    st.integers(0, 2**62),
    st.integers(0, udp.EPOCH_MS_BEFORE - 1),
    st.lists(st.floats(-udp.MAX_ABS_VALUE, udp.MAX_ABS_VALUE, width=32), min_size=1, max_size=16),
)
def test_decode_gives_back_what_was_encoded(user_id: int, device_ms: int, values: list[float]) -> None:
    (sample,) = udp.decode_v1(udp.encode_v1(user_id, device_ms, values))
    assert (sample.user_id, sample.device_ms, list(sample.values)) == (user_id, device_ms, values)


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"21,5", "field_count"),
        (b"21,5," + b",".join([b"1"] * 17), "field_count"),
        (b"21,5,nan", "not_number"),
        (b"21,5,inf", "not_number"),
        (b"21,5,1_000", "not_number"),
        (b"21,5,", "not_number"),
        (b"21,5,7 7", "not_number"),
        (b"21,5,7,", "not_number"),
        (b"\0 21,5,7", "empty"),
        (b'{"user": 21, "type": "emg", "t": 1000, "data": [500, 510]}', "json"),
        (b"  [21, 1000, 500]", "json"),
        (b"21,5,7\n22,10,7", "lines_differ"),
        (b"21,5,7\n21,10,7,8", "lines_differ"),
        (b"21,5,7\n21,x,7", "not_integer"),
        (b"21,5,0x1f", "not_number"),
        (b"21,5,1e999", "value_range"),
        (b"21,5,99999999999", "value_range"),
        (b"-1,5,1", "not_integer"),
        (b"21,5.0,1", "not_integer"),
        (b"21,-5,1", "not_integer"),
        (b"21,99999999999999,1", "time_range"),
        (b"9999999999999999999,1,1", "time_range"),
        ("21,5,\N{ARABIC-INDIC DIGIT ONE}".encode(), "not_text"),
        (b"\xff\xfe\x00", "not_text"),
        (b"1," * 40_000, "too_long"),
    ],
)
def test_bad_datagram_is_refused_with_its_reason(datagram: bytes, reason: str) -> None:
    with pytest.raises(WireError) as caught:
        udp.decode_v1(datagram)
    assert caught.value.reason == reason


@given(st.binary(max_size=200))
def test_no_byte_string_crashes_the_decoder(datagram: bytes) -> None:
    try:
        samples = udp.decode_v1(datagram)
    except WireError:
        return
    assert {len(sample.values) for sample in samples} <= set(range(1, 17))
    assert all(math.isfinite(value) for sample in samples for value in sample.values)


@pytest.mark.parametrize(
    ("datagram", "values"),
    [
        (b"21,1234,512,77\r\n", (512.0, 77.0)),
        (b"21, 1234, 512,\t77 ", (512.0, 77.0)),
        (b"21,1234,512,7\x007\x00", (512.0, 7.0)),
        (b"21,1234,512,77\x00\xff\xfe9,1", (512.0, 77.0)),
        (b" \n21,1234,512,77\n\n", (512.0, 77.0)),
    ],
)
def test_blanks_line_ends_and_what_stands_behind_a_nul_are_no_part_of_a_sample(
    datagram: bytes, values: tuple[float, ...]
) -> None:
    assert udp.decode_v1(datagram) == (udp.SampleV1(21, 1234, values),)


def test_each_line_is_a_sample() -> None:
    samples = udp.decode_v1(b"21,1000,500,510\n21,1005,501,509\r\n21,1010,502,508\r")
    assert [(one.device_ms, one.values) for one in samples] == [
        (1000, (500.0, 510.0)), (1005, (501.0, 509.0)), (1010, (502.0, 508.0)),
    ]  # fmt: skip
