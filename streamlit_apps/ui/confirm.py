"""Acts that need a fresh proof of who it is: making API tokens, changing roles, erasing."""

from __future__ import annotations

import re
from urllib.parse import quote

import streamlit as st

from semg.errors import AccessError
from semg.store import logins
from semg.store.pool import Transaction
from ui.runtime import App
from ui.text import markup

NEEDED = "confirm your identity first: the link above asks for your password or passkey"
_URL = re.compile(r"https?://[!-.0->@-~]{1,255}(/[!-\"$-~]{0,1999})?(?:#[!-~]{0,1999})?")
"""The address of a page, in printable ASCII."""


def is_fresh(app: App) -> bool:
    """Return whether who is logged in has just proved who it is."""
    with app.pool.transaction() as tx:
        return logins.is_confirmed(tx, app.login_id, app.settings.confirm_s)


def offer(app: App, what: str) -> bool:
    """Return whether the act may be done now; else show the way to the proof.

    Parameters
    ----------
    what
        The act, as the end of "Confirm your identity to …"; a constant.
    """
    if is_fresh(app):
        return True
    back = quote(_here(st.context.url or ""), safe="")
    link = '<p><a href="/login/confirm?next={back}" target="_self">Confirm your identity</a> to {what}.</p>'
    st.html(markup(link, back=back, what=what))
    return False


def _here(url: str) -> str:
    """Return the path and query of the page that is open, as its browser says; the gate looks at it again."""
    found = _URL.fullmatch(url)
    return found[1] if found is not None and found[1] else "/"


def require(app: App, tx: Transaction) -> None:
    """Refuse an act without a fresh proof.

    Raises
    ------
    AccessError
        The proof is missing or too old.
    """
    if not logins.is_confirmed(tx, app.login_id, app.settings.confirm_s):
        raise AccessError(NEEDED)
