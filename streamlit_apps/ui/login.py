"""Who is logged in on this page: what the gate said of its connection, asked anew at every run.

The gate (``streamlit_apps/gate``) has let the page's WebSocket in with a login and wrote its number into a header of
the connection. A login that has ended since shows nothing.
"""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from gate.sockets import LOGIN_HEADER, SESSIONS
from semg.security.login import end_login
from semg.security.tokens import Login
from semg.store import accounts, logins
from semg.store.accounts import Account
from ui.runtime import App

_HERE = "login_here"
LoggedIn = tuple[Account, int]
"""Who is logged in, and the number of the login."""


def require(app: App) -> LoggedIn:
    """Return who is logged in; without anybody, say so and stop the page here.

    Only a page in which somebody is logged in may upload.
    """
    context = get_script_run_ctx()
    found = _find(app)
    if found is None:
        if context is not None:
            SESSIONS.refuse(context.session_id)
        st.session_state.clear()
        st.html('<p>Your login has ended. <a href="/login" target="_self">Log in</a></p>')
        st.stop()
    account, login_id = found
    if st.session_state.get(_HERE, login_id) != login_id:
        st.session_state.clear()  # what another login has left in this session is not for this one
    st.session_state[_HERE] = login_id
    if context is not None:
        SESSIONS.let(context.session_id, Login(account.account_id, login_id))
    return found


def log_out(app: App) -> None:
    """End the login, here and for whoever has a copy of its secrets; the browser goes to the login page."""
    if app.account is not None:
        with app.unrestricted.transaction() as tx:
            end_login(tx, app.login_here)
    close(app.login_id)
    st.rerun()


def close(login_id: int) -> None:
    """Close every page of a login that has ended."""
    SESSIONS.end(login_id)


def of_connection() -> int:
    """Return the number of the login that this page's connection was let in with; 0 for none."""
    said = st.context.headers.get(LOGIN_HEADER, "")
    return int(said) if said.isdecimal() and len(said) < 19 else 0


def _find(app: App) -> LoggedIn | None:
    login_id = of_connection()
    if not login_id:
        return None
    with app.pool.transaction() as tx:
        record = logins.find_login(tx, login_id)
        account = None if record is None else accounts.find_account_by_id(tx, record.account_id)
    return None if account is None else (account, login_id)
