"""Jobs, reports and versions; and how decisions are made of them live."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from semg.domain import DecisionSpec
from semg.settings import Settings
from semg.signals.training.progress import EpochPoint
from semg.store import jobs, models, profiles
from semg.store.pool import Pool
from testing.kits.page_data import JOBS, LIVE, REPORT, Open, act, all_text, field, insert_models, make_session, now

pytestmark = pytest.mark.servers


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
    act(page, f"cancel-{number}").click().run()
    with pool.transaction() as tx:
        assert jobs.get_job(tx, number).cancel_requested


def test_failed_job_shows_its_error_and_is_tried_again(open_page: Open, pool: Pool, profile_id: int) -> None:
    number = scheduled_job(pool, profile_id)
    with pool.transaction() as tx:
        jobs.claim_due_job(tx, "runner")
        jobs.fail_job(tx, number, "Only one gesture was recorded.")
    page = open_page(JOBS)
    assert page.error[0].value == "Only one gesture was recorded."
    act(page, f"retry-{number}").click().run()
    with pool.transaction() as tx:
        assert [one.status for one in jobs.list_jobs(tx, profile_id)] == ["scheduled", "failed"]


def test_report_is_shown_and_an_older_version_activated(open_page: Open, pool: Pool, profile_id: int) -> None:
    insert_models(pool, profile_id, 2)
    page = open_page(JOBS)
    assert not page.exception
    assert [one.value for one in page.metric] == ["85.0 %", "90.0 %", "86.0 %"]
    captions = " ".join(one.value for one in page.caption)
    assert "chance 50.0 %" in captions
    assert "always predicting the most frequent gesture: 40.0 %" in captions
    assert "the last session held out" in all_text(page)
    field(page.selectbox, "Version").select_index(1).run()
    act(page, "activate").click().run()
    with pool.transaction() as tx:
        active = models.find_active(tx, profile_id)
    assert active is not None
    assert active.version == 1


def test_profile_without_jobs_leads_to_the_training(open_page: Open, profile_id: int) -> None:
    text = all_text(open_page(JOBS))
    assert "No training jobs yet" in text
    assert "first training job has completed" in text


def test_voting_and_rejection_are_saved_to_the_profile(open_page: Open, pool: Pool, profile_id: int) -> None:
    insert_models(pool, profile_id, 1)
    page = open_page(LIVE)
    assert not page.exception
    page.slider(key=f"vote-{profile_id}").set_value(7).run()
    page.slider(key=f"confidence-{profile_id}").set_value(65).run()
    with pool.transaction() as tx:
        assert profiles.get_profile(tx, profile_id).decision == DecisionSpec(7, pytest.approx(0.65))


def test_what_the_report_suggests_for_a_target_is_taken(open_page: Open, pool: Pool, profile_id: int) -> None:
    points = [
        {"vote_n": 1, "min_confidence": 0.3, "hysteresis": 0.0, "recognised": 0.9, "false_activations_per_min": 4.0},
        {"vote_n": 5, "min_confidence": 0.6, "hysteresis": 0.3, "recognised": 0.8, "false_activations_per_min": 0.4},
    ]
    insert_models(pool, profile_id, 1, {"operating_points": points})
    page = open_page(LIVE)
    assert "0.4 false activations" in all_text(page)
    page.selectbox(key=f"target-{profile_id}").set_value(0.0).run()
    assert "No setting" in all_text(page)
    page.selectbox(key=f"target-{profile_id}").set_value(2.0).run()
    act(page, "use").click().run()
    assert not page.exception
    assert page.slider(key=f"hysteresis-{profile_id}").value == 30
    with pool.transaction() as tx:
        assert profiles.get_profile(tx, profile_id).decision == DecisionSpec(5, pytest.approx(0.6), pytest.approx(0.3))


def test_live_page_without_a_model_says_so(open_page: Open, profile_id: int) -> None:
    page = open_page(LIVE)
    assert not page.exception
    assert "Ada has no model yet" in all_text(page)
    assert not page.slider


def test_epochs_of_a_running_job_are_drawn(open_page: Open, pool: Pool, profile_id: int) -> None:
    number = scheduled_job(pool, profile_id)
    with pool.transaction() as tx:
        jobs.claim_due_job(tx, "runner")
        points = [EpochPoint(what="final", epoch=epoch, epochs=18, loss=loss) for epoch, loss in ((1, 1.5), (2, 0.7))]
        jobs.update_epochs(tx, number, [replace(point, held_out_error=0.25).as_json() for point in points])
    page = open_page(JOBS)
    assert not page.exception
    (curve,) = drawings(page)
    (line,) = curve["data"]
    assert (line["name"], line["x"], line["y"]) == ("final", [1, 2], [1.5, 0.7])
    assert line["customdata"][0] == ", wrong in 25.0 % of what was left out"


def test_job_from_before_epochs_were_stored_shows_its_log_alone(open_page: Open, pool: Pool, profile_id: int) -> None:
    number = scheduled_job(pool, profile_id)
    with pool.transaction() as tx:
        jobs.claim_due_job(tx, "runner")
        jobs.update_progress(tx, number, 10.0, 1, 18, "final: epoch 1 of 18, loss 1.500")
    page = open_page(JOBS)
    assert not page.exception
    assert drawings(page) == []
    assert "loss 1.500" in page.code[0].value


def test_report_tells_of_decisions_confidence_and_the_version_before(
    open_page: Open, pool: Pool, profile_id: int
) -> None:
    insert_models(pool, profile_id, 2)
    page = open_page(JOBS)
    said = all_text(page)
    assert "95.0 % correct, 10.0 % unsure, 1.5 false activations per minute of rest" in said
    assert "a minimum confidence of 60.0 %" in said
    assert "85.0 % balanced, previously 80.0 % (better)" in said
    assert "Record more repetitions of fist" in said
    matrix, reliability = drawings(page)
    assert matrix["data"][0]["customdata"] == REPORT["confusion"]
    assert reliability["data"][1]["y"] == [0.875]
    versions = next(each.value for each in page.dataframe if "Version" in each.value)
    assert versions["Version"].tolist() == ["2 ●", "1"]
    assert versions["Balanced"].tolist() == ["85.0 %", "85.0 %"]


def test_report_tells_of_short_gestures_per_performance(open_page: Open, pool: Pool, profile_id: int) -> None:
    dynamic = {
        "by": "session", "performances": 24, "balanced_accuracy": 0.9167, "classes": ["flick", "snap", ""],
        "per_gesture": {"flick": {"recall": 1.0, "n": 12}, "snap": {"recall": 0.8333, "n": 12}},
        "confusion": [[12, 0, 0], [1, 10, 1], [0, 1, 30]], "missed_onsets": 1, "doubled": 2,
        "false_per_min_rest": 0.25, "false_per_min_held": None,
    }  # fmt: skip
    insert_models(pool, profile_id, 1, {"dynamic": dynamic})
    page = open_page(JOBS)
    assert not page.exception
    said = all_text(page)
    assert "91.7 % balanced over 24 performances, each session held out in turn (chance 50.0 %)" in said
    assert "1 with no onset found, 2 decided twice; decided where none was performed: 0.2 a minute of rest." in said
    matrix = next(each for each in drawings(page) if each["data"][0].get("customdata") == dynamic["confusion"])
    assert matrix["data"][0]["x"][-1] == "none of them"


def test_version_without_its_report_yet_says_so(open_page: Open, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        models.insert_model(tx, profile_id, None, b"weights", {"kind": "cnn"}, {"pending": True}, 1 << 20)
        models.activate_model(tx, profile_id, 1)
    page = open_page(JOBS)
    assert not page.exception
    assert "its report will appear here" in all_text(page)
    with pool.transaction() as tx:
        models.update_report(tx, profile_id, 1, {"incomplete": "the training was cancelled"})
    assert "This version has no report: the training was cancelled" in all_text(open_page(JOBS))


def test_model_and_report_can_be_downloaded(open_page: Open, pool: Pool, profile_id: int, settings: Settings) -> None:
    insert_models(pool, profile_id, 1)
    page = open_page(JOBS)
    offered = [(one.proto.label, one.proto.url.partition("?token=")[0]) for one in page.get("link_button")]
    files = f"{settings.api_url}/files/model-{profile_id}-1"
    assert offered == [("Model (safetensors)", f"{files}.safetensors"), ("Report (JSON)", f"{files}.json")]
    assert not page.get("download_button")


def drawings(page: Any) -> list[dict[str, Any]]:
    """The specifications of a page's charts."""
    return [json.loads(one.proto.spec) for one in page.get("plotly_chart")]


