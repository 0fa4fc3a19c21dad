"""The path from a person to live recognition: its judgement, and how pages show it and act by it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from semg.capture import pause_capture
from semg.domain import CapturePlan, Decision, PlanStep, Profile, us_from_utc
from semg.ingest.stream_health import StreamHealth
from semg.privacy.consent import TEST_PERSON
from semg.store import decisions, gestures, jobs, profiles, services, sessions
from semg.store.path_facts import PathFacts, read_path_facts
from semg.store.pool import Pool, execute
from semg.wire.stream_status import ReceivedStatus, as_metrics
from testing.kits.page_data import (
    CAPTURE,
    CONNECT,
    GESTURES,
    JOBS,
    LIVE,
    REVIEW,
    TRAIN,
    USERS,
    AsRole,
    Open,
    act,
    all_text,
    insert_models,
    make_session,
    now,
)
from ui import path
from ui.capture_plan import QUICK
from ui.path_judgement import Facts, judge_path

pytestmark = pytest.mark.servers

GOOD = StreamHealth("good", "good", "Ada's stream is good.")
SILENT = StreamHealth("silent", "silent", "No data is arriving for Ada at the moment.", blocks=True)
WRONG = StreamHealth("bad", "channel_count", "Nothing is accepted for Ada: 8 channels.", blocks=True)
DONE = ["person", "device", "gestures", "record", "train", "live"]


def of(page: AppTest) -> dict[str, Any]:
    """The steps as the page hands them to the browser, by key."""
    for one in page.get("bidi_component"):
        data = json.loads(one.proto.json) if one.proto.json else {}
        if "folded" in data:
            return {step["key"]: step for step in data["steps"]} | {"folded": data["folded"]}
    raise AssertionError("no path on this page")


def current(page: AppTest) -> list[str]:
    return [key for key, step in of(page).items() if key != "folded" and step["current"]]


def stream_for(pool: Pool, user_id: int, **changed: Any) -> None:
    """Let udpserver report a good stream of a profile."""
    # It goes on sending for a minute: a busy machine may take as long for a page.
    said: dict[str, Any] = {"age_s": -60.0, "seconds": 10.0, "datagrams": 2000, "samples": 2000, "long_s": 60.0,
                            "runs": 1, "segments": 1, "low": 100.0, "high": 4000.0, "channels": 4}  # fmt: skip
    with pool.transaction() as tx:
        metrics = {"streams": as_metrics({user_id: ReceivedStatus(**(said | changed))})}
        services.upsert_service(tx, "udpserver", "a:1", 1, now(), metrics)


@pytest.fixture
def ada(pool: Pool, profile_id: int) -> Profile:
    with pool.transaction() as tx:
        return profiles.get_profile(tx, profile_id)


def test_judgement_walks_the_path_in_its_order(ada: Profile) -> None:
    recorded = PathFacts(gestures=3, labelled=True)
    trained = replace(recorded, newest=1, version=1, level="good", newest_level="good")
    cases = [
        (Facts(0), "person", "Create the first profile"),
        (Facts(2), "person", ""),
        (Facts(1, replace(ada, consent=None)), "person", "Record the consent"),
        (Facts(1, ada, PathFacts(), SILENT), "device", "Connect a device"),
        (Facts(1, ada, PathFacts(), WRONG), "device", "Mend it"),
        (Facts(1, ada, PathFacts(), GOOD), "gestures", "Add gestures"),
        (Facts(1, ada, PathFacts(gestures=3), SILENT, "2 h ago"), "device", "Connect a device"),
        (Facts(1, ada, PathFacts(gestures=3), GOOD), "record", "Record two minutes"),
        (Facts(1, ada, PathFacts(gestures=3, recording=True), GOOD), "record", "To the capture"),
        (Facts(1, ada, recorded, SILENT, "2 h ago"), "train", "Train now"),
        (Facts(1, ada, recorded, SILENT), "train", "Train now"),  # imported: no device was ever there
        (Facts(1, ada, replace(recorded, job_status="in-progress", job_progress=40), GOOD), "train",
         "Follow the training"),
        (Facts(1, ada, replace(recorded, job_status="failed"), GOOD), "train", "See the log"),
        (Facts(1, ada, replace(recorded, newest=1, newest_level="do not use"), GOOD), "train", "See the report"),
        (Facts(1, ada, trained, SILENT, "2 h ago"), "device", "Connect a device"),
        (Facts(1, ada, trained, GOOD), "live", "See it live"),
    ]  # fmt: skip
    for facts, step, label in cases:
        judged = judge_path(facts)
        assert judged.next is not None, facts
        assert ([one.key for one in judged.steps if one.current], judged.next.label) == ([step], label), facts


def test_a_paused_recording_is_called_paused(ada: Profile, pool: Pool) -> None:
    stored = PathFacts(gestures=3, recording=True, paused=True)
    judged = judge_path(Facts(1, ada, stored, GOOD))
    assert judged.next is not None
    assert ("Paused" in judged.next.missing, "Recording." in judged.next.missing) == (True, False)
    assert "recording is paused" in [one.said for one in judged.steps]
    plan = CapturePlan((PlanStep("fist", 1, 0.0, 60.0),))
    with pool.transaction() as tx:
        gestures.ensure_gestures(tx, ada.user_id, ["fist"])
        session_id = sessions.insert_session(
            tx, ada.user_id, "S", "capture", now(), status="recording", plan=plan, device=ada.device
        )
        found = [read_path_facts(tx, ada.user_id)]
        pause_capture(tx, session_id, now() + timedelta(seconds=5))
        found.append(read_path_facts(tx, ada.user_id))
    assert [(one.recording, one.paused) for one in found] == [(True, False), (True, True)]


def test_on_its_own_page_the_next_action_says_what_to_do_there(open_page: Open, pool: Pool, ada: Profile) -> None:
    said = "A simulated arm needs no hardware."
    assert said in all_text(open_page(CONNECT))
    assert said not in all_text(open_page())
    stream_for(pool, ada.user_id)
    page = open_page()
    assert "Press *Start recording*" not in all_text(page)
    act(page, "path-quick").click().run()
    assert "Press *Start recording*" in all_text(page)


def test_everything_done_has_no_next_action_and_says_each_state_in_words(ada: Profile) -> None:
    stored = PathFacts(gestures=3, labelled=True, newest=2, version=2, level="good", recognised=True)
    judged = judge_path(Facts(1, ada, stored, GOOD))
    assert judged.next is None
    assert [one.key for one in judged.steps if one.state == "done"] == DONE
    assert [one.said for one in judged.steps] == [
        "consent given", "sends now", "3 besides rest", "recorded", "version 2, good", "recognised",
    ]  # fmt: skip
    away = judge_path(Facts(1, ada, stored, SILENT, "3 min ago"))
    assert away.next is None  # looking at old recordings needs no device
    assert [one.state for one in away.steps] == ["done", "paused", "done", "done", "done", "paused"]
    assert away.steps[1].said == "last seen 3 min ago"
    poor = judge_path(Facts(1, ada, replace(stored, level="do not use", job_status="in-progress"), GOOD))
    assert poor.steps[4].state == "busy"
    assert judge_path(Facts(1, ada, replace(stored, level="do not use"), WRONG)).steps[4].state == "trouble"


@pytest.mark.parametrize("name", ["", USERS, CONNECT, GESTURES, CAPTURE, TRAIN, JOBS, LIVE, REVIEW])
def test_every_page_shows_the_path_with_one_next_action(open_page: Open, pool: Pool, ada: Profile, name: str) -> None:
    stream_for(pool, ada.user_id)
    page = open_page(name)
    assert not page.exception
    assert current(page) == ["record"]
    assert of(page)["gestures"]["href"] == f"/Gesture_Management?profile={ada.user_id}"
    assert all_text(page).count("**Next: record.**") == 1
    assert act(page, "path-quick").label == "Record two minutes for Ada"


def test_path_acts_from_person_to_training(open_page: Open, pool: Pool, as_role: AsRole) -> None:
    page = open_page()
    assert current(page) == ["person"]
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(
            tx, "Ada", channels=["a0", "a1", "a2", "a3"], rate_hz=200.0, consent=TEST_PERSON
        )
    assert current(open_page()) == ["device"]
    stream_for(pool, user_id)
    page = open_page()
    act(page, "path-bank").click().run()
    assert not page.error
    with pool.transaction() as tx:
        bank = [one.name for one in gestures.list_gestures(tx, user_id)]
    assert len(bank) == 4  # three and rest
    page = open_page()
    act(page, "path-quick").click().run()
    assert page.title[0].value == "Capture"
    assert page.session_state[f"plan-kind-{user_id}"] == QUICK
    assert "15 repetitions, 2 min" in all_text(page)
    made = make_session(pool, user_id, now() - timedelta(minutes=5))
    page = open_page()
    assert current(page) == ["train"]
    act(page, "path-train").click().run()
    assert page.title[0].value == "Jobs and models"
    with pool.transaction() as tx:
        (job,) = jobs.list_jobs(tx, user_id)
    assert (job.session_ids, job.classifier, job.options) == ((made,), "cnn", {})
    assert "Follow the training" not in [one.label for one in page.button]  # a link, and this is its page
    as_role("viewer", user_id)
    page = open_page()
    assert [one.key for one in page.button if (one.key or "").startswith("path-")] == []


def test_facts_are_read_in_five_milliseconds_beside_a_thousand_sessions(pool: Pool, ada: Profile) -> None:
    begin = now() - timedelta(days=40)
    with pool.transaction() as tx:
        (fist,) = gestures.ensure_gestures(tx, ada.user_id, ["fist"]).values()
        execute(
            tx,
            """
            INSERT INTO sessions (user_id, name, origin, status, started_at, ended_at, channels, rate_hz, sensor,
                                  mains_hz)
            SELECT %s, 'Session ' || n, 'capture', 'completed', %s + n * interval '5 min',
                   %s + n * interval '5 min' + interval '4 min', '{a0,a1,a2,a3}', 200, 'raw', 50
            FROM generate_series(1, 1000) n
            """,
            (ada.user_id, begin, begin),
        )
        execute(
            tx,
            """
            INSERT INTO repetitions (session_id, gesture_id, number, started_at, ended_at)
            SELECT session_id, %s, n, started_at + n * interval '5 s', started_at + n * interval '5 s' + interval '3 s'
            FROM sessions, generate_series(1, 20) n WHERE user_id = %s
            """,
            (fist, ada.user_id),
        )
    insert_models(pool, ada.user_id, 2)
    stream_for(pool, ada.user_id)
    decided = Decision(ada.user_id, "fist", 0.9, 2, 0, us_from_utc(now()), us_from_utc(now()), us_from_utc(now()))
    taken = []
    for _ in range(30):  # the best of them: this machine computes other things too
        with pool.transaction() as tx:
            began = time.perf_counter()
            facts = path.read_facts(tx, ada)
            taken.append(time.perf_counter() - began)
    assert facts.stored.active_at is not None
    assert replace(facts.stored, active_at=None) == PathFacts(gestures=2, labelled=True, newest=2, version=2)
    assert min(taken) < 0.005
    with pool.transaction() as tx:
        decisions.insert_decisions(tx, [replace(decided, label="rest"), replace(decided, label=None)])
        assert not read_path_facts(tx, ada.user_id).recognised
        decisions.insert_decisions(tx, [decided])
        assert read_path_facts(tx, ada.user_id).recognised
