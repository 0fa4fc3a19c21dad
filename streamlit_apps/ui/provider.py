"""Logging in by an OpenID Connect provider, as an option beside passwords."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from semg.accounts import find_logged_in
from semg.store import accounts, identities
from semg.store.accounts import Account
from semg.store.audit import Actor, record
from semg.wire.tokens import Login
from ui.runtime import App


def claims() -> Mapping[str, Any]:
    """Give what the provider says of who is logged in there; empty for nobody, and when none is configured."""
    try:
        return dict(st.user) if st.user.is_logged_in else {}
    except (AttributeError, KeyError, StreamlitAPIException):  # Streamlit knows of no provider
        return {}


def account_of(app: App) -> tuple[Account, float] | None:
    """Give the account of who is logged in at the provider, made at the first time, and since when; None for nobody.

    As with a password, a login lasts ``LOGIN_S``, and ends with *Log out*, *log out everywhere* and with the account.
    """
    said = claims() if app.settings.oidc_metadata_url else {}
    issuer, subject = str(said.get("iss", "")), str(said.get("sub", ""))
    if not issuer or not subject:
        return None
    issued_s = float(said.get("iat") or 0)
    if time.time() - issued_s > app.settings.login_s:
        return None
    name = str(said.get("preferred_username") or said.get("email") or subject)
    with app.pool.transaction() as tx:
        account = identities.find_account(tx, issuer, subject)
        if account is None:
            account = identities.insert_account(tx, issuer, subject, name)
            made = {"account": account.account_id, "role": accounts.ROLES.index(account.role)}
            record(tx, Actor(account.login), "account.created", **made)
        held = find_logged_in(tx, Login(account.account_id, issued_s), app.settings.login_s)
    return None if held is None else (held, issued_s)


def offer(app: App) -> None:
    """Show the way to the provider, when one is configured."""
    if not app.settings.oidc_metadata_url:
        return
    if claims():
        st.warning("Your login has ended, or your account is disabled. Log in again.")
    if st.button(f"Log in with {app.settings.oidc_name}", width="stretch", icon=":material/passkey:"):
        st.login()


def leave() -> bool:
    """Log out at the provider too; tell whether anybody was logged in there."""
    if not claims():
        return False
    st.logout()
    return True