@pytest.mark.parametrize(
    ("made", "doubt"),
    [
        ({"verdict": {"level": "do not use", "code": "chance", "sentence": "It is hardly better than chance."}},
         "hardly better than chance"),
        ({"verdict": {"level": "good", "code": "good", "sentence": "It is good."},
          "activation": {"activated": False, "why": "It is worse than the active version."}},
         "worse than the active version"),
        ({"pending": True}, "has not been tested on held-out data"),
    ],
)  # fmt: skip
def test_version_with_a_doubt_decides_only_when_it_is_said_twice(
    open_page: Open, pool: Pool, profile_id: int, made: dict[str, object], doubt: str
) -> None:
    insert_models(pool, profile_id, 1)
    insert_models(pool, profile_id, 1, made)
    with pool.transaction() as tx:
        models.activate_model(tx, profile_id, 1)
    page = open_page(JOBS)
    field(page.selectbox, "Version").select_index(0).run()
    assert doubt in all_text(page)
    assert not [one for one in page.button if "Activate" in one.label]
    page.checkbox(key=f"sure-{profile_id}-2").check().run()
    act(page, "activate-2").click().run()
    with pool.transaction() as tx:
        assert models.find_active(tx, profile_id).version == 2
    if made.get("verdict", {}).get("level") == "do not use":
        assert "Do not use" in all_text(open_page(LIVE))


def test_use_these_is_not_offered_for_what_recognises_next_to_nothing(
    open_page: Open, pool: Pool, profile_id: int
) -> None:
    points = [
        {"vote_n": 9, "min_confidence": 0.9, "hysteresis": 0.0, "recognised": 0.03, "false_activations_per_min": 0.1},
        {"vote_n": 1, "min_confidence": 0.3, "hysteresis": 0.0, "recognised": 0.9, "false_activations_per_min": 40.0},
    ]
    insert_models(pool, profile_id, 1, {"operating_points": points})
    page = open_page(LIVE)
    assert not [one for one in page.button if one.label.startswith("Use these")]
    assert "recognise at most 3 % of the gestures" in " ".join(one.value for one in page.caption)
