"""The binary body of /predict/windows and its answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semg.errors import WireError
from semg.wire.windows import (
    WindowAnswer,
    WindowRequest,
    WindowStatus,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
)


@given(st.lists(st.tuples(st.integers(0, 2**60), st.integers(1, 16), st.integers(1, 60)), max_size=8))
def test_windows_of_several_profiles_keep_their_user_and_values(shapes: list[tuple[int, int, int]]) -> None:
    rng = np.random.default_rng(0)
    sent = [WindowRequest(u, 3, rng.normal(size=(c, n)).astype(np.float32)) for u, c, n in shapes]
    received = decode_request(encode_request(sent))
    assert [(r.user_id, r.model_version) for r in received] == [(s.user_id, s.model_version) for s in sent]
    for a, b in zip(sent, received, strict=True):
        assert a.window.tobytes() == b.window.tobytes()


def test_answer_keeps_order_status_and_probabilities() -> None:
    none = np.zeros(0, np.float32)
    sent = [
        WindowAnswer(21, 2, WindowStatus.OK, np.array([0.25, 0.75], np.float32)),
        WindowAnswer(22, 0, WindowStatus.NO_MODEL, none),
    ]
    received = decode_answer(encode_answer(sent))
    assert [(r.user_id, r.model_version, r.status, r.probabilities.tolist()) for r in received] == [
        (21, 2, WindowStatus.OK, [0.25, 0.75]),
        (22, 0, WindowStatus.NO_MODEL, []),
    ]


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
