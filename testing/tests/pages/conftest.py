"""Pages run by AppTest against the test's own database, logged in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from semg.privacy import archive_downloads
from semg.privacy.consent import TEST_PERSON
from semg.security.passwords import hash_password
from semg.settings import Settings
from semg.store import accounts, gestures, profiles
from semg.store.pool import Pool
from testing.kits.page_data import CHANNELS, LOGIN, LOGIN_OF_TEST, MAIN, PASSWORD, RATE_HZ, AsRole, login_of
from testing.kits.store_queries import set_shares
from ui import login, runtime
from ui.runtime import App


@pytest.fixture
def app_of_test(settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """The app on the test's own database."""
    made = App(settings, pool)
    monkeypatch.setattr(runtime, "make_app", lambda: made)
    monkeypatch.setattr(archive_downloads, "begin", archive_downloads.ArchiveDownloads().begin)
    monkeypatch.setattr(login, "of_connection", lambda: st.session_state.get(LOGIN_OF_TEST, 0))
    st.cache_resource.clear()
    with pool.transaction() as tx:
        accounts.insert_account(tx, LOGIN, hash_password(PASSWORD))
    yield made
    st.cache_resource.clear()


@pytest.fixture
def open_page(app_of_test: App, pool: Pool) -> Callable[..., AppTest]:
    """Return a page after its first run, by its file's name, logged in."""

    def opened(name: str = "", **state: object) -> AppTest:
        page = AppTest.from_file(str(MAIN), default_timeout=30)
        page.session_state[LOGIN_OF_TEST] = state.pop(LOGIN_OF_TEST, None) or login_of(pool)
        for key, value in state.items():
            page.session_state[key] = value
        if name:
            assert (MAIN.parent / "pages" / name).exists()
            page.switch_page(str(Path("pages") / name))
        return page.run()

    return opened


@pytest.fixture
def profile_id(pool: Pool) -> int:
    """A profile with two gestures beside rest."""
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=CHANNELS, rate_hz=RATE_HZ, consent=TEST_PERSON)
        for name in ("fist", "open hand"):
            gestures.insert_gesture(tx, user_id, name, f"how to: {name}")
    return user_id


@pytest.fixture
def as_role(app_of_test: App, pool: Pool) -> AsRole:
    """Gives the logged-in account a role, and makes another admin; gives the number of the first."""

    def change(role: str, *shared: int) -> int:
        with pool.transaction() as tx:
            accounts.insert_account(tx, "another-admin", "", "admin")
            account = accounts.find_account(tx, LOGIN)
            assert account is not None
            accounts.update_account(tx, account.account_id, role=role, disabled=False)
            for user_id in shared:
                set_shares(tx, user_id, [account.account_id])
            return account.account_id

    return change
