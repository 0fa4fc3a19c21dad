"""What somebody does with the own account: password, logins elsewhere, API tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from semg.errors import InvalidValueError, LoginError
from semg.security.login import verify_login
from semg.security.passwords import UNCHECKED, hash_password
from semg.store import accounts, api_tokens, logins
from semg.store.accounts import Account
from semg.store.audit import record
from ui import audit_view, confirm, errors, login, shortcut_fields, times, webcam
from ui.page import flash
from ui.runtime import App
from ui.text import line, md, shown

_SHOW_ONCE = "api-token"
_SCOPES: dict[api_tokens.Scope, str] = {
    "read": "view and download live signals, videos, recordings and models",
    "predict": "predictions",
    "metrics": "the API's counters",
    "work": "train, activate versions, change labels and profiles",
}
_DAYS = {7: "a week", 30: "30 days", api_tokens.DEFAULT_DAYS: "90 days", 180: "180 days", api_tokens.MAX_DAYS: "a year"}
REVOKE_HELP = "Anyone who knew the password may have created one. Programs that use them will need new ones."


def my_account(app: App) -> None:
    """Show the account that is logged in, with what can be changed."""
    account = app.account
    if account is None:
        return
    st.caption(md("Logged in as **{login}**, role **{role}**.", login=account.login, role=account.role))
    left, right = st.columns(2, gap="large")
    with left:
        _password(app, account)
        _logins(app, account)
    with right:
        _tokens(app, account)
    shortcut_fields.edit(app, account)


def _password(app: App, account: Account) -> None:
    if not account.password_hash:
        st.info("This account logs in through its provider and has no password here.")
        return
    with st.form("own-password", clear_on_submit=True):
        st.markdown("**Change the password**")
        old = st.text_input("Current password", type="password", autocomplete="current-password")
        new = st.text_input("New password", type="password", autocomplete="new-password")
        again = st.text_input("Repeat the new password", type="password", autocomplete="new-password")
        revoke = st.checkbox("Revoke my API tokens too", value=True, help=REVOKE_HELP)
        st.caption("All other logins made with the old password end.")
        if st.form_submit_button("Change the password"):
            with errors.attempt():
                if new != again:
                    raise InvalidValueError("new_password", "enter the same new password twice: the two differ")
                try:
                    verify_login(app.unrestricted, account.login, old, datetime.now(UTC), inside=account.account_id)
                except LoginError as exc:
                    if str(exc) in UNCHECKED:
                        raise
                    raise InvalidValueError(
                        "password_now",
                        "enter your current password: this one is wrong, or there were too many failed attempts",
                    ) from exc
                hashed = hash_password(new, account.login, inside=account.account_id)
                with app.unrestricted.transaction() as tx:
                    app.require_login(tx)
                    accounts.update_password(tx, account.account_id, hashed, keep_login=app.login_id)
                    record(tx, audit_view.actor(app), "account.password_changed", account=account.account_id)
                    if revoke:
                        api_tokens.revoke_tokens(tx, account.account_id, audit_view.actor(app))
                flash("Password changed")
                st.rerun()


def _logins(app: App, account: Account) -> None:
    """Show in which browsers the account is logged in; each login can be ended, and all together."""
    with st.container(border=True):
        st.markdown("**Where you are logged in**")
        with app.unrestricted.transaction() as tx:
            known = logins.list_logins(tx, account.account_id)
        for one in known:
            text, act = st.columns([3, 1], vertical_alignment="center")
            here = one.login_id == app.login_id
            where = "This browser" if here else one.agent[:80] or "A browser"
            text.text(line("{where}, by {method}", where=where, method=one.method))
            made_at, seen_at = times.shown(one.created_at), times.shown(one.seen_at)
            text.text(
                line("from {address}, {made}; last active {seen}", address=one.address, made=made_at, seen=seen_at)
            )
            if not here and act.button("End", key=f"end-login-{one.login_id}", width="stretch"):
                with errors.attempt():
                    _end(app, account, one.login_id)
                    flash("That login was ended")
                    st.rerun()
        st.html('<p><a href="/login/factors" target="_self">Second factors: authenticator app and passkeys</a></p>')
        if st.button("Log out everywhere", help="Including this browser. API tokens are kept."):
            with errors.attempt():
                with app.unrestricted.transaction() as tx:
                    app.require_login(tx)
                    logins.delete_logins(tx, account.account_id)
                    record(tx, audit_view.actor(app), "account.logged_out", account=account.account_id)
                webcam.switch_off()
                for one in known:
                    login.close(one.login_id)
                st.rerun()


def _end(app: App, account: Account, login_id: int) -> None:
    with app.unrestricted.transaction() as tx:
        app.require_login(tx)
        logins.delete_login(tx, account.account_id, login_id)
        record(tx, audit_view.actor(app), "session.revoked", login=login_id)
    login.close(login_id)


def _tokens(app: App, account: Account) -> None:
    with st.container(border=True):
        st.markdown("**API tokens**")
        st.caption("For your own programs: through the API they can do what this account can, and nothing else.")
        made = st.session_state.pop(_SHOW_ONCE, None)
        if made is not None:
            st.markdown(md(":material/key: Token **{name}**. It is shown only once.", name=made[0]))
            st.code(shown(made[1]), language=None)
        with app.unrestricted.transaction() as tx:
            known = api_tokens.list_tokens(tx, account.account_id)
        for token in known:
            text, act = st.columns([4, 1], vertical_alignment="center")
            used = "never used" if token.last_used_at is None else f"last used {times.shown(token.last_used_at)}"
            made_at, ends_at = times.shown(token.created_at), times.shown(token.expires_at)
            template = "**{name}** ({scopes}), created {made_at}, expires {ends_at}, {used}"
            if token.expires_at <= datetime.now(UTC):
                template = "**{name}** ({scopes}), created {made_at}, **expired** {ends_at}, {used}"
            may = ", ".join(token.scopes)
            text.markdown(md(template, name=token.name, scopes=may, made_at=made_at, ends_at=ends_at, used=used))
            if act.button("Revoke", key=f"revoke-token-{token.token_id}", width="stretch"):
                with errors.attempt():
                    with app.unrestricted.transaction() as tx:
                        app.require_login(tx)
                        api_tokens.delete_token(tx, account.account_id, token.token_id)
                        record(tx, audit_view.actor(app), "token.revoked", token=token.token_id)
                    flash(md("Token {name} was revoked", name=token.name))
                    st.rerun()
        if not confirm.offer(app, "create a token"):
            return
        with st.form("new-token", clear_on_submit=True):
            name = st.text_input("Name of the new token", placeholder="Robot hand")
            scopes = st.multiselect("Scopes", _offered(account), default=_offered(account)[:1], format_func=shown)
            st.caption(md("{said}.", said="; ".join(f"{one}: {_SCOPES[one]}" for one in _offered(account))))
            days = st.selectbox(
                "Valid for",
                list(_DAYS),
                list(_DAYS).index(api_tokens.DEFAULT_DAYS),
                format_func=lambda one: shown(_DAYS[one]),
            )
            if st.form_submit_button("Create token"):
                with errors.attempt():
                    made_token = _make_token(app, account, name, scopes, days)
                    st.session_state[_SHOW_ONCE] = (name.strip(), made_token.text)
                    st.rerun()


def _offered(account: Account) -> list[api_tokens.Scope]:
    """Return what a token of the account can be for; the API asks the role again at every request."""
    allowed = {"viewer": ("read",), "researcher": ("read", "predict", "work")}
    return [scope for scope in _SCOPES if scope in allowed.get(account.role, api_tokens.SCOPES)]


def _make_token(app: App, account: Account, name: str, scopes: Sequence[str], days: int) -> api_tokens.NewToken:
    """Make a token."""
    with app.unrestricted.transaction() as tx:
        app.require_login(tx)
        confirm.require(app, tx)
        made = api_tokens.insert_token(tx, account.account_id, name, scopes, days)
        flags = dict.fromkeys(scopes, 1)
        record(tx, audit_view.actor(app), "token.created", token=made.token_id, days=days, **flags)
    return made
