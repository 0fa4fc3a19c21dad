"""Overview: is everything running, who sends, where to go next; and the server that shows the app."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.starlette import App as Server

from semg.store import gestures, models, services, sessions
from ui import health, pick, runtime, sources, stream
from ui.fragments import live_overview
from ui.page import PATHS, empty, page
from ui.runtime import App
from ui.text import md

LOOKED_AT = 50
"""Of so many profiles it is asked whether something was recorded: an installation with more is not new."""


@live_overview(2.0)
def show_health(app: App) -> None:
    """Show services, rates and senders, every two seconds."""
    now = datetime.now(UTC)
    with app.pool.transaction() as tx:
        statuses = services.list_services(tx)
        known = sources.read_known(app, tx)
        with_model = {user_id for user_id, *_ in models.list_active(tx)}
    said = stream.reported(statuses, now)
    judged = {user_id: said.health(one, has_model=user_id in with_model) for user_id, one in known.people.items()}
    health.show_services(statuses, now)
    health.show_rates(statuses)
    st.subheader("Connected devices", anchor=False)
    sources.show_sources(app, stream.sources_of(statuses), known, judged)


def show_next_step(app: App) -> None:
    """Show where to go on an installation on which nothing is recognised yet."""
    with app.pool.transaction() as tx:
        known = app.people(tx)[:LOOKED_AT]
        trained = bool(models.list_active(tx))
        recorded = trained or any(sessions.list_sessions(tx, one.user_id, limit=1) for one in known)
        defined = recorded or any(len(gestures.list_gestures(tx, one.user_id)) > 1 for one in known)
    if not known:
        empty(
            md(
                "**Welcome.** Start with a profile: a person and the sensor that person wears. Then come "
                "gestures, a prompted capture, training and live recognition."
            ),
            "pages/1_User_Management.py",
            "Create the first profile",
        )
    elif not defined:
        empty(
            md("**Next: gestures.** Choose which gestures to recognise; ready-made banks are available."),
            "pages/2_Gesture_Management.py",
            "Add gestures",
        )
    elif not recorded:
        empty(
            md("**Next: record.** Perform each gesture a few times, as prompted."),
            "pages/3_Training_Data_Capture.py",
            "Record a session",
        )
    elif not trained:
        empty(
            md("**Next: train.** Train a model on the recordings; gestures are then recognised live."),
            "pages/4_Kickoff_Training.py",
            "Train a model",
        )


if get_script_run_ctx(suppress_warning=True) is None:  # imported by `streamlit run`, which serves what it finds here
    from gate.app import Gate, lifespan
    from gate.page_messages import MAX_MESSAGE_BYTES
    from semg.process.connection_bounds import bound_heads, bound_messages

    bound_heads()
    bound_messages(MAX_MESSAGE_BYTES)
    server = Server(__file__, middleware=[Middleware(Gate, runtime.found, PATHS)], lifespan=lifespan)
else:
    with page("Overview") as app:
        with app.pool.transaction() as tx:
            everybody = app.people(tx)
        pick.find_profile(app, everybody)
        show_next_step(app)
        show_health(app)
