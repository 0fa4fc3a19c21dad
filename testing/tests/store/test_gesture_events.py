"""Gesture events are numbered without a hole, whoever stores them, and come back in that order."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from semg.domain import us_from_utc
from semg.errors import InvalidValueError, NotFoundError
from semg.event_types import LIMITS_MS, EventKind, EventTimes, GestureEvent
from semg.store import event_settings, gesture_events, gestures, profiles
from semg.store.pool import Pool
from testing.kits.events import gesture_event
from testing.kits.store_data import T0


def event(user_id: int, second: float, kind: EventKind = "press", gesture: str = "fist") -> GestureEvent:
    return gesture_event(user_id, us_from_utc(T0) + round(1e6 * second), kind, gesture, strength=0.25)


def test_events_are_numbered_for_each_profile_in_their_order(pool: Pool, make_profile) -> None:
    ada, bo = make_profile("Ada"), make_profile("Bo")
    given = [event(ada, 1), event(bo, 1), event(ada, 2, "release"), event(999, 3), event(bo, 4, "hold")]
    with pool.transaction() as tx:
        stored = gesture_events.insert_events(tx, given)
        assert [(one.user_id, one.sequence) for one in stored] == [(ada, 1), (bo, 1), (ada, 2), (bo, 2)]
        again = replace(event(ada, 0), strength=None, reason="let go")  # an earlier time: the number is what counts
        stored += gesture_events.insert_events(tx, [again])
        assert gesture_events.insert_events(tx, []) == []
        own = [one for one in stored if one.user_id == ada]
        assert gesture_events.list_events(tx, ada) == own
        assert gesture_events.list_events(tx, ada, after=1, limit=1) == own[1:2]
        assert gesture_events.find_last(tx, ada) == 3
        assert gesture_events.find_last(tx, make_profile("Cleo")) == 0


def test_two_who_store_at_once_make_no_hole_and_no_double(pool: Pool, make_profile) -> None:
    ids = [make_profile(name) for name in ("Ada", "Bo")]

    def store(first: int) -> None:
        for at in range(20):
            with pool.transaction() as tx:
                gesture_events.insert_events(tx, [event(each, first + at) for each in (ids if at % 2 else ids[::-1])])

    threads = [threading.Thread(target=store, args=(100 * number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pool.transaction() as tx:
        for each in ids:
            assert [one.sequence for one in gesture_events.list_events(tx, each)] == list(range(1, 61))


def test_one_that_cannot_be_stored_keeps_no_others_from_it(pool: Pool, make_profile) -> None:
    ada = make_profile("Ada")
    bad = replace(event(ada, 2), gesture="\0")
    with pool.transaction() as tx:
        stored, refused = gesture_events.insert_possible(tx, [event(ada, 1), bad, event(ada, 3)])
    assert ([one.sequence for one in stored], refused) == ([1, 2], [bad])


def test_who_is_pressed_is_found_and_an_erased_profile_takes_its_events_along(pool: Pool, make_profile) -> None:
    ada, bo = make_profile("Ada"), make_profile("Bo")
    with pool.transaction() as tx:
        gesture_events.insert_events(tx, [event(ada, 1), event(ada, 2, "hold"), event(bo, 1), event(bo, 2, "release")])
        assert [(one.user_id, one.kind) for one in gesture_events.list_pressed(tx)] == [(ada, "hold")]
        assert gesture_events.list_pressed(tx, [bo]) == []
        profiles.delete_profile(tx, ada)
        assert gesture_events.list_pressed(tx) == []
        assert gesture_events.list_events(tx, ada) == []


def test_times_of_a_profile_and_of_a_gesture(pool: Pool, make_profile) -> None:
    ada = make_profile("Ada")
    with pool.transaction() as tx:
        fist = gestures.insert_gesture(tx, ada, "fist")
        assert event_settings.find_event_spec(tx, ada).of("fist") == EventTimes()
        event_settings.set_event_times(tx, ada, EventTimes(dwell_ms=400))
        event_settings.set_own_times(tx, ada, fist, {"hold_ms": 0})
        spec = event_settings.find_event_spec(tx, ada)
        assert spec.times == EventTimes(dwell_ms=400)
        assert spec.of("fist") == EventTimes(dwell_ms=400, hold_ms=0)
        assert spec.of("rest") == spec.times
        assert event_settings.list_own_times(tx, ada) == {fist: {"hold_ms": 0}}
        gestures.update_gesture(tx, fist, name="grip")
        assert event_settings.find_event_spec(tx, ada).of("grip").hold_ms == 0
        event_settings.set_own_times(tx, ada, fist, {})
        assert event_settings.find_event_spec(tx, ada).own == {}
        assert event_settings.list_event_specs(tx, [999]) == {}


@pytest.mark.parametrize("changes", [{"dwell_ms": -1}, {"hold_ms": 10**9}, {"dwell": 1}, {"min_ms": 1.5}])
def test_times_out_of_range_are_refused_by_their_name(pool: Pool, make_profile, changes: dict) -> None:
    ada = make_profile("Ada")
    with pool.transaction() as tx:
        fist = gestures.insert_gesture(tx, ada, "fist")
        with pytest.raises(InvalidValueError, match=next(iter(changes))):
            event_settings.set_own_times(tx, ada, fist, changes)
        with pytest.raises(NotFoundError):
            event_settings.set_own_times(tx, make_profile("Bo"), fist, {})
        with pytest.raises(InvalidValueError, match="cooldown_ms"):
            event_settings.set_event_times(tx, ada, EventTimes(cooldown_ms=LIMITS_MS["cooldown_ms"] + 1))
        with pytest.raises(NotFoundError):
            event_settings.find_event_spec(tx, 999)
