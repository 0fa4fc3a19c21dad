"""What ``/v1`` shows is what is stored, in the words of the pages."""

from __future__ import annotations

import pytest

from semg.ingest.stream_reports import reported
from semg.signals.training.training_report import TrainingReport
from semg.store import gestures, jobs, models, profiles, services, session_quality, sessions
from semg.store.session_quality import SessionQuality
from testing.kits.rest_kit import CHANNELS, RATE_HZ, START, Rest

pytestmark = pytest.mark.servers


def test_profile_and_what_belongs_to_it_are_as_stored(rest: Rest, admin: str, person: int) -> None:
    with rest.pool.transaction() as tx:
        profile, bank = profiles.get_profile(tx, person), gestures.list_gestures(tx, person)
    said = rest.get(admin, f"/profiles/{person}").json()
    assert (said["userid"], said["name"], said["channels"], said["rate_hz"]) == (
        person, profile.name, list(CHANNELS), RATE_HZ
    )  # fmt: skip
    assert said["consents"] == list(profile.consent.scopes if profile.consent else ())
    assert said["decision"] == {"vote_n": 3, "min_confidence": 0.4, "hysteresis": 0.1}
    assert said["created_at"].endswith("Z")
    shown = rest.get(admin, f"/profiles/{person}/gestures").json()["items"]
    assert [(one["gesture_id"], one["name"], one["kind"]) for one in shown] == [
        (one.gesture_id, one.name, one.kind) for one in bank
    ]
    device = rest.get(admin, f"/profiles/{person}/device").json()
    assert (device["sensor"], device["adc_max"], device["mains_hz"]) == ("raw", 4095.0, 50.0)


def test_stream_is_judged_as_on_the_pages(rest: Rest, admin: str) -> None:
    user_id = rest.profile()
    path = f"/profiles/{user_id}/stream"
    assert rest.get(admin, path).json()["level"] == "silent"
    status = {
        "streams": {
            str(user_id): {
                "age_s": 0.1, "seconds": 10.0, "datagrams": 1000, "samples": 1000, "missing": 0, "long_s": 10.0,
                "recent_samples": 300, "recent_missing": 0, "low": 100.0, "high": 4000.0, "channels": 3,
            }
        }
    }  # fmt: skip
    with rest.pool.transaction() as tx:
        services.upsert_service(tx, "udpserver", "test", 1, START, status)
        active_at = models.find_activated_at(tx, user_id)
        seen_at = services.list_services(tx)[-1].seen_at
        said = reported(services.list_services(tx), seen_at)
        expected = said.health(profiles.get_profile(tx, user_id), active_at)
    found = rest.get(admin, path).json()
    assert (found["level"], found["code"]) == (expected.level, expected.code)
    assert found["level"] in ("fair", "bad")
    assert found["sentence"]


def test_session_holds_what_is_counted_and_judged(rest: Rest, admin: str, person: int) -> None:
    number = rest.get(admin, f"/profiles/{person}/sessions").json()["items"][0]["session_id"]
    assert rest.get(admin, f"/sessions/{number}/contents").json() == {
        "session_id": number, "samples": 2400, "labelled_s": 12.0,
        "gestures": [
            {"gesture": "rest", "repetitions": 1, "excluded": 0, "seconds": 6.0},
            {"gesture": "fist", "repetitions": 1, "excluded": 0, "seconds": 6.0},
        ],
    }  # fmt: skip
    path = f"/sessions/{number}/quality"
    assert rest.get(admin, path).json()["verdict"]["level"] == "unknown"
    with rest.pool.transaction() as tx:
        label = sessions.list_repetitions(tx, number)[0].repetition_id
        stored = SessionQuality("bad", "2 of 2 intervals: a1: flat", {label: ("bad", "a1: flat")})
        session_quality.save_quality(tx, number, stored)
    said = rest.get(admin, path).json()
    assert (said["verdict"]["level"], said["verdict"]["code"]) == ("do not use", "loose")
    assert said["repetitions"] == [{"repetition_id": label, "level": "bad", "reason": "a1: flat"}]


def test_training_is_followed_from_the_queue_to_its_version(rest: Rest, admin: str) -> None:
    user_id = rest.profile()
    number = rest.get(admin, f"/profiles/{user_id}/sessions").json()["items"][0]["session_id"]
    wanted = {"session_ids": [number], "classifier": "td_lda", "options": {"epochs": 3}}
    job = rest.ask(admin, "POST", f"/profiles/{user_id}/jobs", json=wanted).json()
    path = f"/jobs/{job['job_id']}"
    assert (job["status"], job["options"], job["classifier"]) == ("scheduled", {"epochs": 3}, "td_lda")
    tag = rest.get(admin, path).headers["ETag"]
    with rest.pool.transaction() as tx:
        jobs.claim_job(tx, job["job_id"], "test")
        jobs.update_progress(tx, job["job_id"], 40.0, 1, 3, "first epoch")
    running = rest.get(admin, path, headers={"If-None-Match": tag})
    assert (running.status_code, running.json()["status"], running.json()["progress"]) == (200, "in-progress", 40.0)
    assert "first epoch" in rest.get(admin, f"{path}/log").json()["log"]
    assert rest.ask(admin, "POST", f"{path}/cancel").json()["cancel_requested"] is True
    with rest.pool.transaction() as tx:
        models.insert_model(tx, user_id, job["job_id"], b"weights", {"kind": "td_lda"}, {"pending": True}, 1 << 20)
        jobs.complete_job(tx, job["job_id"])
    assert rest.get(admin, path).json()["model_version"] == 3
    shown = rest.get(admin, f"/profiles/{user_id}/models?order=newest").json()["items"]
    assert [(one["version"], one["active"], bool(one["doubts"])) for one in shown] == [
        (3, False, True), (2, True, False), (1, False, False)
    ]  # fmt: skip
    report = rest.get(admin, f"/profiles/{user_id}/models/2/report").json()
    assert TrainingReport.from_json(report["report"]).balanced_accuracy == 0.85
    artifact = rest.get(admin, f"/profiles/{user_id}/models/3/artifact")
    assert (artifact.content, artifact.headers["content-type"]) == (b"weights", "application/octet-stream")


def test_session_that_is_being_recorded_has_no_end_and_its_samples_until_now(rest: Rest, admin: str) -> None:
    user_id = rest.profile()
    with rest.pool.transaction() as tx:
        device = profiles.get_profile(tx, user_id).device
        number = sessions.insert_session(tx, user_id, "now", "capture", START, status="recording", device=device)
    assert rest.get(admin, f"/sessions/{number}").json()["ended_at"] is None
    samples = rest.get(admin, f"/sessions/{number}/samples").json()
    assert len(samples["rows"]) == 2400
