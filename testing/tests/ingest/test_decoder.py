"""The batch decoder says what ``decode_v1`` says."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from semg.errors import WireError
from semg.ingest.decoder import decode_batch
from semg.wire.udp import decode_v1

_field = st.one_of(
    st.integers(-(1 << 26), 1 << 44).map(str),
    st.floats(-1e9, 1e9).map(repr),
    st.sampled_from(["", "-", "nan", "inf", "1e3", "+5", "-0", "007", " 4", "9999999", "16777216", "16777217", "1_0"]),
)
_text = st.lists(_field, max_size=20).map(",".join)
_datagram = st.one_of(
    st.binary(max_size=60),
    _text.map(str.encode),
    st.tuples(_text, st.sampled_from(["\n", "\r\n", " ", "\0", ",", "\n\n"])).map(lambda pair: "".join(pair).encode()),
    st.lists(st.integers(0, 4095).map(str), min_size=3, max_size=18).map(lambda fields: ",".join(fields).encode()),
    st.just(b"1,2" + b",0" * 16 + b" " * 1500),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_datagram, max_size=12))
def test_batch_equals_one_by_one(datagrams: list[bytes]) -> None:
    expected = []
    for datagram in datagrams:
        try:
            sample = decode_v1(datagram)
            expected.append((sample.user_id, sample.device_ms, sample.values))
        except WireError as exc:
            expected.append(exc.reason)
    assert decode_batch(datagrams) == expected


def test_minus_zero_and_full_range_survive() -> None:
    (found,) = decode_batch([b"21,4294967296,-9999999,0,16777216"])
    assert found == (21, 4294967296, (-9999999.0, 0.0, 16777216.0))
