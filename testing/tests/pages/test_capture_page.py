"""The Capture page beside its plain case: pausing, redoing, calibration; and a session's video."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import UnknownElement

from semg.capture import CaptureConductor, make_plan
from semg.domain import REST, Session, us_from_utc
from semg.errors import ConflictError
from semg.store import profiles, sessions, videos
from semg.store.pool import Pool
from testing.kits.page_data import act, all_text, make_session, now, store_noise

CAPTURE = "3_Training_Data_Capture.py"
Open = Callable[..., AppTest]


def start_session(pool: Pool, user_id: int, seconds_ago: float, rest_s: float = 1, gesture_s: float = 2) -> Session:
    """Start a capture some time ago: prepare 0-2, rest 2-3, fist 3-5, rest 5-6, open hand 6-8, rest 8-9."""
    with pool.transaction() as tx:
        number = sessions.insert_session(
            tx,
            user_id,
            "Session 7",
            "capture",
            now() - timedelta(seconds=seconds_ago),
            status="recording",
            plan=make_plan(["fist", "open hand"], 1, gesture_s, rest_s, 2, False, 0),
            device=profiles.get_profile(tx, user_id).device,
        )
        return sessions.get_session(tx, number)


def of_plan(pool: Pool, session: Session) -> Session:
    with pool.transaction() as tx:
        return sessions.get_session(tx, session.session_id)


def test_pause_is_kept_by_the_server_and_gone_on_with(open_page: Open, pool: Pool, profile_id: int) -> None:
    session = start_session(pool, profile_id, 3.5, gesture_s=60)  # fist from 3 to 63
    page = open_page(CAPTURE)
    act(page, "pause").click().run()
    assert not page.exception
    assert not page.error
    paused = of_plan(pool, session).plan
    assert paused is not None
    assert paused.paused_s is not None
    assert 3.5 <= paused.paused_s < 63
    another = open_page(CAPTURE)
    keys = [(one.key or "").partition("-for-")[0] for one in another.button]
    assert [one for one in keys if one in ("pause", "resume")] == ["resume"]
    act(another, "resume").click().run()
    resumed = of_plan(pool, session).plan
    assert resumed is not None
    assert resumed.paused_s is None
    fists = [step for step in resumed.steps if step.gesture == "fist"]
    assert [step.dropped for step in fists] == [True, False]


def test_redo_names_the_repetition_and_is_closed_while_it_is_to_come(
    open_page: Open, pool: Pool, profile_id: int
) -> None:
    session = start_session(pool, profile_id, 66, rest_s=60)  # fist from 62 to 64
    CaptureConductor().conduct(pool, now())
    page = open_page(CAPTURE)
    assert act(page, "redo").label == "Redo fist 1"
    act(page, "redo").click().run()
    assert not page.exception
    assert not page.error
    assert act(page, "redo").disabled
    with pool.transaction() as tx:
        redone = [one for one in sessions.list_repetitions(tx, session.session_id) if one.excluded]
    assert [(one.gesture, one.exclude_reason) for one in redone] == [("fist", "performed again")]


def test_nothing_can_be_redone_before_the_first_gesture(open_page: Open, pool: Pool, profile_id: int) -> None:
    start_session(pool, profile_id, 1.0)
    assert act(open_page(CAPTURE), "redo").disabled


def test_press_on_a_capture_that_another_tab_has_ended_is_a_sentence(
    open_page: Open, pool: Pool, profile_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = start_session(pool, profile_id, 3.5)

    def ended_meanwhile(*_: object) -> None:
        raise ConflictError("this capture has ended; nothing was changed")

    monkeypatch.setattr("ui.capture_running.pause_capture", ended_meanwhile)
    page = open_page(CAPTURE)
    act(page, "pause").click().run()
    assert not page.exception
    assert "This capture has ended" in page.error[0].value
    assert of_plan(pool, session).status == "recording"


def test_redone_performances_are_counted_apart_at_the_end(open_page: Open, pool: Pool, profile_id: int) -> None:
    session = start_session(pool, profile_id, 9.5)
    CaptureConductor().conduct(pool, now())
    with pool.transaction() as tx:
        first = next(one for one in sessions.list_repetitions(tx, session.session_id) if one.gesture != REST)
        sessions.update_repetition(tx, first.repetition_id, excluded=True, reason="performed again")
    page = open_page(CAPTURE, captured=session.session_id)
    assert "ended: 1 repetition recorded. 1 more was redone and will not be used for training." in all_text(page)


def test_calibration_is_a_ready_made_plan(open_page: Open, pool: Pool, profile_id: int) -> None:
    store_noise(pool, profile_id, now() - timedelta(seconds=5), 30)
    page = open_page(CAPTURE)
    page.segmented_control(key=f"plan-kind-{profile_id}").set_value("Calibration").run()
    assert "Ten seconds of rest" in all_text(page)
    act(page, "start").click().run()
    assert not page.error
    with pool.transaction() as tx:
        (session,) = sessions.list_recording_sessions(tx)
    assert session.name == "Calibration 1"
    assert session.plan is not None
    assert [step.end_s - step.start_s for step in session.plan.steps if step.gesture == REST][0] == 10.0
    assert sorted(step.gesture or "" for step in session.plan.steps if step.gesture not in (None, REST)) == [
        "fist",
        "open hand",
    ]


def test_plan_without_a_gesture_cannot_be_started(open_page: Open, profile_id: int) -> None:
    page = open_page(CAPTURE)
    page.multiselect(key=f"gestures-{profile_id}").set_value([]).run()
    assert "at least one gesture" in page.error[0].value
    assert act(page, "start").disabled


def test_taken_session_name_is_refused(open_page: Open, pool: Pool, profile_id: int) -> None:
    make_session(pool, profile_id, now() - timedelta(hours=1), "Again")
    page = open_page(CAPTURE)
    page.text_input(key=f"name-Training-1-{profile_id}").input("Again").run()
    store_noise(pool, profile_id, now() - timedelta(seconds=4), 30)
    act(page, "start").click().run()
    assert "called “Again” already" in page.error[0].value


def verdict(page: AppTest) -> str:
    (found,) = [one.body for one in page.html if "data-level" in one.body]
    return str(found)


def test_signal_has_a_verdict_and_a_reason_for_each_channel(open_page: Open, pool: Pool, profile_id: int) -> None:
    store_noise(pool, profile_id, now() - timedelta(seconds=4), 30)
    good = verdict(open_page(CAPTURE))
    assert 'data-level="good"' in good
    assert "<b>Good.</b> All 4 channels are clean." in good

    with pool.transaction() as tx:
        device = profiles.get_profile(tx, profile_id).device
        profiles.update_device(tx, replace(device, adc_max=2100.0))
    bad = verdict(open_page(CAPTURE))
    assert 'data-level="do not use"' in bad
    assert "beyond the range 0 to 2100 that is set. <span>Correct the range on the Profiles page.</span>" in bad


# A session's video, as other pages show it


def video_page(session_id: int) -> None:
    """Show a video, and what comes back."""
    import streamlit as st

    from semg.store import accounts
    from testing.kits.page_data import login_of
    from ui import runtime
    from ui.video import show_video

    app = runtime.app()
    with app.pool.transaction() as tx:
        (account,) = accounts.list_accounts(tx)
    st.caption(f"picked {show_video(app.of(account, login_of(app.pool, account.login)), session_id, 5)}")


@pytest.fixture
def show(app_of_test) -> Callable[[int], AppTest]:
    """Show the video of a session."""

    def shown(session_id: int) -> AppTest:
        page = AppTest.from_function(video_page, args=(session_id,), default_timeout=30).run()
        assert not page.exception
        return page

    return shown


def test_video_is_shown_only_when_it_can_be_played(show, pool: Pool, profile_id: int) -> None:
    session = start_session(pool, profile_id, 5)
    number = session.session_id
    assert players(show(number)) == []
    assert "video" not in all_text(show(number))
    with pool.transaction() as tx:
        videos.begin_video(tx, number)
    assert "is being written" in all_text(show(number))
    with pool.transaction() as tx:
        videos.fail_video(tx, number, "no picture came")
    assert "was not kept: no picture came" in all_text(show(number))
    with pool.transaction() as tx:
        videos.finish_video(tx, number, started_at=session.started_at, ended_at=now(), frames=9, n_bytes=9,
                            width=640, height=480, time_error_us=900)  # fmt: skip
    (player,) = players(show(number))
    assert f"/videos/{number}?token=" in player
    assert f'"started_us":{us_from_utc(session.started_at)}' in player.translate(str.maketrans("", "", " \\"))


def players(page: AppTest) -> list[str]:
    """Return what each video on a page was given."""
    found = [one.proto for one in page.main.children.values() if isinstance(one, UnknownElement)]
    return [str(proto) for proto in found if "videos/" in str(proto)]
