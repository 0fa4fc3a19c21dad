"""After a capture: its summary stays, its repetitions are judged, left out and performed again; numbers per person."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from semg.capture import CaptureConductor
from semg.capture import make_plan as plan_of
from semg.capture.conducting import REDONE
from semg.domain import REST, Block
from semg.privacy.consent import TEST_PERSON
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.signals.training.options import TrainingOptions
from semg.signals.training.train import fit
from semg.store import blocks, gestures, models, profiles, sessions
from semg.store.capture_settings import CaptureSettings, get_settings, save_settings
from semg.store.pool import Pool, execute
from testing.kits.live_helpers import activate
from testing.kits.page_data import CAPTURE, CHANNELS, LIVE, RATE_HZ, AsRole, Open, act, all_text, now, store_noise
from testing.kits.page_data import field as field_of
from testing.kits.recording_kit import labelled_session
from ui.contraction_check import Running

pytestmark = pytest.mark.servers
NAMES = (REST, "fist", "open_hand")


@pytest.fixture
def captured(pool: Pool, profile_id: int) -> int:
    """A capture that has just ended: four fists and four open hands, of which the second fist was not performed."""
    arm = SyntheticArm(seed=1, channels=len(CHANNELS), gestures=NAMES, rate_hz=RATE_HZ)
    made = arm.session(1, make_plan(NAMES, repetitions=4, seconds=2.0))
    samples = made.samples.copy()
    wrong = (made.gestures == "fist") & (made.repetitions == np.unique(made.repetitions[made.gestures == "fist"])[1])
    samples[wrong] = np.resize(samples[made.gestures == REST], (wrong.sum(), samples.shape[1]))
    start = now() - timedelta(seconds=len(samples) / RATE_HZ + 20)
    store(pool, profile_id, start, samples)
    ended_at = start + timedelta(seconds=len(samples) / RATE_HZ)
    plan = plan_of(NAMES, 4, 2.0, 2.0, 0.0, False, 0)
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, profile_id).device
        number = sessions.insert_session(
            tx, profile_id, "Session 1", "capture", start, ended_at, status="completed", plan=plan, device=device
        )
        ids = gestures.ensure_gestures(tx, profile_id, list(NAMES))
        edges = np.flatnonzero(np.diff(made.repetitions) | (made.gestures[1:] != made.gestures[:-1])) + 1
        counts = dict.fromkeys(NAMES, 0)
        for first, last in zip([0, *edges], [*edges, len(samples)], strict=True):
            name = str(made.gestures[first])
            counts[name] += 1
            begin, end = (start + timedelta(seconds=float(at) / RATE_HZ) for at in (first, last))
            sessions.insert_repetition(tx, number, ids[name], counts[name], begin, end)
    return number


def store(pool: Pool, user_id: int, start: datetime, samples: np.ndarray) -> None:
    start_us = round(start.timestamp() * 1e6)
    device_us = (np.arange(len(samples)) * round(1e6 / RATE_HZ)).astype(np.int64)
    parts = [slice(first, first + 100) for first in range(0, len(samples), 100)]
    made = [
        Block(user_id, start_us, part.start == 0, False, start_us, device_us[part], device_us[part] + start_us,
              samples[part])
        for part in parts
    ]  # fmt: skip
    with pool.transaction() as tx:
        blocks.copy_blocks(tx, made, None)


def cards(page: AppTest) -> list[str]:
    return [str(one.body) for one in page.html if "data-odd" in one.body]


def test_odd_repetition_is_shown_left_out_taken_in_again_and_redone(
    open_page: Open, pool: Pool, profile_id: int, captured: int
) -> None:
    page = open_page(CAPTURE, captured=captured)
    assert not page.exception
    assert "**1 repetition of 8**: does this look right?" in all_text(page)
    (odd,) = cards(page)
    assert 'data-odd="nothing"' in odd
    assert "fist 2" in odd
    assert "as quiet as rest" in odd
    assert "data:image/svg+xml;base64," in odd

    act(page, "leave").click().run()
    with pool.transaction() as tx:
        (out,) = [one for one in sessions.list_repetitions(tx, captured) if one.excluded]
    assert (out.gesture, out.number) == ("fist", 2)
    assert out.exclude_reason == "looked odd: as quiet as rest: it may not have been performed"
    assert "7 repetitions recorded. 1 more was left out." in all_text(page)
    page.toggle(key=f"all-cards-{captured}").set_value(True).run()
    assert len(cards(page)) == 8
    act(page, "use").click().run()
    with pool.transaction() as tx:
        assert not any(one.excluded for one in sessions.list_repetitions(tx, captured))

    page.checkbox(key=f"again-{out.repetition_id}").set_value(True).run()
    act(page, "redo-chosen").click().run()
    assert not page.exception
    assert not page.error
    with pool.transaction() as tx:
        session = sessions.get_session(tx, captured)
        (redone,) = [one for one in sessions.list_repetitions(tx, captured) if one.excluded]
    assert (session.status, session.ended_at) == ("recording", None)
    assert (redone.repetition_id, redone.exclude_reason) == (out.repetition_id, REDONE)
    assert session.plan is not None
    to_come = [step for step in session.plan.steps if not step.dropped and step.end_s > session.plan.steps[-5].end_s]
    assert [step.gesture for step in session.plan.steps[-4:]] == [None, REST, "fist", REST]
    assert [one.number for one in to_come if one.gesture == "fist"] == [2]
    end = session.started_at + timedelta(seconds=session.plan.duration_s + 0.1)
    CaptureConductor().conduct(pool, end)
    with pool.transaction() as tx:
        assert sessions.get_session(tx, captured).status == "completed"
        fists = [one for one in sessions.list_repetitions(tx, captured) if one.gesture == "fist"]
        assert len(sessions.list_sessions(tx, profile_id)) == 1
    assert [(one.number, one.excluded) for one in fists] == [(1, False), (2, True), (3, False), (4, False), (2, False)]


def test_cards_read_labels_one_by_one_and_no_more_than_fits(
    open_page: Open, captured: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[float] = []
    real = blocks.read_blocks

    def counted(tx, user_id, since, until):
        read.append((until - since).total_seconds())
        return real(tx, user_id, since, until)

    monkeypatch.setattr(blocks, "read_blocks", counted)
    page = open_page(CAPTURE, captured=captured)
    assert not page.exception
    assert max(read) <= 10, "labels, not the session"
    n_labels = len(read)
    monkeypatch.setattr("ui.capture_cards.MOST_VALUES", 3000)
    read.clear()
    del page.session_state["captured-shapes"]
    page.run()
    page.toggle(key=f"all-cards-{captured}").set_value(True).run()
    assert not page.exception
    assert 1 < len(read) < n_labels
    said = cards(page)
    assert len(said) == 8
    assert sum("Not compared: the session is long" in one for one in said) in range(4, 8)


def test_summary_stays_over_other_pages_until_the_person_changes(
    open_page: Open, pool: Pool, profile_id: int, captured: int
) -> None:
    with pool.transaction() as tx:
        other = profiles.insert_profile(tx, "Bea", channels=CHANNELS, rate_hz=RATE_HZ, consent=TEST_PERSON)
        gestures.insert_gesture(tx, other, "fist")
        assert models.find_active(tx, other) is None
    said = "**Session 1** of Ada ended: 8 repetitions recorded"
    page = open_page(CAPTURE, captured=captured, profile_id=profile_id)
    assert said in all_text(page)
    page.switch_page(f"pages/{LIVE}").run()
    page.switch_page(f"pages/{CAPTURE}").run()
    assert said in all_text(page)
    page.query_params["profile"] = str(other)
    page.run()
    assert "Session 1" not in all_text(page)
    page.query_params["profile"] = str(profile_id)
    page.run()
    assert said not in all_text(page)


def test_what_cannot_be_redone_any_more_says_why(open_page: Open, pool: Pool, profile_id: int, captured: int) -> None:
    with pool.transaction() as tx:
        execute(
            tx,
            "UPDATE sessions SET started_at = started_at - interval '1 hour', ended_at = ended_at - interval '1 hour' "
            "WHERE session_id = %s",
            (captured,),
        )
    page = open_page(CAPTURE, captured=captured)
    assert all(one.disabled for one in page.checkbox)
    assert "more than 15 minutes ago" in page.checkbox[0].help


def test_viewer_sees_cards_without_buttons(open_page: Open, as_role: AsRole, profile_id: int, captured: int) -> None:
    as_role("viewer", profile_id)
    page = open_page(CAPTURE, captured=captured)
    assert not page.exception
    assert cards(page)
    assert not page.checkbox
    assert "Leave out" not in [one.label for one in page.button]


def test_numbers_of_a_plan_are_each_persons_own_and_outlive_the_login(
    open_page: Open, pool: Pool, profile_id: int
) -> None:
    with pool.transaction() as tx:
        other = profiles.insert_profile(tx, "Bea", channels=CHANNELS, rate_hz=RATE_HZ, consent=TEST_PERSON)
        for name in ("fist", "pinch"):
            gestures.insert_gesture(tx, other, name)
    page = open_page(CAPTURE, profile_id=profile_id)
    field_of(page.number_input, "Repetitions of each").set_value(2)
    field_of(page.number_input, "Seconds of rest").set_value(1.5)
    page.radio(key=f"shuffled-{profile_id}").set_value(False)
    page.multiselect(key=f"gestures-{profile_id}").set_value(["open hand"]).run()

    page.query_params["profile"] = str(other)
    page.run()
    assert field_of(page.number_input, "Repetitions of each").value == 6
    assert field_of(page.number_input, "Seconds of rest").value == 3.0
    assert page.radio(key=f"shuffled-{other}").value is True
    assert page.multiselect(key=f"gestures-{other}").value == ["fist", "pinch"]
    page.query_params["profile"] = str(profile_id)
    page.run()
    assert field_of(page.number_input, "Repetitions of each").value == 2, "not started yet, and still there"

    store_noise(pool, profile_id, now() - timedelta(seconds=4), 60)
    act(page, "start").click().run()
    assert not page.error
    with pool.transaction() as tx:
        kept = CaptureSettings(repetitions=2, rest_s=1.5, shuffled=False, left_out=("fist",))
        assert get_settings(tx, profile_id) == kept
        assert get_settings(tx, other) == CaptureSettings()
        (running,) = sessions.list_recording_sessions(tx)
        sessions.finish_session(tx, running.session_id, running.started_at + timedelta(seconds=1), aborted=True)
    later = open_page(CAPTURE, profile_id=profile_id)
    assert field_of(later.number_input, "Repetitions of each").value == 2
    assert field_of(later.number_input, "Seconds of rest").value == 1.5
    assert later.multiselect(key=f"gestures-{profile_id}").value == ["open hand"]


def test_stored_settings_that_do_not_fit_are_as_new(pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        save_settings(tx, profile_id, CaptureSettings(repetitions=9, left_out=("fist",)))
        assert get_settings(tx, profile_id) == CaptureSettings(repetitions=9, left_out=("fist",))
        stored = '{"repetitions": 0, "gesture_s": "4", "rest_s": 2, "seed": true, "left_out": [1], "kind": 3, "x": 1}'
        execute(tx, "UPDATE profiles SET capture_settings = %s WHERE user_id = %s", (stored, profile_id))
        assert get_settings(tx, profile_id) == CaptureSettings(rest_s=2.0)


def test_participants_screen_shows_nothing_else_and_nobody_else(open_page: Open, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        profiles.update_profile(tx, profile_id, language="de")
    page = open_page(CAPTURE, profile_id=profile_id)
    page.query_params["view"] = "participant"
    page.run()
    assert not page.exception
    (said,) = [str(one.body) for one in page.html if "position:fixed" in one.body]
    assert "Die Aufnahme hat noch nicht begonnen." in said
    assert not page.button
    assert not page.title
    page.query_params["profile"] = "999999"
    page.run()
    assert "does not exist or is not shared with you" in page.warning[0].value


def test_contraction_check_says_how_the_band_is_turned(open_page: Open, pool: Pool) -> None:
    arm = SyntheticArm(1, 8)
    plan = make_plan(arm.gestures, 3, 2.0)
    classifier = fit([labelled_session(arm, day, plan) for day in (1, 2)], "cnn", options=TrainingOptions(epochs=1))
    made = arm.session(3, make_plan(arm.gestures, 2, 4.5))
    parts = [
        made.samples[made.gestures == name][180 : 180 + int(s * RATE_HZ)] for name, s in ((REST, 3.5), ("fist", 4))
    ]
    samples = np.concatenate([*parts, parts[0]])
    with pool.transaction() as tx:
        channels = [f"a{index}" for index in range(8)]
        user_id = profiles.insert_profile(tx, "Bea", channels=channels, rate_hz=arm.rate_hz, consent=TEST_PERSON)
        gestures.ensure_gestures(tx, user_id, list(arm.gestures))
        activate(tx, user_id, classifier)
    as_it_was = "The band lies as in the sessions of version 1."
    by_two = "The band seems turned by about 2 electrodes: a6 lies where a0 lay in the sessions of version 1."
    for by, said in ((0, as_it_was), (2, by_two)):
        begin = now() - timedelta(seconds=9)
        with pool.transaction() as tx:
            execute(tx, "DELETE FROM sample_blocks")
        store(pool, user_id, begin, np.roll(samples, -by, axis=1))
        page = open_page(CAPTURE, **{f"contraction-{user_id}": Running(begin, "fist")})
        assert not page.exception
        (shown,) = [str(one.body) for one in page.html if "data-contraction" in one.body]
        assert said in shown
        assert ('data-placement="fair"' in shown) == (by > 0)


def test_contraction_check_compares_the_stream_with_rest(open_page: Open, pool: Pool, profile_id: int) -> None:
    begin = now() - timedelta(seconds=9)
    generator = np.random.default_rng(0)
    samples = 2048 + 30 * generator.standard_normal((2000, len(CHANNELS)))
    samples[int(3.5 * RATE_HZ) : int(8 * RATE_HZ), :2] *= 8
    store(pool, profile_id, begin, samples.astype(np.float32))
    page = open_page(CAPTURE, **{f"contraction-{profile_id}": Running(begin, "fist")})
    assert not page.exception
    (said,) = [str(one.body) for one in page.html if "data-contraction" in one.body]
    assert 'data-contraction="good"' in said
    assert "The contraction is clear on a0 and a1." in said
    assert not act(page, "start").disabled
    act(page, "contraction").click().run()
    assert not page.exception
    assert isinstance(page.session_state[f"contraction-{profile_id}"], Running)
