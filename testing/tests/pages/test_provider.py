"""Without a provider nothing changes; what a provider says is believed by issuer and subject only."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path

import pytest
from pydantic import SecretStr
from streamlit.testing.v1 import AppTest

from semg.accounts import end_login
from semg.errors import PlatformError
from semg.platform import checks, oidc, services
from semg.settings import Settings, load_settings
from semg.store import accounts, identities
from semg.store.pool import Pool, execute
from semg.wire.tokens import Login
from testing.tests.pages.page_data import MAIN
from ui import provider
from ui.runtime import App

PROVIDER = {
    "oidc_metadata_url": "https://id.lab.example/.well-known/openid-configuration",
    "oidc_client_id": "semg",
    "oidc_client_secret": SecretStr('a "quoted" \\ secret'),
}


def test_without_a_provider_there_is_no_button_and_no_file(app_of_test: App, tmp_path: Path) -> None:
    page = AppTest.from_file(str(MAIN), default_timeout=30).run()
    assert not page.exception
    assert [one.label for one in page.button] == ["Log in"]
    assert provider.claims() == {}
    settings = load_settings(None).model_copy(update={"data_dir": tmp_path})
    oidc.write_secrets(settings)
    assert not oidc.secrets_file(settings).exists()
    assert "secrets.files" not in str(services.table(settings))


def test_file_for_streamlit_says_what_the_settings_say(tmp_path: Path) -> None:
    common = {"data_dir": tmp_path, "secret_key": SecretStr("k" * 48), "public_app_url": "https://emg.lab.example/"}
    settings = load_settings(None).model_copy(update=PROVIDER | common)
    oidc.write_secrets(settings)
    (auth,) = tomllib.loads(oidc.secrets_file(settings).read_text()).values()
    assert auth["redirect_uri"] == "https://emg.lab.example/oauth2callback"
    assert auth["client_secret"] == PROVIDER["oidc_client_secret"].get_secret_value()
    assert "k" * 8 not in auth["cookie_secret"]
    assert len(auth["cookie_secret"]) == 64
    assert oidc.secrets_file(settings).stat().st_mode & 0o777 == 0o600
    assert str(oidc.secrets_file(settings)) in str(services.table(settings))


def test_half_a_provider_is_refused_at_the_start() -> None:
    settings = load_settings(None).model_copy(update={"oidc_client_id": "semg"})
    with pytest.raises(PlatformError, match="OIDC_METADATA_URL"):
        checks.check_provider(settings)


def test_login_of_a_provider_ends_as_others_do(
    app_of_test: App, settings: Settings, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = App(settings.model_copy(update=PROVIDER), pool)
    said = {"iss": "https://id.lab.example", "sub": "1", "email": "ada@lab.example", "iat": time.time()}
    monkeypatch.setattr(provider, "claims", lambda: said)
    found = provider.account_of(app)
    assert found is not None
    account, issued_s = found
    assert issued_s == said["iat"]
    assert (account.login, account.role, account.password_hash) == ("ada@lab.example", "viewer", "")
    for change in ({"sub": "2"}, {"iss": "https://other.example"}):
        monkeypatch.setattr(provider, "claims", lambda change=change: said | change)
        other = provider.account_of(app)
        assert other is not None
        assert other[0].account_id != account.account_id
    for change in ({"iat": time.time() - settings.login_s - 1}, {"iss": ""}, {"sub": ""}):
        monkeypatch.setattr(provider, "claims", lambda change=change: said | change)
        assert provider.account_of(app) is None
    monkeypatch.setattr(provider, "claims", lambda: said)
    with pool.transaction() as tx:
        end_login(tx, Login(account.account_id, issued_s), settings.login_s)
    assert provider.account_of(app) is None, "logged out, and its cookie shown again"
    monkeypatch.setattr(provider, "claims", lambda: said | {"iat": said["iat"] - 1})
    with pool.transaction() as tx:
        execute(tx, "UPDATE accounts SET password_changed_at = password_changed_at - interval '1 day'")
    assert provider.account_of(app) is not None
    with pool.transaction() as tx:
        accounts.log_out_everywhere(tx, account.account_id)
    assert provider.account_of(app) is None
    monkeypatch.setattr(provider, "claims", lambda: said | {"iat": time.time() + 1})
    again = provider.account_of(app)
    assert again is not None
    assert again[0].account_id == account.account_id
    with pool.transaction() as tx:
        assert identities.find_account(tx, "https://id.lab.example", "3") is None
