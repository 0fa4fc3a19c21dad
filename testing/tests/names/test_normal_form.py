"""Names that look alike are one, for people, gestures and sessions, and for two who enter them at one moment."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from semg.errors import ConflictError
from semg.privacy.consent import TEST_PERSON
from semg.store import accounts, gestures, import_layouts, profiles, sessions
from semg.store.pool import Pool
from semg.wire.file_layout import Layout

pytestmark = pytest.mark.servers
ALIKE = ["Ada Lovelace", "ada lovelace", " ADA  Lovelace ", "Ad\u0061 Lovelace"]


def make(pool: Pool, name: str) -> int:
    with pool.transaction() as tx:
        return profiles.insert_profile(tx, name, channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)


@pytest.mark.parametrize("name", ALIKE)
def test_profile_of_a_name_that_looks_alike_is_refused_and_found(pool: Pool, name: str) -> None:
    user_id = make(pool, "Ada Lovelace")
    with pytest.raises(ConflictError):
        make(pool, name)
    other = make(pool, "Ben")
    with pytest.raises(ConflictError), pool.transaction() as tx:
        profiles.update_profile(tx, other, name=name)
    with pool.transaction() as tx:
        found = profiles.find_profile_by_name(tx, name)
        assert [one.name for one in profiles.list_profiles(tx)] == ["Ada Lovelace", "Ben"]
        assert profiles.update_profile(tx, user_id, name="ADA Lovelace").name == "ADA Lovelace"
    assert found is not None
    assert found.user_id == user_id


def test_two_who_make_one_profile_at_one_moment_make_one(pool: Pool) -> None:
    barrier, refused = threading.Barrier(6), []

    def run(name: str) -> None:
        barrier.wait()
        try:
            make(pool, name)
        except ConflictError as exc:
            refused.append(exc)

    threads = [threading.Thread(target=run, args=(name,)) for name in ("Ada", "ada", "ADA", "aDa", " Ada", "Ada ")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with pool.transaction() as tx:
        assert len(profiles.list_profiles(tx)) == 1
    assert len(refused) == 5


def test_gesture_of_a_name_that_looks_alike_is_refused(pool: Pool) -> None:
    user_id = make(pool, "Ada")
    with pool.transaction() as tx:
        first = gestures.insert_gesture(tx, user_id, "Fist")
        second = gestures.insert_gesture(tx, user_id, "open  hand")
    for name in ("fist", " FIST ", "Rest"):
        with pytest.raises(ConflictError), pool.transaction() as tx:
            gestures.insert_gesture(tx, user_id, name)
        with pytest.raises(ConflictError), pool.transaction() as tx:
            gestures.update_gesture(tx, second, name)
    with pool.transaction() as tx:
        gestures.update_gesture(tx, first, "fist")
        assert [one.name for one in gestures.list_gestures(tx, user_id)] == ["rest", "fist", "open hand"]


def test_session_of_a_name_that_looks_alike_is_refused(pool: Pool) -> None:
    user_id = make(pool, "Ada")
    at = datetime(2026, 1, 5, tzinfo=UTC)
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, user_id).device
        sessions.insert_session(
            tx, user_id, "Monday", "capture", at, at + timedelta(seconds=5), status="completed", device=device
        )
        sessions.require_free_name(tx, user_id, "Tuesday")
        with pytest.raises(ConflictError, match="“Monday” already"):
            sessions.require_free_name(tx, user_id, " monday")


def test_layouts_are_remembered_for_an_account_and_the_oldest_go(pool: Pool) -> None:
    with pool.transaction() as tx:
        ada, ben = (accounts.insert_account(tx, login, "", "researcher") for login in ("ada", "ben"))
    made = [Layout(header=("t", f"a{number}"), time="t", channels=(f"a{number}",)) for number in range(60)]
    for layout in made:
        with pool.transaction() as tx:
            import_layouts.remember_layout(tx, ada, layout)
    with pool.transaction() as tx:
        assert import_layouts.find_layout(tx, ada, made[-1].fingerprint) == made[-1]
        assert import_layouts.find_layout(tx, ada, made[0].fingerprint) is None
        assert import_layouts.find_layout(tx, ben, made[-1].fingerprint) is None


def test_login_is_found_as_it_was_typed(pool: Pool) -> None:
    with pool.transaction() as tx:
        account_id = accounts.insert_account(tx, "ada  l", "", "researcher")
        found = accounts.find_account(tx, " ada  l ")
        assert found is not None
        assert found.account_id == account_id
        assert accounts.find_account(tx, "ada l") is None
        assert accounts.find_account(tx, "Ada  l") is None
