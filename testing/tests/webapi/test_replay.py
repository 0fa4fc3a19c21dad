"""A part of a session is replayed over the API: as live would have decided, only for who may see it, written down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import numpy as np
import pytest

from semg.domain import DecisionSpec
from semg.recordings.importing import import_recording
from semg.recordings.replaying import MOST_S, ReplayRequest, replay_session
from semg.recordings.session_data import load_session
from semg.signals.model.replay import Replay
from semg.store import accounts, api_tokens, audit, blocks, profiles, sessions
from semg.store.pool import Pool, execute
from testing.kits.store_queries import set_shares

pytestmark = pytest.mark.servers
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def session_id(pool: Pool, make_wearer, classifier, recording) -> int:
    """A session of a profile with an active model."""
    user_id = make_wearer("Ada", classifier)
    with pool.transaction() as tx:
        return import_recording(tx, user_id, recording, "Monday", START).session_id


def user_of(pool: Pool, session_id: int) -> int:
    with pool.transaction() as tx:
        return sessions.get_session(tx, session_id).user_id


def test_answer_is_what_a_replay_of_the_stored_blocks_decides(
    api: httpx.Client, pool: Pool, session_id: int, classifier
) -> None:
    answer = api.get(f"/replay/{session_id}")
    assert answer.status_code == 200
    found = answer.json()
    with pool.transaction() as tx:
        session = sessions.get_session(tx, session_id)
        table = blocks.read_session_blocks(tx, session)
        labelled = load_session(tx, session)
    expected = Replay(classifier, (0, 1, 2, 3), 4, DecisionSpec()).push(table)
    assert (found["userid"], found["model_version"], found["from_start"]) == (session.user_id, 1, True)
    assert found["labels"] == expected.labels
    assert found["ends_us"] == expected.ends_us.tolist()
    np.testing.assert_allclose(found["confidences"], expected.confidences, atol=1e-6)
    counts = found["counts"]
    assert sum(counts.values()) == len(expected)
    assert counts["agreeing"] > 0.8 * (counts["agreeing"] + counts["other"] + counts["rejected"])
    gestures = [one for one in labelled.stretches if one.label != "rest"]
    assert found["events"]["prompts"] == len(gestures)
    assert found["events"]["missed"] <= 1
    assert 0 < found["events"]["median_latency_ms"] < 1500


def test_a_part_and_other_settings_are_replayed_as_asked_for(api: httpx.Client, session_id: int) -> None:
    whole = api.get(f"/replay/{session_id}").json()
    part = api.get(f"/replay/{session_id}", params={"since_s": 2, "until_s": 5}).json()
    start_us = int(START.timestamp()) * 1_000_000
    inside = [2_000_000 <= at - start_us < 5_000_000 for at in whole["ends_us"]]
    assert part["ends_us"] == [at for at, is_in in zip(whole["ends_us"], inside, strict=True) if is_in]
    assert part["labels"] == [one for one, is_in in zip(whole["labels"], inside, strict=True) if is_in]
    strict = api.get(f"/replay/{session_id}", params={"min_confidence": 0.999, "vote_n": 1, "follows": False}).json()
    assert strict["counts"]["rejected"] > whole["counts"]["rejected"]


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"part": "dense"}, 409, "not dense"),
        ({"part": "oracle"}, 422, "'all', 'closed form'"),
        ({"version": 9}, 404, "no model version 9"),
        ({"since_s": 5, "until_s": 5}, 422, "since_s before until_s"),
        ({"until_s": 1e6}, 422, "within"),
        ({"vote_n": 100}, 422, "vote_n"),
        ({"min_confidence": "nan"}, 422, "min_confidence"),
    ],
)
def test_what_cannot_be_replayed_says_why(
    api: httpx.Client, session_id: int, asked: dict[str, object], status: int, said: str
) -> None:
    answer = api.get(f"/replay/{session_id}", params=asked)
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text


def test_only_who_sees_the_profile_may_and_it_is_written_down(api: httpx.Client, pool: Pool, session_id: int) -> None:
    user_id = user_of(pool, session_id)

    def ask(login: str, *scopes: str, number: int = session_id) -> httpx.Response:
        with pool.transaction() as tx:
            account_id = accounts.insert_account(tx, login, "", "viewer")
            if login == "eve":
                set_shares(tx, user_id, [account_id])
            token = api_tokens.insert_token(tx, account_id, "test", scopes).text
        return api.get(f"/replay/{number}", headers={"Authorization": f"Bearer {token}"})

    assert ask("eve", "read").status_code == 200
    assert ask("ann", "predict").status_code == 403
    other, absent = ask("bob", "read"), ask("cid", "read", number=999_999)
    assert (other.status_code, absent.status_code) == (404, 404)
    assert other.json()["detail"] == absent.json()["detail"].replace("999999", str(session_id))
    assert api.get("/replay/1", headers={"Authorization": ""}).status_code == 401
    with pool.transaction() as tx:
        found = [one for one in audit.list_entries(tx) if one.action == "samples.seen"]
    assert [(one.who, one.user_id, one.session_id) for one in found] == [("eve", user_id, session_id)]


def test_without_consent_nothing_is_replayed(api: httpx.Client, pool: Pool, session_id: int) -> None:
    with pool.transaction() as tx:
        execute(tx, "UPDATE consents SET scopes = '{}'")
    answer = api.get(f"/replay/{session_id}")
    assert (answer.status_code, "consent" in answer.json()["detail"]) == (409, True)


def test_a_version_of_other_channels_or_another_rate_is_refused(pool: Pool, make_wearer, classifier) -> None:
    user_id = make_wearer("Bea", classifier, rate_hz=1000.0, channels=("b0", "b1"))
    with pool.transaction() as tx:
        number = sessions.insert_session(
            tx,
            user_id,
            "Monday",
            "capture",
            START,
            START + timedelta(hours=1),
            status="completed",
            device=profiles.get_profile(tx, user_id).device,
        )
    request = ReplayRequest(session_id=number, since=START, until=START + timedelta(seconds=9))
    with pytest.raises(Exception, match="the model needs channels a0"):
        replay_session(pool, request)
    with pool.transaction() as tx:
        execute(tx, "UPDATE sessions SET channels = '{a0,a1,a2,a3}'")
    with pytest.raises(Exception, match="expected a session of"):
        replay_session(pool, request)


def test_a_long_time_is_refused_and_the_way_to_a_late_part_is_cut(pool: Pool, make_wearer, classifier) -> None:
    user_id = make_wearer("Cy", classifier)
    with pool.transaction() as tx:
        number = sessions.insert_session(
            tx,
            user_id,
            "Day",
            "capture",
            START,
            START + timedelta(hours=8),
            status="completed",
            device=profiles.get_profile(tx, user_id).device,
        )
    with pytest.raises(Exception, match="expected at most 900 s"):
        replay_session(pool, ReplayRequest(session_id=number, since=START, until=START + timedelta(seconds=MOST_S + 1)))
    late = START + timedelta(hours=7)
    found = replay_session(pool, ReplayRequest(session_id=number, since=late, until=late + timedelta(seconds=60)))
    assert (len(found.decisions), found.from_start, found.counts.between) == (0, False, 0)
