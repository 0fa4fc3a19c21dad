"""Files and pictures of people, fetched by the browser from the API.

Streamlit's own downloads lie in its memory at addresses that ask nobody for a login. These addresses carry a token that
is for one file and ends with the login; access is asked for, and the taking written down, when the file is fetched.
"""

from __future__ import annotations

import time

import streamlit as st

from semg.security import tokens
from ui.runtime import App
from ui.text import plain

LINK_S = 3600.0
"""A page is left open for some time before somebody clicks; the token ends with the login in any case."""
_KEPT = "api-urls"
_MAX_KEPT = 500


def link(app: App, label: str, name: str, *, help_text: str | None = None) -> None:
    """Show a button that fetches a file of ``semg.privacy.file_exports`` by its name."""
    st.link_button(
        plain(label),
        file_url(app, name),
        icon=":material/download:",
        help=None if help_text is None else plain(help_text),
        width="stretch",
    )


def file_url(app: App, name: str) -> str:
    """Return the address of a file of ``semg.privacy.file_exports``."""
    return url(app, tokens.FILE, f"files/{name}", name, LINK_S)


def url(app: App, purpose: str, path: str, subject: str, life_s: float) -> str:
    """Return an address of the API with a token; the same one for half of its life, so that reruns change nothing."""
    kept: dict[tuple[str, int], tuple[str, float]] = st.session_state.setdefault(_KEPT, {})
    key, now_s = (path, app.login_id), time.time()
    if key in kept and now_s - kept[key][1] < life_s / 2:
        return kept[key][0]
    made = f"{app.settings.api_url.rstrip('/')}/{path}?token={app.token(purpose, subject, life_s, now_s)}"
    kept.pop(key, None)
    kept[key] = (made, now_s)
    while len(kept) > _MAX_KEPT:
        del kept[next(iter(kept))]
    return made


def forget(app: App, path: str) -> None:
    """Make a new token the next time."""
    st.session_state.get(_KEPT, {}).pop((path, app.login_id), None)
