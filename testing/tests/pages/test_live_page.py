"""Live: what its view is given, who may teach, and what is stored of what was taught."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from semg.store import accounts, audit, blocks, event_settings, gestures, profiles, sessions
from semg.store.pool import Pool
from testing.kits.page_data import (
    LIVE,
    LOGIN,
    TRAIN,
    AsRole,
    Open,
    all_text,
    insert_models,
    login_of,
    make_session,
    now,
    store_noise,
)
from ui import live_view
from ui.runtime import App
from ui.teaching import store_taught

pytestmark = pytest.mark.servers


@pytest.fixture
def views(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What the components of Live were given last: AppTest draws none."""
    given: dict[str, dict[str, Any]] = {}
    monkeypatch.setattr(live_view, "_component", lambda **said: given.update(full=said))
    monkeypatch.setattr(live_view, "_plain", lambda **said: given.update(plain=said))
    return given


def test_plain_view_stands_alone_in_the_language_of_the_person(
    open_page: Open, pool: Pool, profile_id: int, as_role: AsRole, views: dict[str, dict[str, Any]]
) -> None:
    insert_models(pool, profile_id, 1)
    with pool.transaction() as tx:
        profiles.update_profile(tx, profile_id, language="es")
        fist = next(one for one in gestures.list_gestures(tx, profile_id) if one.name == "fist")
        gestures.update_gesture(tx, fist.gesture_id, description="Close the hand firmly.", phrase="Sí")
    page = open_page(LIVE)
    assert "Decision settings" in all_text(page)
    assert views["full"]["data"]["may_teach"] is True
    assert views["full"]["data"]["words"]["undo"] == "Undo", "the researcher's page is in English"
    as_role("viewer", profile_id)
    page.run()
    assert views["full"]["data"]["may_teach"] is False
    assert "Decision settings" not in all_text(page)
    page.query_params["view"] = "plain"
    page.run()
    assert not page.exception
    data = views["plain"]["data"]
    assert (data["words"]["undo"], data["language"], data["person"]) == ("Deshacer", "es", "Ada")
    assert (data["phrases"], data["has_model"]) == ({"fist": "Sí"}, True)
    assert data["names"] == {"rest": "rest", "fist": "puño", "open hand": "open hand"}, "what was described is as typed"
    assert "fist" in data["gestures"], "decisions carry the stored names"
    assert data["url"].endswith(f"/ws/live/{profile_id}?samples=false")
    assert "stream" not in all_text(page).lower(), "nothing that the researcher reads"


def test_taught_seconds_are_stored_and_not_trained_on_by_default(
    open_page: Open, app_of_test: App, pool: Pool, profile_id: int, as_role: AsRole
) -> None:
    make_session(pool, profile_id, now() - timedelta(hours=1))
    store_noise(pool, profile_id, now() - timedelta(seconds=10), 10)
    with pool.transaction() as tx:
        last = blocks.last_sample_at(tx, profile_id)
        account = accounts.find_account(tx, LOGIN)
    assert last is not None
    assert account is not None
    app = app_of_test.of(account, login_of(pool))
    sent = {"gesture": "fist", "length_s": 3, "end_ms": last.timestamp() * 1000}
    for wrong in ({"gesture": "nobody's"}, {"length_s": "3"}, {"length_s": 9}, {"end_ms": None}, {"end_ms": 5}):
        store_taught(app, profile_id, sent | wrong)
    with pool.transaction() as tx:
        assert len(sessions.list_sessions(tx, profile_id)) == 1, "nothing of what was wrong was stored"
    store_taught(app, profile_id, sent)
    with pool.transaction() as tx:
        newest, _ = sessions.list_sessions(tx, profile_id)
        (repetition,) = sessions.list_repetitions(tx, newest.session_id)
        (entry,) = [one for one in audit.list_entries(tx) if one.action == "session.taught"]
    assert (newest.origin, newest.ended_at) == ("taught", last + timedelta(milliseconds=5))
    assert (repetition.gesture, repetition.started_at) == ("fist", last + timedelta(milliseconds=5, seconds=-3))
    assert (entry.who, entry.user_id, entry.session_id) == (LOGIN, profile_id, newest.session_id)
    page = open_page(TRAIN)
    chosen = {
        box.label.split(" ·")[0].split(" on ")[0]: box.value for box in page.checkbox if "session-" in str(box.key)
    }
    assert chosen == {"Taught": False, "Session 1": True}
    assert "not chosen by default" in all_text(page)
    as_role("viewer", profile_id)
    store_taught(app, profile_id, sent)
    with pool.transaction() as tx:
        assert len(sessions.list_sessions(tx, profile_id)) == 2, "who may only look stores nothing"


def test_event_times_are_saved_for_all_gestures_and_for_one(
    open_page: Open, pool: Pool, profile_id: int, as_role: AsRole, views: dict[str, dict[str, Any]]
) -> None:
    insert_models(pool, profile_id, 1)
    with pool.transaction() as tx:
        fist = next(one for one in gestures.list_gestures(tx, profile_id) if one.name == "fist")

    def save(page: AppTest, chosen: int, **times: int) -> None:
        for name, value in times.items():
            page.number_input(key=f"{name}-{profile_id}-{chosen}").set_value(value)
        next(one for one in page.button if one.label.startswith("Save for")).click().run()
        assert not page.exception

    page = open_page(LIVE)
    save(page, 0, dwell_ms=400)
    page.selectbox(key=f"event-gesture-{profile_id}").select(fist.gesture_id).run()
    save(page, fist.gesture_id, hold_ms=0, dwell_ms=400)
    with pool.transaction() as tx:
        spec = event_settings.find_event_spec(tx, profile_id)
        assert event_settings.list_own_times(tx, profile_id) == {fist.gesture_id: {"hold_ms": 0}}
    assert (spec.times.dwell_ms, spec.of("fist").hold_ms) == (400, 0)
    save(page, fist.gesture_id, hold_ms=1000)
    with pool.transaction() as tx:
        assert event_settings.list_own_times(tx, profile_id) == {}
    as_role("viewer", profile_id)
    page.run()
    assert not [one for one in page.number_input if str(one.key).startswith("dwell_ms")]
