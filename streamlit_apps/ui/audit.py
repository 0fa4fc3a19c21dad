"""The audit log in the app: what viewers did is written down, and an administrator looks at it."""

from __future__ import annotations

import time

import streamlit as st

from semg.store import audit
from semg.store.audit import SEEN_AGAIN_S, Action, Actor
from ui import times
from ui.runtime import App

SHOWN = 500


def actor(app: App) -> Actor:
    """Give the account that acts."""
    return Actor(app.login)


def seen(app: App, action: Action, user_id: int | None, session_id: int | None = None) -> None:
    """Write down that the viewer sees something, once an hour."""
    told: dict[tuple[str, int | None, int | None], float] = st.session_state.setdefault("audit-seen", {})
    what, now = (action, user_id, session_id), time.monotonic()
    if what in told and now - told[what] < SEEN_AGAIN_S:
        return
    with app.unrestricted.transaction() as tx:  # also of who may change nothing
        audit.record(tx, actor(app), action, user_id, session_id)
    told[what] = now


def show_tab(app: App) -> None:
    """Offer an administrator the log."""
    if st.toggle("Show who saw, exported, changed and erased what", key="audit-show"):
        show_log(app)


def show_log(app: App) -> None:
    """Show who saw, exported, changed and erased what; looking is written down too."""
    app.require_admin()
    seen(app, "audit.seen", None)
    with app.pool.transaction() as tx:
        names = {one.user_id: one.name for one in app.people(tx)}
        number = st.number_input("Only profile number", value=None, step=1, min_value=1, key="audit-profile")
        entries = audit.list_entries(tx, user_id=number, limit=SHOWN)
    st.dataframe(
        [
            {
                "When": times.shown(one.at, seconds=True),
                "Who": one.who,
                "What": one.action.replace(".", " ").replace("_", " "),
                "Profile": one.user_id,
                "Name": names.get(one.user_id, "—") if one.user_id is not None else "—",
                "Session": one.session_id,
                "Counts": ", ".join(f"{name} {value}" for name, value in one.counts.items()),
            }
            for one in entries
        ],
        hide_index=True,
        width="stretch",
    )
    st.caption(f"The newest {SHOWN} entries. They hold numbers only, and are neither changed nor deleted.")
