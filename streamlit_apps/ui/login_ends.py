"""When a login ends by its age, however it was made."""

from __future__ import annotations

import streamlit as st

from semg.errors import WireError
from semg.wire import tokens
from ui import login, provider
from ui.runtime import App


def of(app: App) -> float:
    """Give the end of the login of this browser, epoch seconds: ``LOGIN_S`` after it was made."""
    secret = app.settings.secret_key.get_secret_value()
    try:
        _, issued_s = tokens.read_token(secret, tokens.LOGIN, str(st.session_state.get(login._TOKEN, "")))
    except WireError:  # logged in by the provider
        issued_s = float(provider.claims().get("iat") or 0)
    return issued_s + app.settings.login_s
