"""Who is behind a pseudonym: shown to administrators, and every look is written down."""

from __future__ import annotations

import streamlit as st

from semg.domain import Profile
from semg.privacy import pseudonyms
from semg.security.keys import ring_of
from semg.store import accounts, real_names
from semg.store.audit import Actor, record
from semg.store.pool import Transaction
from ui import acts, errors
from ui.page import flash
from ui.runtime import App
from ui.text import md


def may_see(tx: Transaction, app: App) -> bool:
    """Return whether the viewer may see names that are kept apart."""
    account = accounts.find_account(tx, app.login)
    return account is not None and account.role == "admin"


def manage(app: App, profile: Profile) -> None:
    """Show who is behind a pseudonym when that is asked for, or offer a pseudonym instead of the name."""
    with app.pool.transaction() as tx:
        kept, allowed = real_names.find_name(tx, profile.user_id) is not None, may_see(tx, app)
    if not allowed:
        return
    secret = ring_of(app.settings)
    with st.expander("Name behind the pseudonym" if kept else "Use a pseudonym", icon=":material/badge:"):
        if not kept:
            st.caption("The name is stored separately, encrypted, and a code replaces it everywhere.")
            label = md("Replace “{name}” with a code", name=profile.name)
            if st.button(label, key=acts.key("pseudonym", profile.user_id)):
                with errors.attempt():
                    with app.pool.transaction() as tx:
                        _require(tx, app, profile)
                        code = pseudonyms.replace_name(tx, secret, profile.user_id)
                        record(tx, Actor(app.login), "profile.changed", profile.user_id)
                    flash(md("The profile is now called {code}", code=code))
                    st.rerun()
        elif st.button("Show the name", icon=":material/visibility:", key=acts.key("real-name", profile.user_id)):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    _require(tx, app, profile)
                    record(tx, Actor(app.login), "name.seen", profile.user_id)
                    st.markdown(md("**{name}**", name=pseudonyms.find_name(tx, secret, profile.user_id)))


def _require(tx: Transaction, app: App, profile: Profile) -> None:
    app.require(tx, profile.user_id, "see")
    app.require_admin()
