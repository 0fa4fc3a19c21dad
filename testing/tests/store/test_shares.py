"""Sharing by a login that is typed: right ones are confirmed, wrong ones all sound the same and are few."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from semg.errors import AccessError, InvalidValueError
from semg.settings import Settings
from semg.store import access, accounts, audit, profiles, shares
from semg.store.accounts import Account
from semg.store.pool import Pool


def make(pool: Pool, login: str, role: str = "researcher") -> Account:
    with pool.transaction() as tx:
        found = accounts.find_account_by_id(tx, accounts.insert_account(tx, login, "", role))
    assert found is not None
    return found


@pytest.fixture
def ada(pool: Pool) -> Account:
    return make(pool, "ada")


@pytest.fixture
def user_id(pool: Pool, ada: Account) -> int:
    with pool.transaction() as tx:
        return profiles.insert_profile(tx, "Ada", channels=("a0",), rate_hz=200, owner_id=ada.account_id)


def share(pool: Pool, ada: Account, user_id: int, login: str) -> Account | None:
    with pool.transaction() as tx:
        return shares.share_with(tx, ada, user_id, login)


def actions(pool: Pool) -> list[str]:
    with pool.transaction() as tx:
        return [entry.action for entry in audit.list_entries(tx)]


def test_right_login_is_confirmed_and_the_share_ends_again(pool: Pool, ada: Account, user_id: int) -> None:
    bo = make(pool, "bo", "viewer")
    found = share(pool, ada, user_id, " bo ")
    assert found is not None
    assert found.account_id == bo.account_id
    with pytest.raises(InvalidValueError, match="already"):
        share(pool, ada, user_id, "bo")
    with pytest.raises(InvalidValueError, match="owns this profile"):
        share(pool, ada, user_id, "ada")
    with pool.transaction() as tx:
        access.require(tx, bo, user_id)
        for _ in range(2):
            shares.end_share(tx, ada, user_id, bo.account_id)
        assert access.list_shares(tx, user_id) == []
    assert actions(pool) == ["profile.unshared", "profile.shared"]


def test_login_that_nobody_has_and_one_that_nothing_is_shared_with_sound_the_same(
    pool: Pool, ada: Account, user_id: int
) -> None:
    make(pool, "root", "admin")
    gone = make(pool, "gone")
    with pool.transaction() as tx:
        accounts.update_account(tx, gone.account_id, role="viewer", disabled=True)
    assert [share(pool, ada, user_id, login) for login in ("nobody", "root", "gone", "' OR 1=1")] == [None] * 4
    with pool.transaction() as tx:
        assert access.list_shares(tx, user_id) == []
    assert actions(pool) == ["profile.share_refused"] * 4


def test_wrong_logins_are_few_also_at_once(settings: Settings, pool: Pool, ada: Account, user_id: int) -> None:
    wide, start = Pool(settings, size=8), threading.Barrier(8)

    def guess(number: int) -> str:
        start.wait(10)
        try:
            return str(share(wide, ada, user_id, f"guess-{number}"))
        except AccessError as exc:
            return str(exc)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(guess, range(24)))
    wide.close()
    assert answers.count("None") == shares.TRIES
    assert all("wrong logins" in answer for answer in answers if answer != "None")
    make(pool, "bo")
    with pytest.raises(AccessError):
        share(pool, ada, user_id, "bo")
    other = make(pool, "cy")
    assert share(pool, other, user_id, "bo") is not None, "another account is not kept from sharing"
    assert actions(pool).count("profile.share_refused") == shares.TRIES
