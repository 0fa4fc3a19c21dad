"""Gesture events over the REST API: behind a number, and the times that make them."""

from __future__ import annotations

import pytest

from semg.domain import us_from_utc
from semg.store import gesture_events
from testing.kits.events import gesture_event
from testing.kits.rest_kit import START, Rest

pytestmark = pytest.mark.servers


@pytest.fixture
def user_id(rest: Rest) -> int:
    """A profile with five events."""
    made = rest.profile()
    events = [gesture_event(made, us_from_utc(START) + 1000 * index) for index in range(5)]
    with rest.pool.transaction() as tx:
        gesture_events.insert_events(tx, events)
    return made


def test_events_behind_a_number(rest: Rest, admin: str, user_id: int) -> None:
    path = f"/profiles/{user_id}/events"
    everything = rest.get(admin, path).json()
    assert ([one["sequence"] for one in everything["items"]], everything["last"]) == ([1, 2, 3, 4, 5], 5)
    assert everything["items"][0]["type"] == "event"
    some = rest.get(admin, path, params={"after": 2, "limit": 2}).json()
    assert [one["sequence"] for one in some["items"]] == [3, 4]
    assert rest.get(admin, path, params={"after": 5}).json() == {"items": [], "last": 5}
    assert rest.get(admin, path, params={"after": -1}).json()["field"] == "after"
    assert rest.get(rest.token("viewer"), path).status_code == 404
    assert any(entry.action == "live.seen" for entry in rest.entries(user_id))


def test_times_are_set_for_all_and_for_one_gesture(rest: Rest, admin: str, user_id: int) -> None:
    path = f"/profiles/{user_id}/event-times"
    shown = rest.get(admin, path).json()
    assert (shown["times"]["dwell_ms"], shown["gestures"]) == (250, {})
    bank = rest.get(admin, f"/profiles/{user_id}/gestures").json()["items"]
    fist = next(one["gesture_id"] for one in bank if one["name"] == "fist")
    wanted = {"times": {**shown["times"], "hold_ms": 0}, "gestures": {str(fist): {"dwell_ms": 400}}}
    assert rest.change(admin, "PUT", path, wanted).status_code == 200
    found = rest.get(admin, path).json()
    assert found["times"] == wanted["times"]
    assert found["gestures"][str(fist)]["dwell_ms"] == 400
    assert found["gestures"][str(fist)]["hold_ms"] is None
    assert rest.change(admin, "PUT", path, {"times": wanted["times"]}).json()["gestures"] == {}
    assert rest.change(admin, "PUT", path, {**wanted, "gestures": {"999999": {"dwell_ms": 1}}}).status_code == 404
    refused = rest.change(admin, "PUT", path, {"times": {**shown["times"], "dwell_ms": 10**6}})
    assert refused.json()["field"] == "times.dwell_ms"
    viewer = rest.token("viewer", user_id)
    assert rest.get(viewer, path).status_code == 200
    assert rest.change(viewer, "PUT", path, wanted).status_code == 403
