"""The binary body of /predict/windows and its answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semg.errors import WireError
from semg.wire.windows import (
    AnswerTable,
    WindowStatus,
    decode_alike,
    decode_answer_table,
    encode_alike,
    encode_answer_table,
)
from testing.kits.window_bodies import WindowRequest, decode_answer, decode_request, encode_request


@given(st.lists(st.tuples(st.integers(0, 2**60), st.integers(1, 16), st.integers(1, 60)), max_size=8))
def test_windows_of_several_profiles_keep_their_user_and_values(shapes: list[tuple[int, int, int]]) -> None:
    rng = np.random.default_rng(0)
    sent = [WindowRequest(u, 3, rng.normal(size=(c, n)).astype(np.float32)) for u, c, n in shapes]
    received = decode_request(encode_request(sent))
    assert [(r.user_id, r.model_version) for r in received] == [(s.user_id, s.model_version) for s in sent]
    for a, b in zip(sent, received, strict=True):
        assert a.window.tobytes() == b.window.tobytes()


def test_columns_and_single_windows_are_the_same_bytes() -> None:
    rng = np.random.default_rng(1)
    wide, narrow = (rng.normal(size=shape).astype(np.float32) for shape in ((3, 8, 50), (2, 4, 25)))
    parts = [
        (np.array([5, 6, 7]), np.array([1, 2, 3]), np.array([0, 1, 65_535]), wide),
        (np.array([8, 9]), np.array([4, 5]), np.array([3, 3]), narrow),
    ]
    body = encode_alike(parts)
    assert body == encode_request(
        [
            WindowRequest(int(u), int(v), w, int(stream))
            for ids, versions, streams, ws in parts
            for u, v, stream, w in zip(ids, versions, streams, ws, strict=True)
        ]
    )
    found = {part.windows.shape: part for part in decode_alike(body)}
    assert found[(2, 4, 25)].indices.tolist() == [3, 4]
    assert found[(2, 4, 25)].windows.tobytes() == narrow.tobytes()
    assert found[(3, 8, 50)].user_ids.tolist() == [5, 6, 7]
    assert found[(3, 8, 50)].model_versions.tolist() == [1, 2, 3]
    assert found[(3, 8, 50)].streams.tolist() == [0, 1, 65_535]
    assert [one.stream for one in decode_request(body)] == [0, 1, 65_535, 3, 3]


def test_answer_keeps_order_status_and_probabilities() -> None:
    probabilities = np.array([[0.25, 0.75, 0], [0, 0, 0], [0.5, 0.25, 0.25]], np.float32)
    sent = AnswerTable(
        np.array([21, 22, 2**60]), np.array([2, 0, 7]), np.array([0, 1, 0]), np.array([2, 0, 3]), probabilities
    )
    body = encode_answer_table(sent)
    assert [(r.user_id, r.model_version, r.status, r.probabilities.tolist()) for r in decode_answer(body)] == [
        (21, 2, WindowStatus.OK, [0.25, 0.75]),
        (22, 0, WindowStatus.NO_MODEL, []),
        (2**60, 7, WindowStatus.OK, [0.5, 0.25, 0.25]),
    ]
    assert decode_answer_table(body).probabilities.tolist() == probabilities.tolist()


@given(st.binary(max_size=200))
def test_noise_raises_only_wire_error(noise: bytes) -> None:
    for decode, magic in ((decode_request, b"SEW1"), (decode_answer, b"SEP1")):
        for body in (noise, magic + noise):
            try:
                decode(body)
            except WireError as exc:
                assert exc.reason


def test_window_with_a_nan_is_refused() -> None:
    window = np.zeros((2, 4), np.float32)
    window[1, 2] = np.nan
    with pytest.raises(WireError) as caught:
        decode_request(encode_request([WindowRequest(21, 1, window)]))
    assert caught.value.reason == "not_finite"
