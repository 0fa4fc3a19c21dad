"""Choosing what a training learns from."""

from __future__ import annotations

from datetime import timedelta

import pytest

from semg.store import jobs, repetitions, sessions
from semg.store.pool import Pool
from semg.store.session_quality import SessionQuality, save_quality
from testing.kits.page_data import TRAIN, Open, act, all_text, button, field, make_session, now

pytestmark = pytest.mark.servers


def test_training_is_scheduled_with_the_chosen_sessions(open_page: Open, pool: Pool, profile_id: int) -> None:
    first = make_session(pool, profile_id, now() - timedelta(hours=2), "one")
    second = make_session(pool, profile_id, now() - timedelta(hours=1), "two")
    page = open_page(TRAIN)
    assert not page.exception
    page.checkbox(key=f"session-{first}").uncheck().run()
    page.selectbox(key="kind").select_index(1).run()
    button(page, "Start training for Ada").click().run()
    assert not page.exception
    with pool.transaction() as tx:
        (job,) = jobs.list_jobs(tx, profile_id)
    assert job.session_ids == (second,)
    assert (job.classifier, job.status, job.options) == ("logcov_lda", "scheduled", {})
    assert [one.value for one in page.title] == ["Jobs and models"]


def test_training_needs_a_session(open_page: Open, pool: Pool, profile_id: int) -> None:
    number = make_session(pool, profile_id, now() - timedelta(hours=2))
    page = open_page(TRAIN)
    page.checkbox(key=f"session-{number}").uncheck().run()
    assert button(page, "Start training for Ada").disabled


def test_training_at_a_time_waits_for_it(open_page: Open, pool: Pool, profile_id: int) -> None:
    make_session(pool, profile_id, now() - timedelta(hours=2))
    page = open_page(TRAIN)
    page.radio(key="when").set_value("Later").run()
    page.date_input(key="day").set_value((now() + timedelta(days=2)).date()).run()
    button(page, "Start training for Ada").click().run()
    with pool.transaction() as tx:
        (job,) = jobs.list_jobs(tx, profile_id)
    assert timedelta(days=1) < job.scheduled_at - now() < timedelta(days=3)


def test_training_without_a_session_leads_to_the_capture(open_page: Open, profile_id: int) -> None:
    assert "has no recorded sessions yet" in all_text(open_page(TRAIN))


def test_few_repetitions_are_told(open_page: Open, pool: Pool, profile_id: int) -> None:
    make_session(pool, profile_id, now() - timedelta(hours=2))
    assert "Fewer than 3 repetitions" in all_text(open_page(TRAIN))


def test_session_tells_its_quality_and_a_bad_one_is_warned_of(open_page: Open, pool: Pool, profile_id: int) -> None:
    number = make_session(pool, profile_id, now() - timedelta(hours=2), "one")
    with pool.transaction() as tx:
        save_quality(tx, number, SessionQuality("bad", "4 of 4 intervals: a1: flat"))
    page = open_page(TRAIN)
    assert "■ Do not use. Channel a1 was loose in every interval" in page.checkbox(key=f"session-{number}").label
    assert "one: Do not use. Channel a1 was loose in every interval. Consider leaving it out" in all_text(page)


def test_look_into_a_session_leaves_all_out_and_takes_all_in(open_page: Open, pool: Pool, profile_id: int) -> None:
    number = make_session(pool, profile_id, now() - timedelta(hours=2), "one")
    with pool.transaction() as tx:
        first = sessions.list_repetitions(tx, number)[0]
        save_quality(tx, number, SessionQuality("good", "", {first.repetition_id: ("fair", "a0: clipped")}))
    page = open_page(TRAIN)
    page.toggle(key="look").set_value(True).run()
    assert not page.exception
    shown = next(each.value for each in page.dataframe if "Signal" in each.value)
    assert shown["Signal"].tolist() == ["▲ a0: clipped", "", "", ""]
    act(page, f"all-out-{number}").click().run()
    assert not page.error
    with pool.transaction() as tx:
        found = sessions.list_repetitions(tx, number)
        assert len(repetitions.list_changes(tx, number)) == 4
    assert {(one.excluded, one.exclude_reason) for one in found} == {(True, "the session was left out")}
    assert not page.checkbox(key=f"session-{number}").value or "0 repetitions" in str(
        page.checkbox(key=f"session-{number}").label
    )
    act(page, f"all-in-{number}").click().run()
    with pool.transaction() as tx:
        assert not any(one.excluded for one in sessions.list_repetitions(tx, number))


def test_calibration_and_options_that_differ_go_with_the_job(open_page: Open, pool: Pool, profile_id: int) -> None:
    make_session(pool, profile_id, now() - timedelta(hours=2))
    page = open_page(TRAIN)
    page.checkbox(key="calibrate").check()
    page.checkbox(key="use-base").uncheck()
    field(page.number_input, "Epochs").set_value(5)
    button(page, "Start training for Ada").click().run()
    with pool.transaction() as tx:
        (job,) = jobs.list_jobs(tx, profile_id)
    assert job.options == {"calibrate": True, "use_base": False, "epochs": 5}
