"""Overview: is everything running, who sends, where to go next."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from semg.store import profiles, services, sessions
from ui import errors, health, stream
from ui.page import empty, page
from ui.runtime import App


@errors.live_fragment(2.0)
def show_health(app: App) -> None:
    """Show services, rates and senders, every two seconds."""
    now = datetime.now(UTC)
    with app.pool.transaction() as tx:
        statuses = services.list_services(tx)
        names = {profile.user_id: profile.name for profile in profiles.list_profiles(tx)}
    health.show_services(statuses, now)
    health.show_rates(statuses)
    st.subheader("Who sends now", anchor=False)
    health.show_sources(stream.sources_of(statuses), names, app.settings.udp_port)


def show_next_step(app: App) -> None:
    """Show where to go on an installation that is still empty."""
    with app.pool.transaction() as tx:
        known = profiles.list_profiles(tx)
        recorded = known and any(sessions.list_sessions(tx, profile.user_id, limit=1) for profile in known[:50])
    if not known:
        empty(
            "**Welcome.** Begin with a profile: a person, and the sensor that the person wears. Then come gestures, a "
            "prompted capture, a training, and live recognition.",
            "pages/1_User_Management.py",
            "Create the first profile",
        )
    elif not recorded:
        empty(
            "**Next: record.** Define the gestures, then perform them as prompted.",
            "pages/3_Training_Data_Capture.py",
            "Record a session",
        )


with page("Overview") as app:
    show_next_step(app)
    show_health(app)
