"""Whose a board or a number is, is judged under its lock: it may become somebody else's while one waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from semg.errors import NotFoundError, SemgError
from semg.privacy.consent import TEST_PERSON
from semg.security.board_keys import make_board, renew_key
from semg.security.keys import ring_of
from semg.settings import Settings
from semg.store import access, accounts, boards, profiles, senders
from semg.store.pool import Pool, Transaction, execute
from testing.kits.new_logins import make_login
from ui.boards import let_send, lock_and_require, lock_own
from ui.runtime import App
from ui.sources import assign_number

pytestmark = pytest.mark.servers
NUMBER = 777_777


@pytest.fixture
def two(settings: Settings, pool: Pool) -> tuple[tuple[App, int], tuple[App, int]]:
    """Two researchers, each with a profile."""

    def make(login: str) -> tuple[App, int]:
        with pool.transaction() as tx:
            number = accounts.insert_account(tx, login, "", "researcher")
            account = accounts.find_account(tx, login)
            assert account is not None
            user_id = profiles.insert_profile(
                tx, f"of {login}", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON, owner_id=number
            )
        return App(settings, pool).of(account, make_login(pool, number).login_id), user_id

    return make("victim"), make("mallory")


def outcome_of(pool: Pool, act: Callable[[Transaction], Any], meanwhile: Callable[[Transaction], Any]) -> Exception:
    """Have an act wait for a lock while something else is committed, and return what it raised."""
    raised: list[Exception] = []

    def attempt() -> None:
        try:
            with pool.transaction() as tx:
                act(tx)
        except SemgError as exc:
            raised.append(exc)

    thread = threading.Thread(target=attempt)
    with pool.transaction() as tx:
        meanwhile(tx)
        thread.start()
        for _ in range(500):
            with pool.transaction() as look:
                if execute(look, "SELECT 1 FROM pg_locks WHERE NOT granted"):
                    break
            time.sleep(0.01)
        else:
            raise AssertionError("nobody waits for a lock")
    thread.join(10)
    assert raised, "it was done, though the board was somebody else's by then"
    return raised[0]


@pytest.mark.parametrize("act", ["assign", "key", "revoke", "remove"])
def test_board_that_became_somebody_else_s_while_one_waited_is_not_changed(
    pool: Pool, settings: Settings, two: tuple[tuple[App, int], tuple[App, int]], act: str
) -> None:
    (victim, theirs), (mallory, own) = two
    with pool.transaction() as tx:
        board_id, _ = make_board(tx, ring_of(settings), "Left band")
        before = boards.get_board(tx, board_id)

    def change(tx: Transaction) -> None:
        if act == "assign":
            let_send(mallory, tx, board_id, own)
            return
        lock_and_require(mallory, tx, board_id)
        if act == "key":
            renew_key(tx, ring_of(settings), board_id)
        elif act == "revoke":
            boards.revoke_key(tx, board_id)
        else:
            boards.delete_board(tx, board_id)

    raised = outcome_of(pool, change, lambda tx: let_send(victim, tx, board_id, theirs))
    assert isinstance(raised, NotFoundError)
    with pool.transaction() as tx:
        after = boards.get_board(tx, board_id)
    assert (after.belongs_to, after.key_encrypted) == (theirs, before.key_encrypted)


def test_number_that_became_somebody_else_s_while_one_waited_stays_theirs(
    pool: Pool, two: tuple[tuple[App, int], tuple[App, int]]
) -> None:
    (victim, theirs), (mallory, own) = two
    raised = outcome_of(
        pool,
        lambda tx: assign_number(mallory, tx, NUMBER, own),
        lambda tx: assign_number(victim, tx, NUMBER, theirs),
    )
    assert isinstance(raised, NotFoundError)
    with pool.transaction() as tx:
        assert senders.list_senders(tx) == {NUMBER: theirs}


def test_arm_of_a_profile_that_is_no_longer_shared_is_not_changed(
    pool: Pool, two: tuple[tuple[App, int], tuple[App, int]]
) -> None:
    (_, theirs), (mallory, _) = two
    assert mallory.account is not None
    account = mallory.account
    with pool.transaction() as tx:
        access.add_share(tx, theirs, account.account_id)

    def unshare(tx: Transaction) -> None:
        execute(tx, "SELECT 1 FROM profiles WHERE user_id = %s FOR UPDATE", (theirs,))
        access.remove_share(tx, theirs, account.account_id)

    assert isinstance(outcome_of(pool, lambda tx: lock_own(mallory, tx, theirs), unshare), NotFoundError)
