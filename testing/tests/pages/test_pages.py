"""Each page in its normal and its failing cases, against a real database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from semg.capture import CaptureConductor, make_plan
from semg.domain import DecisionSpec
from semg.store import gestures, jobs, models, profiles, services, sessions
from semg.store.pool import Pool
from testing.tests.pages.page_data import all_text, make_session, now, store_noise

USERS, GESTURES = "1_User_Management.py", "2_Gesture_Management.py"
CAPTURE, TRAIN = "3_Training_Data_Capture.py", "4_Kickoff_Training.py"
JOBS, LIVE, REVIEW = "5_Training_Jobs_Status.py", "6_Realtime_Gesture_Recognition.py", "7_Sensor_Data_Review.py"
Open = Callable[..., AppTest]

REPORT: dict[str, Any] = {
    "accuracy": 0.9,
    "balanced_accuracy": 0.85,
    "macro_f1": 0.86,
    "chance": 0.4,
    "windows": 120,
    "classes": ["fist", "rest"],
    "confusion": [[50, 10], [5, 55]],
    "baseline": {"classifier": "logcov_lda", "accuracy": 0.8, "balanced_accuracy": 0.8, "macro_f1": 0.8},
    "split": {"by": "session", "description": "the last session held out before anything was fitted"},
    "held_out": ["session two"],
    "train_windows": 500,
    "train_s": 3.0,
    "seed": 0,
    "model_bytes": 2048,
    "us_per_window": 40.0,
}


def button(page: AppTest, label: str) -> Any:
    found = [one for one in page.button if one.label == label]
    assert found, f"no button {label!r}, but {[one.label for one in page.button]}"
    return found[0]


def field(elements: Any, label: str) -> Any:
    found = [one for one in elements if one.label == label]
    assert found, f"no field {label!r}, but {[one.label for one in elements]}"
    return found[0]


def insert_models(pool: Pool, user_id: int, n: int) -> None:
    with pool.transaction() as tx:
        for _ in range(n):
            models.insert_model(tx, user_id, None, b"weights", {"kind": "cnn"}, REPORT, 1 << 20)
        models.activate_model(tx, user_id, n)


# Every page without anything


@pytest.mark.parametrize("name", [GESTURES, CAPTURE, TRAIN, JOBS, LIVE, REVIEW])
def test_page_without_profiles_says_what_to_do(open_page: Open, name: str) -> None:
    page = open_page(name)
    assert not page.exception
    assert "No profile yet" in all_text(page)


@pytest.mark.parametrize("name", ["", USERS, GESTURES, CAPTURE, TRAIN, JOBS, LIVE, REVIEW])
def test_database_that_is_away_becomes_a_sentence(open_page: Open, app_of_test: Any, name: str) -> None:
    app_of_test.pool.close()
    app_of_test.settings.__dict__["postgres_port"] = 1
    page = open_page(name)
    assert not page.exception
    assert "database cannot be reached" in page.error[0].value


# Main


def test_overview_of_an_empty_installation_leads_to_the_first_profile(open_page: Open) -> None:
    page = open_page()
    assert "Welcome" in all_text(page)
    assert "Nobody sends" in all_text(page)


def test_overview_shows_services_and_why_a_sender_is_refused(open_page: Open, pool: Pool, profile_id: int) -> None:
    source = {"address": "10.0.0.7:2390", "user_id": profile_id, "rate_hz": 200.0, "channels": 4, "values": [1.0, 2.0],
              "device_ms": 5, "state": "channel_count", "age_s": 0.1}  # fmt: skip
    taken = source | {"state": "ok", "clock_error_ms": 1.25, "clock_drift_ppm": -20.4}
    with pool.transaction() as tx:
        metrics = {"accepted": 10, "missing": 0, "sources": [source, taken]}
        services.upsert_service(tx, "udpserver", "a:1", 1, now(), metrics)
    page = open_page()
    assert not page.exception
    table = page.dataframe[0].value
    assert table["Profile"].tolist() == ["Ada", "Ada"]
    assert table["Clock"].tolist() == ["", "± 1.2 ms, -20 ppm"]
    assert "another number of channels" in table["State"][0]


# 1 User Management


def test_profile_is_created_with_its_device(open_page: Open, pool: Pool) -> None:
    page = open_page(USERS)
    field(page.text_input, "Name or code").input("Grace")
    field(page.text_input, "Channels, in the order in which the device sends them").input("flexor, extensor")
    button(page, "Create profile").click().run()
    assert not page.exception
    assert "**Grace** was created" in all_text(page)
    with pool.transaction() as tx:
        made = profiles.find_profile_by_name(tx, "Grace")
    assert made is not None
    assert made.device.channels == ("flexor", "extensor")
    assert (made.device.rate_hz, made.device.sensor) == (200.0, "raw")


def test_profile_with_a_bad_channel_name_is_refused_with_the_field(open_page: Open, pool: Pool) -> None:
    page = open_page(USERS)
    field(page.text_input, "Name or code").input("Grace")
    field(page.text_input, "Channels, in the order in which the device sends them").input("a0, a 1")
    button(page, "Create profile").click().run()
    assert "Channels: expected letters, digits" in page.error[0].value
    with pool.transaction() as tx:
        assert profiles.list_profiles(tx) == []


def test_preset_fills_the_device(open_page: Open) -> None:
    page = open_page(USERS)
    preset = field(page.selectbox, "Sensor")
    preset.select(next(one for one in preset.options if "Myo" in one)).run()
    names = field(page.text_input, "Channels, in the order in which the device sends them").value
    assert names == "a0, a1, a2, a3, a4, a5, a6, a7"
    assert field(page.number_input, "Lowest value").value == -128


def test_device_that_loses_a_used_channel_is_saved(open_page: Open, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        profiles.update_profile(tx, profile_id, channels_used=["a0", "a3"])
    page = open_page(USERS)
    field(page.text_input, "Channels, in the order in which the device sends them").input("a0, a1")
    button(page, "Save").click().run()
    assert not page.error
    with pool.transaction() as tx:
        profile = profiles.get_profile(tx, profile_id)
    assert profile.device.channels == ("a0", "a1")
    assert profile.channels_used == ("a0",)


def test_taken_name_is_refused(open_page: Open, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        profiles.insert_profile(tx, "Ben", channels=["a0"], rate_hz=200.0)
    page = open_page(USERS)
    field(page.text_input, "Name or code").input("Ben")
    button(page, "Save").click().run()
    assert "exists already" in page.error[0].value


def test_search_finds_by_part_of_a_name(open_page: Open, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        profiles.insert_profile(tx, "Ben", channels=["a0"], rate_hz=200.0)
    page = open_page(USERS)
    field(page.text_input, "Search").input("be").run()
    assert page.dataframe[0].value["Name"].tolist() == ["Ben"]
    field(page.text_input, "Search").input("nobody").run()
    assert "No profile matches" in all_text(page)


def test_profile_is_erased_only_after_its_name_was_typed(open_page: Open, pool: Pool, profile_id: int) -> None:
    make_session(pool, profile_id, now() - timedelta(hours=1))
    page = open_page(USERS)
    next(one for one in page.toggle if one.label == "Show what would be erased").set_value(True).run()
    assert "2,400 samples, 1 sessions with 4 repetitions" in all_text(page)
    assert button(page, "Erase for ever").disabled
    field(page.text_input, "Type the name to confirm").input("Ada").run()
    button(page, "Erase for ever").click().run()
    assert not page.exception
    with pool.transaction() as tx:
        assert profiles.list_profiles(tx) == []


# 2 Gesture Management


def names_of(pool: Pool, user_id: int) -> list[str]:
    with pool.transaction() as tx:
        return [one.name for one in gestures.list_gestures(tx, user_id)]


def test_gesture_is_added_and_moved(open_page: Open, pool: Pool, profile_id: int) -> None:
    page = open_page(GESTURES)
    page.text_input(key="new-name").input("pinch")
    page.text_input(key="new-text").input("thumb to finger")
    button(page, "Add").click().run()
    assert not page.exception
    assert names_of(pool, profile_id) == ["rest", "fist", "open hand", "pinch"]
    with pool.transaction() as tx:
        last = gestures.list_gestures(tx, profile_id)[-1]
    page.button(key=f"up-{last.gesture_id}").click().run()
    assert names_of(pool, profile_id) == ["rest", "fist", "pinch", "open hand"]


def test_second_gesture_of_a_name_is_refused(open_page: Open, pool: Pool, profile_id: int) -> None:
    page = open_page(GESTURES)
    page.text_input(key="new-name").input("fist")
    button(page, "Add").click().run()
    assert "has 'fist' already" in page.error[0].value
    assert names_of(pool, profile_id) == ["rest", "fist", "open hand"]


def test_gesture_is_renamed_and_rest_is_not(open_page: Open, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        rest, fist, _ = gestures.list_gestures(tx, profile_id)
    page = open_page(GESTURES)
    assert page.text_input(key=f"name-{rest.gesture_id}").disabled
    page.text_input(key=f"name-{fist.gesture_id}").input("power grip")
    next(one for one in page.button if one.form_id == f"gesture-{fist.gesture_id}").click().run()
    assert names_of(pool, profile_id) == ["rest", "power grip", "open hand"]


def test_recorded_gesture_is_deleted_only_when_that_was_confirmed(open_page: Open, pool: Pool, profile_id: int) -> None:
    make_session(pool, profile_id, now() - timedelta(hours=1))
    with pool.transaction() as tx:
        fist = gestures.list_gestures(tx, profile_id)[1]
    page = open_page(GESTURES)
    assert page.button(key=f"delete-{fist.gesture_id}").disabled
    page.checkbox(key=f"sure-{fist.gesture_id}").check().run()
    page.button(key=f"delete-{fist.gesture_id}").click().run()
    assert names_of(pool, profile_id) == ["rest", "open hand"]


def test_ready_made_bank_and_copied_bank_add_what_is_missing(open_page: Open, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        other = profiles.insert_profile(tx, "Ben", channels=["a0"], rate_hz=200.0)
        gestures.insert_gesture(tx, other, "wave")
    page = open_page(GESTURES)
    page.button(key="add-ready-made").click().run()
    assert names_of(pool, profile_id) == ["rest", "fist", "open hand", "wrist extension"]
    page.button(key="copy").click().run()
    assert names_of(pool, profile_id)[-1] == "wave"


def test_channels_used_are_saved_and_none_is_refused(open_page: Open, pool: Pool, profile_id: int) -> None:
    page = open_page(GESTURES)
    page.multiselect(key=f"channels-{profile_id}").set_value(["a2", "a1"])
    next(one for one in page.button if one.form_id == "channels-used").click().run()
    with pool.transaction() as tx:
        assert profiles.get_profile(tx, profile_id).channels_used == ("a1", "a2")
    page.multiselect(key=f"channels-{profile_id}").set_value([])
    next(one for one in page.button if one.form_id == "channels-used").click().run()
    assert "at least one channel" in page.error[0].value


# 3 Training Data Capture


def test_capture_starts_when_samples_stream(open_page: Open, pool: Pool, profile_id: int) -> None:
    page = open_page(CAPTURE)
    store_noise(pool, profile_id, now() - timedelta(seconds=5), 5)
    before = now()
    page.button(key="start").click().run()
    assert not page.exception
    assert not page.error
    with pool.transaction() as tx:
        (session,) = sessions.list_recording_sessions(tx)
    assert session.name == "Session 1"
    assert before < session.started_at <= now() + timedelta(seconds=2)
    assert session.plan is not None
    assert sum(1 for step in session.plan.steps if step.gesture == "fist") == 6
    assert button(page, "End early")


def test_capture_is_refused_with_the_reason_when_nothing_streams(open_page: Open, pool: Pool, profile_id: int) -> None:
    page = open_page(CAPTURE)
    page.button(key="start").click().run()
    assert "was not started" in page.error[0].value
    assert "udpserver is not running" in page.error[0].value
    with pool.transaction() as tx:
        assert sessions.list_recording_sessions(tx) == []


def test_capture_is_refused_with_what_udpserver_says_of_the_sender(
    open_page: Open, pool: Pool, profile_id: int
) -> None:
    source = {"address": "10.0.0.7:2390", "user_id": profile_id, "state": "v1_not_allowed", "age_s": 0.5}
    with pool.transaction() as tx:
        services.upsert_service(tx, "udpserver", "a:1", 1, now(), {"sources": [source]})
    page = open_page(CAPTURE)
    page.button(key="start").click().run()
    assert "does not accept the plain text format" in page.error[0].value


def test_running_capture_is_shown_after_a_reload_and_ended_early(open_page: Open, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        profiles.insert_profile(tx, "Aaron", channels=["a0"], rate_hz=200.0)
        sessions.insert_session(
            tx,
            profile_id,
            "Session 7",
            "capture",
            now() - timedelta(seconds=6.5),
            status="recording",
            plan=make_plan(["fist", "open hand"], 3, 2, 1, 2, False, 0),
            device=profiles.get_profile(tx, profile_id).device,
        )
    CaptureConductor().conduct(pool, now())
    page = open_page(CAPTURE)
    assert not page.exception
    assert "3 labels written" in all_text(page)
    page.button(key="abort").click().run()
    assert "**Session 7** ended early: 1 performances" in all_text(page)
    with pool.transaction() as tx:
        (session,) = sessions.list_sessions(tx, profile_id)
        assert [one.gesture for one in sessions.list_repetitions(tx, session.session_id)][:2] == ["rest", "fist"]
    assert session.status == "aborted"


def test_labels_that_are_not_written_are_told(open_page: Open, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        sessions.insert_session(
            tx, profile_id, "one", "capture", now() - timedelta(seconds=15), status="recording",
            plan=make_plan(["fist"], 20, 2, 1, 2, False, 0), device=profiles.get_profile(tx, profile_id).device,
        )  # fmt: skip
    page = open_page(CAPTURE)
    assert "Labels are not being written" in all_text(page)


def test_capture_without_gestures_leads_to_the_gestures(open_page: Open, pool: Pool) -> None:
    with pool.transaction() as tx:
        profiles.insert_profile(tx, "Ada", channels=["a0"], rate_hz=200.0)
    assert "has no gestures yet" in all_text(open_page(CAPTURE))


def test_second_session_of_a_name_is_refused(open_page: Open, pool: Pool, profile_id: int) -> None:
    make_session(pool, profile_id, now() - timedelta(hours=1), "Session 2")
    page = open_page(CAPTURE)
    store_noise(pool, profile_id, now() - timedelta(seconds=5), 5)
    page.button(key="start").click().run()
    assert "called “Session 2” already" in page.error[0].value


# 4 Kickoff Training


def test_training_is_scheduled_with_the_chosen_sessions(open_page: Open, pool: Pool, profile_id: int) -> None:
    first = make_session(pool, profile_id, now() - timedelta(hours=2), "one")
    second = make_session(pool, profile_id, now() - timedelta(hours=1), "two")
    page = open_page(TRAIN)
    assert not page.exception
    page.checkbox(key=f"session-{first}").uncheck().run()
    page.selectbox(key="kind").select_index(1).run()
    button(page, "Start training").click().run()
    assert not page.exception
    with pool.transaction() as tx:
        (job,) = jobs.list_jobs(tx, profile_id)
    assert job.session_ids == (second,)
    assert (job.classifier, job.status, job.options) == ("logcov_lda", "scheduled", {})
    assert [one.value for one in page.title] == ["Training Jobs and Models"]


def test_training_needs_a_session(open_page: Open, pool: Pool, profile_id: int) -> None:
    number = make_session(pool, profile_id, now() - timedelta(hours=2))
    page = open_page(TRAIN)
    page.checkbox(key=f"session-{number}").uncheck().run()
    assert button(page, "Start training").disabled


def test_training_at_a_time_waits_for_it(open_page: Open, pool: Pool, profile_id: int) -> None:
    make_session(pool, profile_id, now() - timedelta(hours=2))
    page = open_page(TRAIN)
    page.radio(key="when").set_value("At a time").run()
    page.date_input(key="day").set_value((now() + timedelta(days=2)).date()).run()
    button(page, "Start training").click().run()
    with pool.transaction() as tx:
        (job,) = jobs.list_jobs(tx, profile_id)
    assert timedelta(days=1) < job.scheduled_at - now() < timedelta(days=3)


def test_training_without_a_session_leads_to_the_capture(open_page: Open, profile_id: int) -> None:
    assert "has no recorded session yet" in all_text(open_page(TRAIN))


def test_few_repetitions_are_told(open_page: Open, pool: Pool, profile_id: int) -> None:
    make_session(pool, profile_id, now() - timedelta(hours=2))
    assert "Fewer than 3 repetitions" in all_text(open_page(TRAIN))


# 5 Training Jobs Status


def scheduled_job(pool: Pool, profile_id: int) -> int:
    number = make_session(pool, profile_id, now() - timedelta(hours=2))
    with pool.transaction() as tx:
        return jobs.insert_job(tx, profile_id, [number], "cnn", {})


def test_running_job_shows_progress_and_is_canceled(open_page: Open, pool: Pool, profile_id: int) -> None:
    number = scheduled_job(pool, profile_id)
    with pool.transaction() as tx:
        jobs.claim_due_job(tx, "runner")
        jobs.update_progress(tx, number, 42.0, 3, 14, "third epoch")
    page = open_page(JOBS)
    assert not page.exception
    assert "running" in all_text(page)
    assert "third epoch" in page.code[0].value
    page.button(key=f"cancel-{number}").click().run()
    with pool.transaction() as tx:
        assert jobs.get_job(tx, number).cancel_requested


def test_failed_job_shows_its_error_and_is_tried_again(open_page: Open, pool: Pool, profile_id: int) -> None:
    number = scheduled_job(pool, profile_id)
    with pool.transaction() as tx:
        jobs.claim_due_job(tx, "runner")
        jobs.fail_job(tx, number, "Only one gesture was recorded.")
    page = open_page(JOBS)
    assert page.error[0].value == "Only one gesture was recorded."
    page.button(key=f"retry-{number}").click().run()
    with pool.transaction() as tx:
        assert [one.status for one in jobs.list_jobs(tx, profile_id)] == ["scheduled", "failed"]


def test_report_is_shown_and_an_older_version_activated(open_page: Open, pool: Pool, profile_id: int) -> None:
    insert_models(pool, profile_id, 2)
    page = open_page(JOBS)
    assert not page.exception
    assert [one.value for one in page.metric] == ["85.0 %", "90.0 %", "86.0 %", "40.0 %"]
    assert "the last session held out" in all_text(page)
    field(page.selectbox, "Version").select_index(1).run()
    page.button(key="activate").click().run()
    with pool.transaction() as tx:
        active = models.find_active(tx, profile_id)
    assert active is not None
    assert active.version == 1


def test_profile_without_jobs_leads_to_the_training(open_page: Open, profile_id: int) -> None:
    text = all_text(open_page(JOBS))
    assert "No training yet" in text
    assert "first training is completed" in text


# 6 Realtime Gesture Recognition


def test_voting_and_rejection_are_saved_to_the_profile(open_page: Open, pool: Pool, profile_id: int) -> None:
    insert_models(pool, profile_id, 1)
    page = open_page(LIVE)
    assert not page.exception
    page.slider(key=f"vote-{profile_id}").set_value(7).run()
    page.slider(key=f"confidence-{profile_id}").set_value(65).run()
    with pool.transaction() as tx:
        assert profiles.get_profile(tx, profile_id).decision == DecisionSpec(7, pytest.approx(0.65))


def test_live_page_without_a_model_says_so(open_page: Open, profile_id: int) -> None:
    page = open_page(LIVE)
    assert not page.exception
    assert "Ada has no model yet" in all_text(page)
    assert not page.slider


# 7 Sensor Data Review


def test_review_shows_a_session_and_changes_a_repetition(open_page: Open, pool: Pool, profile_id: int) -> None:
    number = make_session(pool, profile_id, now() - timedelta(hours=1))
    page = open_page(REVIEW)
    assert not page.exception
    assert "2,400 samples" in all_text(page)
    with pool.transaction() as tx:
        before = sessions.list_repetitions(tx, number)
    rest = before[0]
    page.number_input(key=f"end-{rest.repetition_id}").set_value(-0.5)
    page.checkbox(key=f"excluded-{rest.repetition_id}").check()
    page.text_input(key=f"reason-{rest.repetition_id}").input("moved the arm")
    next(one for one in page.button if "repetition-" in one.form_id).click().run()
    assert not page.error
    with pool.transaction() as tx:
        after = sessions.list_repetitions(tx, number)[0]
    assert (after.excluded, after.exclude_reason) == (True, "moved the arm")
    assert after.ended_at == rest.ended_at - timedelta(seconds=0.5)


def test_repetition_moved_into_another_is_refused(open_page: Open, pool: Pool, profile_id: int) -> None:
    number = make_session(pool, profile_id, now() - timedelta(hours=1))
    page = open_page(REVIEW)
    with pool.transaction() as tx:
        rest = sessions.list_repetitions(tx, number)[0]
    page.number_input(key=f"end-{rest.repetition_id}").set_value(1.0)
    next(one for one in page.button if "repetition-" in one.form_id).click().run()
    assert "lies in this time" in page.error[0].value


def test_session_is_exported_as_a_recording_that_reads_back(
    open_page: Open, pool: Pool, profile_id: int, tmp_path: Any
) -> None:
    from semg.recordings import load_recording

    make_session(pool, profile_id, now() - timedelta(hours=1))
    page = open_page(REVIEW)
    page.button(key="prepare").click().run()
    assert not page.error
    _, content = page.session_state["csv"]
    path = tmp_path / "session.csv.gz"
    path.write_bytes(content)
    read = load_recording(path)
    assert len(read.labelled.samples) == 2400
    assert [one.label for one in read.labelled.stretches] == ["rest", "fist", "rest", "open hand"]


def test_session_is_deleted_only_after_a_confirmation(open_page: Open, pool: Pool, profile_id: int) -> None:
    number = make_session(pool, profile_id, now() - timedelta(hours=1))
    page = open_page(REVIEW)
    assert page.button(key="delete-session").disabled
    page.checkbox(key=f"sure-{number}").check().run()
    page.button(key="delete-session").click().run()
    assert not page.exception
    with pool.transaction() as tx:
        assert sessions.list_sessions(tx, profile_id) == []


def test_time_without_samples_says_so(open_page: Open, pool: Pool, profile_id: int) -> None:
    store_noise(pool, profile_id, now() - timedelta(seconds=30), 5)
    page = open_page(REVIEW)
    page.date_input(key=f"day-{profile_id}").set_value((now() - timedelta(days=30)).date()).run()
    assert "No samples are stored for this time" in all_text(page)


def test_profile_without_samples_leads_to_the_capture(open_page: Open, profile_id: int) -> None:
    assert "Nothing was recorded for Ada yet" in all_text(open_page(REVIEW))
