"""Logging in by an OpenID Connect provider: a small one of the tests' own, and the real app in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from semg.settings import Settings
from semg.store import access, accounts, identities, profiles
from semg.store.pool import Pool, one
from testing.kits.identity_provider import CLIENT_ID, Provider, settings_with
from testing.kits.store_queries import set_shares
from testing.running_system import running

pytestmark = [pytest.mark.browser, pytest.mark.servers]


@pytest.fixture
def with_provider(live_settings: Settings, provider: Provider) -> Settings:
    return settings_with(live_settings, provider)


def test_person_of_the_provider_is_a_viewer_until_an_admin_says_more(
    page: Page, with_provider: Settings, provider: Provider, pool: Pool, tmp_path: Path
) -> None:
    with pool.transaction() as tx:
        accounts.insert_account(tx, "ada", "", "admin")  # of the same name, and somebody else
        user_id = profiles.insert_profile(tx, "Shared Bo", channels=("a0",), rate_hz=200)
    with running(with_provider, tmp_path, ("streamlit",)):
        page.goto(with_provider.app_url)
        page.get_by_role("button", name="Log in with Lab").click()
        expect(page.get_by_text("Logged in as ada-2").first).to_be_visible()
        assert provider.asked[0]["client_id"] == CLIENT_ID
        with pool.transaction() as tx:
            account = identities.find_account(tx, provider.issuer, "subject-1")
            assert account is not None
            assert (account.login, account.role) == ("ada-2", "viewer")
            assert access.list_visible(tx, account) == []
            set_shares(tx, user_id, [account.account_id])
            accounts.update_account(tx, account.account_id, role="researcher", disabled=False)
        page.reload()
        page.get_by_role("link", name="Profiles").click()
        expect(page.get_by_role("tab", name="New profile")).to_be_visible()

        # The subject says who it is; the name may change.
        provider.person = {**provider.person, "preferred_username": "renamed"}
        page.get_by_role("button", name="Log out").click()
        page.get_by_role("button", name="Log in with Lab").click()
        expect(page.get_by_text("Logged in as ada-2").first).to_be_visible()

        with pool.transaction() as tx:
            accounts.update_account(tx, account.account_id, role="researcher", disabled=True)
        page.reload()
        page.get_by_role("button", name="Log in with Lab").click()
        expect(page.get_by_text("Your account is disabled")).to_be_visible()
        with pool.transaction() as tx:
            assert one(tx, "SELECT count(*) AS n FROM account_identities").n == 1
