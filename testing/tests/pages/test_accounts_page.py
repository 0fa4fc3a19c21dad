"""Roles in the app: what each sees and may do; the own account, and managing accounts."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from semg.errors import LoginError
from semg.security import passwords
from semg.security.login import verify_login
from semg.security.passwords import hash_password
from semg.store import access, accounts, api_tokens, audit, profiles
from semg.store.pool import Pool, execute, one
from testing.kits.page_data import (
    GESTURES,
    LOGIN,
    PASSWORD,
    USERS,
    AsRole,
    act,
    all_text,
    button,
    field,
    login_of,
    make_profile,
    now,
)
from testing.kits.page_parts import MENU_BUTTONS, table_rows
from ui import my_account, sources
from ui.runtime import App


def tabs_of(page: AppTest) -> list[str]:
    return [tab.label for tab in page.tabs]


def save_account(page: AppTest) -> Any:
    return next(one for one in page.button if one.label == "Save" and str(one.form_id).startswith("account-"))


def test_viewer_sees_what_is_shared_and_nothing_that_changes_it(open_page, as_role: AsRole, pool: Pool) -> None:
    shared, hidden = make_profile(pool, "Ada"), make_profile(pool, "Hidden Bo")
    as_role("viewer", shared)
    page = open_page(GESTURES, profile_id=hidden)
    assert not page.exception
    assert "No other profile is shown in its place" in page.warning[0].value
    assert "Ada" not in all_text(page)
    page.selectbox(key="profile_choice").select(shared).run()
    assert [one.options for one in page.selectbox] == [["Ada"]]
    assert "Hidden Bo" not in all_text(page)
    assert [one.label for one in page.button] == MENU_BUTTONS
    assert not page.text_input
    page = open_page(USERS)
    assert tabs_of(page) == ["Profiles", "My account"]


def test_researcher_works_with_shared_profiles_and_erases_only_own_ones(open_page, as_role: AsRole, pool: Pool) -> None:
    shared = make_profile(pool, "Ada")
    make_profile(pool, "Hidden Bo")
    account_id = as_role("researcher", shared)
    page = open_page(USERS)
    assert tabs_of(page) == ["Profiles", "New profile", "Boards", "My account"]
    assert "Hidden Bo" not in str(table_rows(page))
    assert "Share this profile" not in [one.label for one in page.expander]
    assert "Delete this profile" not in [one.label for one in page.expander]
    assert "Only the profile's owner" in all_text(page)
    mine = make_profile(pool, "Cy", account_id)
    page = open_page(USERS, profile_id=mine)
    page.toggle(key=f"count-{mine}").set_value(True).run()
    field(page.text_input, "Type the name to confirm").input("Cy").run()
    button(page, "Delete Cy permanently").click().run()
    with pool.transaction() as tx:
        assert {profile.name for profile in profiles.list_profiles(tx)} == {"Ada", "Hidden Bo"}


def test_profile_belongs_to_who_made_it_and_is_shared_by_its_owner(open_page, as_role: AsRole, pool: Pool) -> None:
    account_id = as_role("researcher")
    with pool.transaction() as tx:
        other = accounts.insert_account(tx, "helper", "", "viewer")
    page = open_page(USERS)
    field(page.text_input, "Name or code").input("Ada")
    button(page, "Create profile").click().run()
    with pool.transaction() as tx:
        profile = profiles.find_profile_by_name(tx, "Ada")
        assert profile is not None
        assert access.find_owner(tx, profile.user_id) == account_id
    field(page.text_input, "Login to share it with").input(" helper ")
    button(page, "Share Ada").click().run()
    assert not page.error
    with pool.transaction() as tx:
        assert access.list_shares(tx, profile.user_id) == [other]
    assert "helper (viewer)" in [text.value for text in page.text]
    act(page, f"unshare-{other}").click().run()
    with pool.transaction() as tx:
        assert access.list_shares(tx, profile.user_id) == []


def test_researcher_sees_no_list_of_accounts_and_a_wrong_login_says_nothing_more(
    open_page, as_role: AsRole, pool: Pool
) -> None:
    account_id = as_role("researcher")
    user_id = make_profile(pool, "Ada", account_id)
    with pool.transaction() as tx:
        for login, role in (("hidden-helper", "viewer"), ("hidden-admin", "admin"), ("hidden-gone", "viewer")):
            number = accounts.insert_account(tx, login, "", role)
        accounts.update_account(tx, number, role="viewer", disabled=True)
    page = open_page(USERS, profile_id=user_id)
    assert "hidden" not in str(page), "nothing that was sent to the browser names another account"
    said = set()
    for login in ("nobody", "hidden-admin", "hidden-gone", "HIDDEN-helper"):
        field(page.text_input, "Login to share it with").input(login)
        button(page, "Share Ada").click().run()
        said.add(page.error[0].value)
    assert len(said) == 1
    field(page.text_input, "Login to share it with").input(LOGIN)
    button(page, "Share Ada").click().run()
    assert "already owns this profile" in page.error[0].value
    field(page.text_input, "Login to share it with").input("hidden-helper")
    button(page, "Share Ada").click().run()
    assert "hidden-helper" in str(page), "whom the owner has shared with is shown"


def test_senders_of_hidden_profiles_are_not_shown(app_of_test: App, as_role: AsRole, pool: Pool) -> None:
    shared, hidden = make_profile(pool, "Ada"), make_profile(pool, "Hidden Bo")
    account_id = as_role("researcher", shared)
    with pool.transaction() as tx:
        account = accounts.find_account_by_id(tx, account_id)
        assert account is not None
        known = sources.read_known(app_of_test.of(account, login_of(app_of_test.pool, account.login)), tx)
    assert list(known.people) == [shared]
    hides = [known.is_hidden({"user_id": number}) for number in (shared, hidden, 999_999, None)]
    assert hides == [False, True, False, False]
    texts = {
        f"{shared};512;498": False,
        f"{hidden};512;498": True,
        f'{{"user": {hidden}': True,
        f"\\xff{hidden},": True,
        "x,": False,
    }
    assert {said: known.is_hidden({"said": said}) for said in texts} == texts
    assert known.is_hidden({"said": f"{shared};5", "user_id": hidden})


def test_viewer_sees_the_senders_of_shared_profiles_only(app_of_test: App, as_role: AsRole, pool: Pool) -> None:
    shared, hidden = make_profile(pool, "Ada"), make_profile(pool, "Hidden Bo")
    account_id = as_role("viewer", shared)
    with pool.transaction() as tx:
        account = accounts.find_account_by_id(tx, account_id)
        assert account is not None
        known = sources.read_known(app_of_test.of(account, login_of(app_of_test.pool, account.login)), tx)
    assert not known.is_hidden({"user_id": shared, "values": [1.0]})
    nobodys = (
        {"user_id": 999_999},
        {"user_id": None},
        {"board_id": 5},
        {"said": "x"},
        {"user_id": shared, "said": "x"},
    )
    assert all(known.is_hidden(one) for one in (*nobodys, {"user_id": hidden}, {"said": f"{hidden};1"}))


def test_own_password_is_changed_with_the_old_one_only(
    open_page, app_of_test: App, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(USERS)

    def change(old: str, new: str, again: str) -> None:
        for label, text in (("Current password", old), ("New password", new), ("Repeat the new password", again)):
            field(page.text_input, label).input(text)
        button(page, "Change the password").click().run()

    change("wrong password", "another long password", "another long password")
    assert "wrong" in page.error[0].value
    change(PASSWORD, "another long password", "another long passwort")
    assert "twice" in page.error[0].value
    change(PASSWORD, "researcher-2026", "researcher-2026")
    assert "more than the login" in page.error[0].value
    change(PASSWORD, "another long password", "another long password")
    assert not page.error
    assert [title.value for title in page.title] == ["Profiles"], "this browser stays logged in"
    assert verify_login(pool, LOGIN, "another long password", now()).login == LOGIN
    with pytest.raises(LoginError):
        verify_login(pool, LOGIN, PASSWORD, now())
    hashed, verified, really = [], [], passwords.verify_password
    monkeypatch.setattr(my_account, "hash_password", lambda *args, **more: hashed.append(args))
    monkeypatch.setattr(passwords, "verify_password", lambda *args: verified.append(args) or really(*args))
    for _ in range(accounts.FREE_TRIES + 3):
        change("wrong password", "one more long password", "one more long password")
        assert "too many failed attempts" in page.error[0].value
    assert hashed == [], "a wrong current password costs no hash of the new one"
    assert len(verified) == accounts.FREE_TRIES, "and none at all once the login is locked"


def test_token_is_shown_once_and_revoked(open_page, as_role: AsRole, pool: Pool) -> None:
    account_id = as_role("viewer")  # also who may change nothing else
    page = open_page(USERS)
    field(page.text_input, "Name of the new token").input("Robot hand")
    button(page, "Create token").click().run()
    (token,) = [code.value for code in page.code if code.value.startswith("semg_")]
    with pool.transaction() as tx:
        found = api_tokens.find_grant(tx, token)
        assert found is not None
        assert (found.account.account_id, found.scopes) == (account_id, {"read"})
    page.run()
    assert not page.code
    button(page, "Revoke").click().run()
    with pool.transaction() as tx:
        assert api_tokens.find_grant(tx, token) is None


@pytest.mark.parametrize(
    ("role", "offered"),
    [
        ("viewer", ["read"]),
        ("researcher", ["read", "predict", "work"]),
        ("admin", ["read", "predict", "metrics", "work"]),
    ],
)
def test_token_is_made_for_what_the_role_allows_and_for_a_time(
    open_page, as_role: AsRole, pool: Pool, role: str, offered: list[str]
) -> None:
    account_id = as_role(role)
    page = open_page(USERS)
    assert len(field(page.multiselect, "Scopes").options) == len(offered)
    field(page.text_input, "Name of the new token").input("Robot hand")
    field(page.multiselect, "Scopes").set_value(offered)
    field(page.selectbox, "Valid for").set_value(30)
    button(page, "Create token").click().run()
    with pool.transaction() as tx:
        (token,) = api_tokens.list_tokens(tx, account_id)
        created = next(one for one in audit.list_entries(tx) if one.action == "token.created")
        assert token.scopes == tuple(offered)
        assert (token.expires_at - token.created_at).days == 30
        execute(tx, "UPDATE api_tokens SET expires_at = now() - interval '1 day'")
    assert created.counts == {"token": token.token_id, "days": 30, **dict.fromkeys(offered, 1)}
    page.run()
    assert "**expired**" in all_text(page)


def make_tokens(pool: Pool, account_id: int) -> None:
    with pool.transaction() as tx:
        for name in ("laptop", "robot"):
            api_tokens.insert_token(tx, account_id, name, ["read"])


def tokens_of(pool: Pool, account_id: int) -> list[str]:
    with pool.transaction() as tx:
        return [one.name for one in api_tokens.list_tokens(tx, account_id)]


@pytest.mark.parametrize("revoked", [True, False])
def test_new_password_revokes_tokens_unless_told_otherwise(open_page, pool: Pool, *, revoked: bool) -> None:
    with pool.transaction() as tx:
        account = accounts.find_account(tx, LOGIN)
        assert account is not None
        helper = accounts.insert_account(tx, "helper", "", "viewer")
    make_tokens(pool, account.account_id)
    make_tokens(pool, helper)
    page = open_page(USERS)
    page.selectbox(key="account-choice").set_value(helper).run()
    if not revoked:
        page.checkbox(key=f"revoke-{helper}").uncheck().run()
    button(page, "New password").click().run()
    for label, text in (("Current password", PASSWORD), ("New password", "gr4nite ferry lamp"),
                        ("Repeat the new password", "gr4nite ferry lamp")):  # fmt: skip
        field(page.text_input, label).input(text)
    if not revoked:
        field(page.checkbox, "Revoke my API tokens too").uncheck()
    button(page, "Change the password").click().run()
    assert not page.error
    left = [] if revoked else ["laptop", "robot"]
    assert (tokens_of(pool, helper), tokens_of(pool, account.account_id)) == (left, left)


def test_log_out_everywhere_ends_this_login_too(open_page) -> None:
    page = open_page(USERS)
    button(page, "Log out everywhere").click().run()
    assert not page.title
    assert not open_page(USERS).title or now()  # a token made later is a new login


def test_admin_makes_changes_and_deletes_accounts(open_page, app_of_test: App, pool: Pool) -> None:
    page = open_page(USERS)
    field(page.text_input, "Login of the new account").input("helper")
    button(page, "Add account").click().run()
    assert not page.error
    password = page.code[0].value
    assert verify_login(pool, "helper", password, now()).role == "researcher"
    with pool.transaction() as tx:
        helper = accounts.find_account(tx, "helper")
    assert helper is not None
    page.selectbox(key="account-choice").set_value(helper.account_id).run()
    field(page.selectbox, "Role").set_value("viewer")
    field(page.toggle, "Disabled").set_value(True)
    next(
        one for one in page.button if one.label == "Save" and one.form_id == f"account-{helper.account_id}"
    ).click().run()
    assert not page.error
    with pool.transaction() as tx:
        row = one(tx, "SELECT role, disabled_at FROM accounts WHERE login = 'helper'")
    assert (row.role, row.disabled_at is not None) == ("viewer", True)
    page.selectbox(key="account-choice").set_value(helper.account_id).run()
    page.checkbox(key=f"sure-{helper.account_id}").check().run()
    button(page, "Delete account").click().run()
    with pool.transaction() as tx:
        assert accounts.find_account(tx, "helper") is None


def test_last_admin_keeps_the_role(open_page, pool: Pool) -> None:
    page = open_page(USERS)
    field(page.selectbox, "Role").set_value("viewer")
    save_account(page).click().run()
    assert "last admin" in page.error[0].value


def test_disabled_account_is_logged_out_at_its_next_click(open_page, as_role: AsRole, pool: Pool) -> None:
    account_id = as_role("researcher")
    page = open_page(USERS)
    assert page.title
    with pool.transaction() as tx:
        accounts.update_account(tx, account_id, role="researcher", disabled=True)
    page.run()
    assert not page.title
    with pool.transaction() as tx:
        accounts.update_password(tx, account_id, hash_password(PASSWORD))
    page.run()
    assert not page.title
