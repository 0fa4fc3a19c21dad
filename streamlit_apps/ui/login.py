"""Nobody sees a page without a login."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from semg.accounts import end_login, find_logged_in, log_in
from semg.errors import LoginError, WireError
from semg.security.keys import ring_of
from semg.store import accounts
from semg.store.accounts import Account
from semg.wire import tokens
from ui import cookie, errors, provider, uploads
from ui.runtime import App

_TOKEN, _LOGGED_OUT = "login_token", "logged_out"  # noqa: S105 - names of entries, not secrets
LoggedIn = tuple[Account, float]
"""Who is logged in, and when the login was made (epoch seconds)."""


def require(app: App) -> LoggedIn:
    """Give who is logged in; without anybody, show the form and stop the page here.

    Only a browser in which somebody is logged in may upload.
    """
    found = _found(app)
    if found is None:
        uploads.refuse_here()
        _form(app)
        st.stop()
    uploads.let_here(tokens.Login(found[0].account_id, found[1]))
    return found


def log_out(app: App) -> None:
    """End the login: here, in the browser, and for whoever has a copy of its cookie."""
    if app.account is not None:
        with app.unrestricted.transaction() as tx:
            end_login(tx, tokens.Login(app.account.account_id, app.issued_s), app.settings.login_s)
    uploads.refuse_here()
    st.session_state.clear()
    if provider.leave():
        st.stop()
    st.session_state[_LOGGED_OUT] = True
    st.rerun()


def _found(app: App) -> LoggedIn | None:
    found = _account_of(app, str(st.session_state.get(_TOKEN, "")))
    if found is None and not st.session_state.get(_LOGGED_OUT):
        kept = cookie.read()
        found = _account_of(app, kept)
        if found is not None:
            st.session_state[_TOKEN] = kept
    if found is None and not st.session_state.get(_LOGGED_OUT):
        return provider.account_of(app)  # the provider's login is kept by Streamlit's cookie
    if found is not None:
        # Drawn at every run: a component that leaves the page before its script ran would leave no cookie.
        cookie.write(st.session_state[_TOKEN], app.settings.login_s)
    return found


def _account_of(app: App, token: str) -> LoggedIn | None:
    """Give the account of a login token that is valid and that no later event has ended."""
    if not token:
        return None
    try:
        login, issued_s = tokens.read_token(ring_of(app.settings), tokens.LOGIN, token)
    except WireError:
        return None
    with app.pool.transaction() as tx:
        named = accounts.find_account(tx, login)
        if named is None:
            return None
        account = find_logged_in(tx, tokens.Login(named.account_id, issued_s), app.settings.login_s)
    return None if account is None else (account, issued_s)


def _form(app: App) -> None:
    with app.pool.transaction() as tx:
        nobody = accounts.count_accounts(tx) == 0
    _, middle, _ = st.columns([1, 1.2, 1])
    with middle:
        st.html('<div class="semg-brand" style="margin-top:9vh;font-size:1.5rem">sEMG <span>gestures</span></div>')
        st.caption("Personalised recognition of hand gestures from surface EMG")
        if nobody:
            st.warning("There is no account yet. Run `./start_all.sh --reset-admin`: it prints the first login.")
        with st.form("login_form"):
            name = st.text_input("Login", autocomplete="username")
            password = st.text_input("Password", type="password", autocomplete="current-password")
            sent = st.form_submit_button("Log in", type="primary", width="stretch")
        if sent:
            with errors.attempt():
                try:
                    account = log_in(app.pool, name, password, datetime.now(UTC))
                except LoginError as exc:
                    st.error(str(exc), icon=":material/lock:")
                else:
                    remember(app, account)
                    st.rerun()
        provider.offer(app)
        if st.session_state.get(_LOGGED_OUT):
            cookie.write("", 0)


def remember(app: App, account: Account) -> None:
    """Keep a login in this browser."""
    secret = ring_of(app.settings)
    st.session_state[_TOKEN] = tokens.make_token(secret, tokens.LOGIN, account.login, app.settings.login_s)
    st.session_state.pop(_LOGGED_OUT, None)
