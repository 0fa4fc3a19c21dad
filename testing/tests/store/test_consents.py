"""Consent: a history, its texts, and what cannot be done without it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from semg.capture import make_plan
from semg.consent_types import ConsentText
from semg.errors import ConflictError, ConsentError, SettingsError
from semg.privacy import consent
from semg.privacy.consent import TEST_PERSON, read_text
from semg.store import consents, jobs, profiles, sessions, videos
from semg.store.pool import Pool
from testing.kits.store_data import T0, Filled

NOTHING = replace(TEST_PERSON, scopes=())
NO_VIDEO = replace(TEST_PERSON, scopes=("recording",))


def record(pool: Pool, user_id: int) -> int:
    """Begin a capture."""
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, user_id).device
        plan = make_plan(["fist"], 2, 4, 2, 0, False, 0)
        return sessions.insert_session(tx, user_id, "now", "capture", T0, status="recording", plan=plan, device=device)


def test_newest_entry_counts_and_older_ones_stay(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        for new in (NO_VIDEO, NOTHING, TEST_PERSON):
            consents.insert_consent(tx, filled.user_id, replace(new, recorded_by="admin"))
    with pool.transaction() as tx:
        history = consents.list_consents(tx, filled.user_id)
        assert profiles.get_profile(tx, filled.user_id).consent == history[0]
        assert consents.consenting(tx, [filled.user_id, 999], "video") == {filled.user_id}
    assert [len(one.scopes) for one in history] == [4, 0, 1, 4]
    assert history[0].recorded_by == "admin"


def test_text_is_kept_word_for_word_and_a_changed_one_needs_a_new_version(pool: Pool, filled: Filled) -> None:
    first = replace(TEST_PERSON, text=ConsentText("version 1", "We record your muscles."))
    with pool.transaction() as tx:
        consents.insert_consent(tx, filled.user_id, first)
        assert consents.find_text(tx, "version 1") == first.text
    changed = replace(first, text=ConsentText("version 1", "We sell your muscles."))
    with pytest.raises(ConflictError, match="give it a new version"), pool.transaction() as tx:
        consents.insert_consent(tx, filled.user_id, changed)


def test_nothing_is_recorded_imported_or_trained_without_consent(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        consents.insert_consent(tx, filled.user_id, NOTHING)
        device = profiles.get_profile(tx, filled.user_id).device
        unasked = profiles.insert_profile(tx, "Ben", channels=("a0", "a1"), rate_hz=200)
    for user_id, why in ((filled.user_id, "no longer agrees to being recorded"), (unasked, "has not agreed")):
        with pytest.raises(ConflictError, match=why):
            record(pool, user_id)
        with pytest.raises(ConflictError, match=why), pool.transaction() as tx:
            sessions.insert_session(tx, user_id, "file", "import", T0, T0 + timedelta(seconds=1), status="completed",
                                    device=device)  # fmt: skip
    with pytest.raises(ConflictError, match="the Profiles page"), pool.transaction() as tx:
        jobs.insert_job(tx, filled.user_id, [filled.session_id], "cnn", {})


def test_video_needs_its_own_consent_and_ends_with_it(pool: Pool, filled: Filled) -> None:
    session_id = record(pool, filled.user_id)
    with pool.transaction() as tx:
        videos.begin_video(tx, session_id)
        assert videos.touch_video(tx, session_id)
        consents.insert_consent(tx, filled.user_id, NO_VIDEO)
        assert not videos.touch_video(tx, session_id)
        assert sessions.get_session(tx, session_id).status == "recording"
    with pytest.raises(ConflictError, match="no longer agrees to being filmed"), pool.transaction() as tx:
        videos.begin_video(tx, session_id)


def test_withdrawal_ends_the_capture_and_the_jobs(pool: Pool, filled: Filled) -> None:
    session_id = record(pool, filled.user_id)
    with pool.transaction() as tx:
        job_id = jobs.insert_job(tx, filled.user_id, [filled.session_id], "cnn", {})
        consent.change(tx, filled.user_id, NO_VIDEO)
        assert sessions.get_session(tx, session_id).status == "recording"
        consent.change(tx, filled.user_id, NOTHING, T0 + timedelta(seconds=3))
        ended = sessions.get_session(tx, session_id)
        assert (ended.status, ended.ended_at) == ("aborted", T0 + timedelta(seconds=3))
        assert jobs.get_job(tx, job_id).status == "canceled"
        assert len(sessions.list_sessions(tx, filled.user_id)) == 3, "what is stored stays until it is erased"


def test_withdrawal_cancels_every_open_job_and_no_other(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        jobs.claim_job(tx, filled.job_id, "test")
        jobs.complete_job(tx, filled.job_id)
        opened = [jobs.insert_job(tx, filled.user_id, [filled.session_id], "cnn", {}) for _ in range(130)]
        jobs.claim_job(tx, opened[0], "test")
        other = profiles.insert_profile(tx, "Ben", channels=("a0", "a1"), rate_hz=200, consent=TEST_PERSON)
        device = profiles.get_profile(tx, other).device
        theirs = sessions.insert_session(
            tx, other, "s", "import", T0, T0 + timedelta(seconds=1), status="completed", device=device
        )
        kept = jobs.insert_job(tx, other, [theirs], "cnn", {})
        consent.change(tx, filled.user_id, NOTHING)
        assert {jobs.get_job(tx, job_id).status for job_id in opened[1:]} == {"canceled"}
        running = jobs.get_job(tx, opened[0])
        assert (running.status, running.cancel_requested, running.ended_at) == ("in-progress", True, None)
        done = jobs.get_job(tx, filled.job_id)
        assert (done.status, done.cancel_requested) == ("completed", False)
        assert jobs.get_job(tx, kept).status == "scheduled"


def test_text_comes_from_the_project_or_the_named_file(settings, tmp_path) -> None:
    assert read_text(settings).version == "version 2"
    assert "withdraw" in read_text(settings).content
    own = settings.model_copy(update={"consent_file": tmp_path / "own.md"})
    with pytest.raises(SettingsError, match="CONSENT_FILE"):
        read_text(own)
    own.consent_file.write_text("Version 2 of our laboratory\n\nWe record.\n")
    assert read_text(own) == ConsentText("version 2 of our laboratory", "We record.")
    own.consent_file.write_text("We record.\n")
    with pytest.raises(SettingsError, match="first line"):
        read_text(own)


def test_who_agreed_before_there_was_sharing_of_data_has_not_agreed_to_it(pool: Pool) -> None:
    earlier = replace(TEST_PERSON, scopes=("recording", "video", "shared_models"))
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=("a0",), rate_hz=200, consent=earlier)
        assert consents.consenting(tx, [user_id], "shared_data") == set()
        with pytest.raises(ConsentError, match="has not agreed to sharing the recordings with others"):
            consents.require(tx, user_id, "shared_data")
