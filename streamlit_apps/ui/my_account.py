"""What somebody does with the own account: password, logins elsewhere, API tokens."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from semg.accounts import log_in
from semg.errors import InvalidValueError, LoginError
from semg.passwords import hash_password
from semg.store import accounts, api_tokens
from semg.store.accounts import Account
from semg.store.audit import record
from ui import audit, errors, login, times, webcam
from ui.page import flash
from ui.runtime import App
from ui.text import md, shown

_SHOW_ONCE = "api-token"


def my_account(app: App) -> None:
    """Show the account that is logged in, with what can be changed."""
    account = app.account
    if account is None:
        return
    st.caption(md("Logged in as **{login}**, role **{role}**.", login=account.login, role=account.role))
    left, right = st.columns(2, gap="large")
    with left:
        _password(app, account)
        with st.container(border=True):
            st.markdown("**Other browsers**")
            if st.button("Log out everywhere", help="Also here. API tokens stay."):
                with errors.attempt():
                    with app.unrestricted.transaction() as tx:
                        app.require_login(tx)
                        accounts.log_out_everywhere(tx, account.account_id)
                        record(tx, audit.actor(app), "account.logged_out", account=account.account_id)
                    webcam.switch_off()
                    login.log_out(app)
    with right:
        _tokens(app, account)


def _password(app: App, account: Account) -> None:
    if not account.password_hash:
        st.info("This account logs in by its provider and has no password here.")
        return
    with st.form("own-password", clear_on_submit=True):
        st.markdown("**Change the password**")
        old = st.text_input("Password now", type="password", autocomplete="current-password")
        new = st.text_input("New password", type="password", autocomplete="new-password")
        again = st.text_input("New password again", type="password", autocomplete="new-password")
        st.caption("Every other login with the old password ends.")
        if st.form_submit_button("Change the password"):
            with errors.attempt():
                if new != again:
                    raise InvalidValueError("new_password", "expected the same twice, got two different ones")
                hashed = hash_password(new)
                try:
                    log_in(app.unrestricted, account.login, old, datetime.now(UTC))
                except LoginError as exc:
                    raise InvalidValueError("password_now", "it is wrong, or there were too many wrong tries") from exc
                with app.unrestricted.transaction() as tx:
                    app.require_login(tx)
                    accounts.update_password(tx, account.account_id, hashed)
                    record(tx, audit.actor(app), "account.password_changed", account=account.account_id)
                login.remember(app, account)
                flash("The password was changed")
                st.rerun()


def _tokens(app: App, account: Account) -> None:
    with st.container(border=True):
        st.markdown("**API tokens**")
        st.caption("For programs of yours: they see and do at the API what this account may, and nothing else.")
        made = st.session_state.pop(_SHOW_ONCE, None)
        if made is not None:
            st.markdown(md(":material/key: Token **{name}**. It is shown only now.", name=made[0]))
            st.code(shown(made[1]), language=None)
        with app.unrestricted.transaction() as tx:
            known = api_tokens.list_tokens(tx, account.account_id)
        for token in known:
            text, act = st.columns([4, 1], vertical_alignment="center")
            used = "never used" if token.last_used_at is None else f"last used {times.shown(token.last_used_at)}"
            made_at = times.shown(token.created_at)
            text.markdown(md("**{name}**, made {made_at}, {used}", name=token.name, made_at=made_at, used=used))
            if act.button("Revoke", key=f"revoke-token-{token.token_id}", width="stretch"):
                with errors.attempt():
                    with app.unrestricted.transaction() as tx:
                        app.require_login(tx)
                        api_tokens.delete_token(tx, account.account_id, token.token_id)
                        record(tx, audit.actor(app), "token.revoked", token=token.token_id)
                    flash(md("Token {name} was revoked", name=token.name))
                    st.rerun()
        with st.form("new-token", clear_on_submit=True):
            name = st.text_input("Name of the new token", placeholder="Robot hand")
            if st.form_submit_button("Make token"):
                with errors.attempt():
                    with app.unrestricted.transaction() as tx:
                        app.require_login(tx)
                        token_text = api_tokens.insert_token(tx, account.account_id, name)
                        made_id = max(one.token_id for one in api_tokens.list_tokens(tx, account.account_id))
                        record(tx, audit.actor(app), "token.created", token=made_id)
                    st.session_state[_SHOW_ONCE] = (name.strip(), token_text)
                    st.rerun()
