"""Limits of what other people's pages and every service read whole: profiles, boards, named senders."""

from __future__ import annotations

import pytest

from semg.errors import ConflictError
from semg.store import access, accounts, boards, owner_limits, profiles, senders
from semg.store.pool import Pool, Transaction

pytestmark = pytest.mark.servers


def person(tx: Transaction, name: str, owner: int | None = None, notes: str = "") -> int:
    return profiles.insert_profile(tx, name, channels=["a0"], rate_hz=200.0, owner_id=owner, notes=notes)


def test_owner_has_some_profiles_at_the_most(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner_limits, "PROFILES_EACH", 2)
    with pool.transaction() as tx:
        one, other = (accounts.insert_account(tx, login, "") for login in ("one", "other"))
        first = person(tx, "Ada", one)
        person(tx, "Bea", one)
    with pytest.raises(ConflictError, match="2 profiles at the most.* delete some"), pool.transaction() as tx:
        person(tx, "Cleo", one)
    with pool.transaction() as tx:
        person(tx, "Dora", other)
        for name in ("Eve", "Fay", "Gia"):
            person(tx, name)
        access.set_owner(tx, first, None)
        person(tx, "Cleo", one)


def test_owners_people_have_some_named_senders_at_the_most(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner_limits, "SENDERS_EACH", 2)
    with pool.transaction() as tx:
        owner = accounts.insert_account(tx, "owner", "")
        ada, bea, cleo = person(tx, "Ada", owner), person(tx, "Bea", owner), person(tx, "Cleo")
        senders.assign_sender(tx, 1_000_001, ada)
        senders.assign_sender(tx, 1_000_002, bea)
        senders.assign_sender(tx, 1_000_002, ada)  # the same number again
        senders.assign_sender(tx, 1_000_003, cleo)
    with pytest.raises(ConflictError, match="unassign some on Overview"), pool.transaction() as tx:
        senders.assign_sender(tx, 1_000_004, bea)
    with pytest.raises(ConflictError, match="2 numbers are assigned"), pool.transaction() as tx:
        senders.assign_sender(tx, 1_000_003, bea)


def test_some_boards_send_for_nobody_at_the_most(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner_limits, "SPARE_BOARDS", 2)
    with pool.transaction() as tx:
        ada = person(tx, "Ada")
        first = boards.insert_board(tx, "a")
        boards.insert_board(tx, "b")
    with pytest.raises(ConflictError, match="2 boards send for nobody.* remove those"), pool.transaction() as tx:
        boards.insert_board(tx, "c")
    with pool.transaction() as tx:
        boards.assign_board(tx, boards.insert_board(tx, "of a profile", assigned_next=True), ada)
        boards.delete_board(tx, first)
        boards.insert_board(tx, "c")


def test_lists_of_profiles_have_no_notes_and_only_what_is_asked_for(pool: Pool) -> None:
    with pool.transaction() as tx:
        owner = accounts.insert_account(tx, "owner", "", "researcher")
        account = accounts.find_account(tx, "owner")
        assert account is not None
        ada, bea = person(tx, "Ada", owner, "left ARM"), person(tx, "Bea", None, "left arm")
        assert [(one.name, one.notes) for one in profiles.list_profiles(tx)] == [("Ada", ""), ("Bea", "")]
        assert [(one.name, one.notes) for one in access.list_visible(tx, account)] == [("Ada", "")]
        assert [one.name for one in profiles.list_chosen(tx, {bea, 10**9})] == ["Bea"]
        assert profiles.get_profile(tx, ada).notes == "left ARM"
        assert profiles.find_noted(tx, [ada, 10**9], "Left a") == {ada}
        assert profiles.find_noted(tx, [ada, bea], "right") == set()
