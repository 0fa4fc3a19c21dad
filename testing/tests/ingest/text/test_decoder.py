"""The batch decoder says what ``decode_v1`` says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semg.errors import WireError
from semg.ingest.streams.datagram_batch import DatagramBatch
from semg.ingest.text.decoder import FEW, decode_batch
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


_lines = st.lists(st.one_of(_text, st.sampled_from(["21,5,7", "21, 6 ,8", "21,5,7"])), max_size=4)
_several = st.tuples(_lines, st.sampled_from(["\n", "\r\n", "\r"])).map(lambda pair: pair[1].join(pair[0]).encode())
_digits = st.text("0123456789-,", max_size=40).map(str.encode)
_numbers = st.lists(
    st.one_of(
        st.integers(0, 4095),
        st.integers(-(1 << 25), 1 << 25),
        st.sampled_from([1 << 24, -(1 << 24), (1 << 24) + 1, 4_102_444_800_000, 10**18, 1 << 63, 1 << 64, 10**19]),
    ).map(str),
    min_size=2,
    max_size=19,
).map(lambda fields: ",".join(fields).encode())
_board = st.tuples(
    st.integers(0, 99), st.integers(0, 1 << 33), st.lists(st.integers(-9, 4095), min_size=1, max_size=16)
)
_good = _board.map(lambda sample: ",".join(map(str, (sample[0], sample[1], *sample[2]))).encode())
_zeros = st.sampled_from([b"1,2," + b"0" * 30, b"1,2,-0", b"0" * 25 + b",1,2", b"0" * 19 + b",1,2", b"1,2,3,", b",1,2"])


@pytest.mark.slow
@settings(max_examples=600)
@given(
    st.one_of(
        st.lists(_datagram, max_size=12),
        st.lists(_good, max_size=12),
        st.lists(st.one_of(_good, _numbers), max_size=6),
        st.lists(st.one_of(_good, _several), max_size=8),
        st.lists(st.one_of(_good, _zeros), max_size=6),
        st.lists(st.one_of(_good, _digits), max_size=4),
    )
)
def test_batch_equals_one_by_one(datagrams: list[bytes]) -> None:
    expected = []
    for datagram in datagrams:
        try:
            samples = decode_v1(datagram)
            expected.append([(one.user_id, one.device_ms, np.float32(one.values).tolist()) for one in samples])
        except WireError as exc:
            expected.append(exc.reason)
    assert decoded(datagrams) == expected
    filled = [b"21,%d,512,498,-77,1023" % number for number in range(FEW)]
    assert decoded([*filled, *datagrams])[FEW:] == expected


Said = list[tuple[int, int, list[float]]]


def decoded(datagrams: list[bytes]) -> list[Said | str]:
    texts = decode_batch(DatagramBatch.of([(datagram, 0, ("10.0.0.1", 1)) for datagram in datagrams]))
    found: list[Said | str] = []
    for index in range(len(datagrams)):
        width = int(texts.widths[index])
        samples = texts.samples_of(np.array([index])).tolist()
        said = [
            (int(texts.user_ids[index]), int(texts.device_ms[sample]), texts.values[at : at + width].tolist())
            for sample, at in zip(samples, texts.starts[samples].tolist(), strict=True)
        ]
        found.append(texts.refused.get(index) or said)
        if said:
            assert int(texts.value_ends[index]) == int(texts.starts[samples[-1]]) + width
    return found


def test_lines_of_a_datagram_are_its_samples_and_count_those_of_one_time() -> None:
    datagrams = [b"21,5,1,2", b"21,10,3,4\n21,10,5,6\n21,15,7,8\n21,10,9,9", b"x", b"22,1,0"]
    for filled in (0, 2 * FEW):
        texts = decode_batch(DatagramBatch.of([(one, 0, ("10.0.0.1", 1)) for one in [b"9,9,9"] * filled + datagrams]))
        assert texts.counts[filled:].tolist() == [1, 4, 0, 1]
        assert texts.ordinals[filled:].tolist() == [0, 0, 1, 0, 2, 0]
        assert texts.samples_of(np.array([filled + 1, filled + 3])).tolist() == [filled + at for at in (1, 2, 3, 4, 5)]


def test_bad_datagrams_among_good_ones_are_found() -> None:
    good = [b"21,%d,512,498,-77,1023" % number for number in range(50)]
    mixed = [*good[:20], b"21,1,0.5", b"x", *good[20:], b"21,1,-0,1", b""]
    found = decoded(mixed)
    assert found[:20] + found[22:52] == [[(21, number, [512, 498, -77, 1023])] for number in range(50)]
    assert found[20:22] + found[52:] == [[(21, 1, [0.5])], "field_count", [(21, 1, [0.0, 1.0])], "empty"]


def test_minus_zero_and_full_range_survive() -> None:
    datagram = b"21,4294967296,-9999999,-0,16777216"
    for batch in ([datagram], [datagram] * 20):
        assert decoded(batch)[-1] == [(21, 4294967296, [-9999999.0, 0.0, 16777216.0])]
        texts = decode_batch(DatagramBatch.of([(datagram, 0, ("10.0.0.1", 1))] * len(batch)))
        assert np.signbit(texts.values[-2])
