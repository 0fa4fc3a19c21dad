"""Nobody sees a page without a login, and none goes on after the login has ended. The forms: ``tests/gate``."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from semg.security.login import find_logged_in
from semg.security.passwords import hash_password
from semg.security.tokens import Login
from semg.settings import PROJECT_DIR
from semg.store import accounts, logins
from semg.store.pool import Pool, Transaction, execute
from testing.kits.page_data import LOGIN, LOGIN_OF_TEST, MAIN, PASSWORD, all_text, login_of
from ui import confirm
from ui.runtime import App

PAGES = sorted((PROJECT_DIR / "streamlit_apps" / "pages").glob("*.py"))


def opened(login_id: int) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=30)
    page.session_state[LOGIN_OF_TEST] = login_id
    return page.run()


def is_shut(page: AppTest) -> bool:
    assert not page.exception
    return not page.title and not page.button and not page.text_input


def account_id(tx: Transaction) -> int:
    account = accounts.find_account(tx, LOGIN)
    assert account is not None
    return account.account_id


def test_login_opens_the_overview(app_of_test: App, pool: Pool) -> None:
    page = opened(login_of(pool))
    assert [one.value for one in page.title] == ["Overview"]
    assert f"Logged in as **{LOGIN}**" in all_text(page)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_no_page_shows_anything_without_a_login(app_of_test: App, path) -> None:
    page = AppTest.from_file(str(MAIN), default_timeout=30)
    assert is_shut(page.switch_page(f"pages/{path.name}").run())


ENDS = {
    "new password": lambda tx: accounts.update_password(tx, account_id(tx), hash_password("another long password")),
    "log out everywhere": lambda tx: logins.delete_logins(tx, account_id(tx)),
    "too old": lambda tx: execute(tx, "UPDATE logins SET expires_at = now()"),
    "idle": lambda tx: execute(tx, "UPDATE logins SET idle_at = now()"),
    "account deleted": lambda tx: execute(tx, "DELETE FROM accounts"),
}


@pytest.mark.parametrize("how", ENDS)
def test_open_page_shows_nothing_after_its_login_has_ended(app_of_test: App, pool: Pool, how: str) -> None:
    page = opened(login_of(pool))
    page.session_state["left behind"] = "Ada's recording"
    with pool.transaction() as tx:
        ENDS[how](tx)
    assert is_shut(page.run())
    assert "left behind" not in page.session_state


def test_log_out_ends_this_login_and_no_other(app_of_test: App, pool: Pool) -> None:
    mine, other = login_of(pool), login_of(pool)
    page = opened(mine)
    next(button for button in page.button if button.label == "Log out").click().run()
    assert is_shut(page)
    assert is_shut(opened(mine))
    assert opened(other).title, "a login in another browser goes on"


def test_viewer_may_log_out(app_of_test: App, pool: Pool) -> None:
    with pool.transaction() as tx:
        eve = accounts.insert_account(tx, "eve", hash_password(PASSWORD), "viewer")
    login_id = login_of(pool, "eve")
    page = opened(login_id)
    next(button for button in page.button if button.label == "Log out").click().run()
    assert is_shut(page)
    with pool.transaction() as tx:
        assert find_logged_in(tx, Login(eve, login_id)) is None


def test_state_of_one_login_is_not_for_the_next_in_the_same_session(app_of_test: App, pool: Pool) -> None:
    with pool.transaction() as tx:
        accounts.insert_account(tx, "eve", hash_password(PASSWORD), "viewer")
    page = opened(login_of(pool))
    page.session_state["left behind"] = "Ada's recording"
    page.session_state[LOGIN_OF_TEST] = login_of(pool, "eve")
    page.run()
    assert "left behind" not in page.session_state


def test_address_of_a_page_is_taken_as_plain_text_or_not_at_all() -> None:
    """A browser says it; parsing it as an address would normalise a host name of any length."""
    assert confirm._here("http://127.0.0.1:8501/User_Management?profile=3#x") == "/User_Management?profile=3"
    assert confirm._here("https://emg.lab.example") == "/"
    for url in (
        "",
        "http://a" + "\u0344" * 40_000 + "/x",
        "javascript:alert(1)",
        "http://a/" + "x" * 3000,
        "http:///x",
    ):
        assert confirm._here(url) == "/"
