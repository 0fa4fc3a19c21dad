"""Nobody sees a page without a login; a login outlives a reload, but not a new password."""

from __future__ import annotations

import time

import pytest
from streamlit.testing.v1 import AppTest

from semg.passwords import hash_password
from semg.settings import PROJECT_DIR
from semg.store import accounts
from semg.store.pool import execute
from semg.wire import tokens
from testing.tests.pages.page_data import LOGIN, MAIN, PASSWORD, all_text
from ui import cookie
from ui.runtime import App

PAGES = sorted((PROJECT_DIR / "streamlit_apps" / "pages").glob("*.py"))


def login_token(app: App, login: str = LOGIN, now_s: float | None = None) -> str:
    return tokens.make_token(app.settings.secret_key.get_secret_value(), tokens.LOGIN, login, 600, now_s)


def is_form(page: AppTest) -> bool:
    return [one.label for one in page.text_input] == ["Login", "Password"]


def test_right_password_opens_the_overview(app_of_test: App) -> None:
    page = AppTest.from_file(str(MAIN), default_timeout=30).run()
    assert is_form(page)
    page.text_input[0].input(LOGIN)
    page.text_input[1].input(PASSWORD)
    page.button[0].click().run()
    assert not page.exception
    assert [one.value for one in page.title] == ["Overview"]
    assert f"Logged in as **{LOGIN}**" in all_text(page)


def test_wrong_password_opens_nothing(app_of_test: App) -> None:
    page = AppTest.from_file(str(MAIN), default_timeout=30).run()
    page.text_input[0].input(LOGIN)
    page.text_input[1].input("wrong" + PASSWORD)
    page.button[0].click().run()
    assert is_form(page)
    assert "Login or password is wrong" in page.error[0].value
    assert not page.title


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_no_page_shows_anything_without_a_login(app_of_test: App, path) -> None:
    page = AppTest.from_file(str(MAIN), default_timeout=30)
    page.switch_page(f"pages/{path.name}").run()
    assert not page.exception
    assert is_form(page)
    assert not page.title


def test_cookie_keeps_the_login_over_a_reload(app_of_test: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cookie, "read", lambda: login_token(app_of_test))
    page = AppTest.from_file(str(MAIN), default_timeout=30).run()
    assert [one.value for one in page.title] == ["Overview"]


def test_cookie_is_refused_after_a_new_password(app_of_test: App, monkeypatch: pytest.MonkeyPatch) -> None:
    old = login_token(app_of_test)
    with app_of_test.pool.transaction() as tx:
        account = accounts.find_account(tx, LOGIN)
        assert account is not None
        accounts.update_password(tx, account.account_id, hash_password("another long password"))
    monkeypatch.setattr(cookie, "read", lambda: old)
    assert is_form(AppTest.from_file(str(MAIN), default_timeout=30).run())


@pytest.mark.parametrize("cookie_text", ["", "nonsense", "a.b.c"])
def test_forged_cookie_is_refused(app_of_test: App, monkeypatch: pytest.MonkeyPatch, cookie_text: str) -> None:
    monkeypatch.setattr(cookie, "read", lambda: cookie_text)
    assert is_form(AppTest.from_file(str(MAIN), default_timeout=30).run())


def test_token_for_the_websocket_is_no_login(app_of_test: App, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = app_of_test.settings.secret_key.get_secret_value()
    live = tokens.make_token(secret, tokens.LIVE, LOGIN, 600)
    monkeypatch.setattr(cookie, "read", lambda: live)
    assert is_form(AppTest.from_file(str(MAIN), default_timeout=30).run())


def test_log_out_shows_the_form_although_the_browser_still_has_the_cookie(
    app_of_test: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cookie, "read", lambda: login_token(app_of_test))
    page = AppTest.from_file(str(MAIN), default_timeout=30).run()
    next(button for button in page.button if button.label == "Log out").click().run()
    assert is_form(page)


def test_log_out_ends_the_login_for_whoever_has_its_cookie(app_of_test: App, monkeypatch: pytest.MonkeyPatch) -> None:
    copied, other = login_token(app_of_test), login_token(app_of_test)
    monkeypatch.setattr(cookie, "read", lambda: copied)
    page = AppTest.from_file(str(MAIN), default_timeout=30).run()
    next(button for button in page.button if button.label == "Log out").click().run()
    assert is_form(AppTest.from_file(str(MAIN), default_timeout=30).run())
    monkeypatch.setattr(cookie, "read", lambda: other)
    page = AppTest.from_file(str(MAIN), default_timeout=30).run()
    assert [one.value for one in page.title] == ["Overview"], "a login in another browser goes on"


def test_viewer_may_log_out(app_of_test: App, monkeypatch: pytest.MonkeyPatch) -> None:
    with app_of_test.pool.transaction() as tx:
        accounts.insert_account(tx, "eve", hash_password(PASSWORD), "viewer")
    eves = login_token(app_of_test, "eve")
    monkeypatch.setattr(cookie, "read", lambda: eves)
    page = AppTest.from_file(str(MAIN), default_timeout=30).run()
    next(button for button in page.button if button.label == "Log out").click().run()
    assert not page.exception
    assert is_form(AppTest.from_file(str(MAIN), default_timeout=30).run())


def test_login_ends_after_login_s_whatever_its_token_says(app_of_test: App, monkeypatch: pytest.MonkeyPatch) -> None:
    with app_of_test.pool.transaction() as tx:
        execute(tx, "UPDATE accounts SET password_changed_at = password_changed_at - interval '10 days'")
    secret, issued_s = app_of_test.settings.secret_key.get_secret_value(), time.time() - app_of_test.settings.login_s
    old = tokens.make_token(secret, tokens.LOGIN, LOGIN, 10 * app_of_test.settings.login_s, issued_s)
    monkeypatch.setattr(cookie, "read", lambda: old)
    assert is_form(AppTest.from_file(str(MAIN), default_timeout=30).run())


def test_empty_database_tells_how_to_get_a_login(app_of_test: App) -> None:
    with app_of_test.pool.transaction() as tx:
        execute(tx, "DELETE FROM accounts")
    page = AppTest.from_file(str(MAIN), default_timeout=30).run()
    assert "--reset-admin" in page.warning[0].value
