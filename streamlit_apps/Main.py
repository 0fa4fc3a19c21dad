"""Overview: is everything running, who sends; and the server that shows the app."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.starlette import App as Server

from semg.ingest import stream_reports
from semg.store import models, services
from ui import health, pick, runtime, sources
from ui.fragments import live_overview
from ui.page import PATHS, page
from ui.runtime import App


@live_overview(2.0)
def show_health(app: App) -> None:
    """Show services, rates and senders, every two seconds."""
    now = datetime.now(UTC)
    with app.pool.transaction() as tx:
        statuses = services.list_services(tx)
        known = sources.read_known(app, tx)
        active = {user_id: active_at for user_id, _, active_at in models.list_active(tx)}
    said = stream_reports.reported(statuses, now)
    judged = {user_id: said.health(one, active.get(user_id)) for user_id, one in known.people.items()}
    health.show_services(statuses, now)
    health.show_rates(statuses)
    st.subheader("Connected devices", anchor=False)
    sources.show_sources(app, stream_reports.sources_of(statuses), known, judged)


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
        show_health(app)
