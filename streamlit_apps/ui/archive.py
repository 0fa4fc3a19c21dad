"""The archive of everything about a person, made in the background and fetched from the API."""

from __future__ import annotations

import streamlit as st

from semg.domain import Profile
from semg.exports import KEPT_S, Export
from semg.store.audit import Actor, record
from semg.wire import tokens
from ui import errors
from ui.runtime import App

_EXPORT = "person-export"


def offer(app: App, profile: Profile) -> None:
    """Offer the archive of a profile: make it, show how far it is, and give the link to it."""
    with st.expander("Everything about this person, as one archive", icon=":material/folder_zip:"):
        st.caption(
            "For the person concerned: profile, consents, gestures, samples, labels, videos, decisions, models with "
            "their reports, and who looked at them. It is removed from the server after an hour."
        )
        export: Export | None = st.session_state.get(_EXPORT)
        busy = export is not None and export.user_id == profile.user_id and not (export.name or export.problem)
        if st.button("Make the archive", icon=":material/folder_zip:", disabled=busy, key=f"archive-{profile.user_id}"):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    record(tx, Actor(app.login), "person.exported", profile.user_id)
                st.session_state[_EXPORT] = Export(app.pool, app.settings, profile.user_id)
        _progress(app, profile.user_id)


@errors.live_fragment(1.0)
def _progress(app: App, user_id: int) -> None:
    export: Export | None = st.session_state.get(_EXPORT)
    if export is None or export.user_id != user_id:
        return
    if export.problem:
        st.error(f"The archive was not made: {export.problem}", icon=":material/error:")
    elif not export.name:
        st.progress(export.share, f"{export.share:.0%} of the samples are written")
    else:
        token = app.token(tokens.EXPORT, export.name, KEPT_S)
        url = f"{app.settings.api_url.rstrip('/')}/exports/{export.name}?token={token}"
        st.link_button("Download the archive", url, icon=":material/download:")
