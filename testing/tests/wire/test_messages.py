"""JSON messages on the bus and the WebSocket."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semg.domain import Decision, us_from_utc
from semg.errors import WireError
from semg.wire.messages import DecisionMessage, ModelActivated, SessionEdge

TIMES = st.integers(0, 4_000_000_000_000_000)
PROBABILITY = st.integers(1, 1000).map(lambda thousandths: thousandths / 1000)


@given(
    st.builds(
        Decision,
        user_id=st.integers(0, 2**53),
        label=st.none() | st.text(min_size=1, max_size=20),
        confidence=st.floats(0, 1),
        model_version=st.integers(1, 10**6),
        window_end_device_us=TIMES,
        window_end_us=TIMES,
        received_us=TIMES,
        decided_us=TIMES,
        probabilities=st.none() | st.dictionaries(st.text(min_size=1, max_size=20), PROBABILITY, max_size=5),
        needed=PROBABILITY,
        once=st.booleans(),
    )
)
def test_fast_encoding_of_a_decision_reads_back_as_it_was(decision: Decision) -> None:
    encoded = DecisionMessage.encode(decision)
    message = DecisionMessage.from_bytes(encoded)
    slow = json.loads(message.to_bytes())
    fast = json.loads(encoded)
    for name in ("window_end_at", "received_at", "decided_at"):
        assert datetime.fromisoformat(fast.pop(name)) == datetime.fromisoformat(slow.pop(name))
    if decision.probabilities is None:
        assert (slow.pop("probabilities"), slow.pop("needed")) == (None, None)
        decision = replace(decision, needed=None)
    if not decision.once:
        assert slow.pop("once") is False, "left out of what is sent"
    assert fast == slow
    read = Decision(
        message.userid,
        message.label,
        message.confidence,
        message.model_version,
        round(message.window_end_device_ms * 1000),
        *map(us_from_utc, (message.window_end_at, message.received_at, message.decided_at)),
        message.probabilities,
        message.needed,
        message.once,
    )
    assert read == decision


def test_watched_decision_names_every_label_that_rounds_to_something() -> None:
    decision = Decision(21, None, 0.48, 3, 10_000, 20, 30, 40)
    plain = (
        b'{"type":"decision","userid":21,"label":null,"confidence":0.48,"model_version":3,"window_end_device_ms":10.0,'
        b'"window_end_at":"1970-01-01T00:00:00.000020Z","received_at":"1970-01-01T00:00:00.000030Z",'
        b'"decided_at":"1970-01-01T00:00:00.000040Z"'
    )
    assert DecisionMessage.encode(decision) == plain + b"}"
    watched = replace(decision, probabilities={"rest": 0.5196, "fist": 0.48, "point": 0.0004}, needed=0.46)
    assert DecisionMessage.encode(watched) == (plain + b',"probabilities":{"rest":0.52,"fist":0.48},"needed":0.46}')


def test_message_of_another_form_is_refused_with_the_field() -> None:
    with pytest.raises(WireError, match="model_version"):
        ModelActivated.from_bytes(b'{"userid": 21}')
    with pytest.raises(WireError):
        ModelActivated.from_bytes(b'{"userid": 21, "model_version": 1, "other": 2}')
    with pytest.raises(WireError):
        SessionEdge.from_bytes(b"\xff")


@pytest.mark.parametrize(
    ("field", "value"),
    [("received_at", '"2026-09-21"'), ("window_end_at", '"2026-09-21T10:00:00"'), ("window_end_device_ms", "1e300"),
     ("window_end_device_ms", "Infinity"), ("confidence", "NaN")],
)  # fmt: skip
def test_decision_without_a_time_zone_or_beyond_all_numbers_is_refused(field: str, value: str) -> None:
    good = DecisionMessage.encode(Decision(21, "fist", 0.9, 3, 10, 20, 30, 40))
    fields = {name: json.dumps(found) for name, found in json.loads(good).items()} | {field: value}
    bad = "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"
    with pytest.raises(WireError, match=field):
        DecisionMessage.from_bytes(bad.encode())


def test_session_edge_keeps_microseconds() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert SessionEdge.from_bytes(SessionEdge(userid=1, session_id=2, at=at).to_bytes()).at == at
