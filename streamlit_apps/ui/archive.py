"""The archive of everything about a person, made in the background and fetched from the API."""

from __future__ import annotations

import streamlit as st

from semg.domain import Profile
from semg.privacy import archive_downloads
from semg.privacy.archive_downloads import KEPT_S, Export
from semg.security import tokens
from semg.store import access, real_names
from semg.store.audit import Actor, record
from ui import acts, download, errors
from ui.audit_view import seen
from ui.fragments import live_fragment
from ui.runtime import App
from ui.text import md

_EXPORT = "person-export"


def offer(app: App, profile: Profile) -> None:
    """Offer the archive to who may erase the profile: make it, show how far it is, and give the link to it."""
    with app.pool.transaction() as tx:
        owner_id = access.find_owner(tx, profile.user_id)
    if not app.may_own(owner_id):
        return
    with st.expander("Everything about this person in one archive", icon=":material/folder_zip:"):
        st.caption(
            "For the person concerned: profile, consents, gestures, samples, labels, videos, decisions, models with "
            "their reports, and who viewed them. It is removed from the server after an hour."
        )
        export: Export | None = st.session_state.get(_EXPORT)
        busy = export is not None and export.user_id == profile.user_id and not export.done
        label = md("Create {name}'s archive", name=profile.name)
        key = acts.key("archive", profile.user_id)
        if st.button(label, icon=":material/folder_zip:", disabled=busy, key=key):
            with errors.attempt():
                _make(app, profile)
        _progress(app, profile.user_id)


def _make(app: App, profile: Profile) -> None:
    """Begin an archive; the name behind a pseudonym stands only in an administrator's, whose look it is."""
    with app.pool.transaction() as tx:
        app.require(tx, profile.user_id, "own")
        with_name = app.is_admin and real_names.find_name(tx, profile.user_id) is not None
        record(tx, Actor(app.login), "person.exported", profile.user_id)
        if with_name:
            record(tx, Actor(app.login), "name.seen", profile.user_id)
        # Last, so that one that is refused is not written down as made.
        whose = app.login_here.account_id
        export = archive_downloads.begin(app.pool, app.settings, profile.user_id, whose, with_name=with_name)
    st.session_state[_EXPORT] = export


@live_fragment(1.0, "own")
def _progress(app: App, user_id: int) -> None:
    export: Export | None = st.session_state.get(_EXPORT)
    if export is None or export.user_id != user_id or (export.with_name and not app.is_admin):
        return
    if export.problem:
        st.error(md("The archive could not be created: {problem}", problem=export.problem), icon=":material/error:")
    elif not export.name:
        st.progress(export.share, md("{share:.0%} of the samples written", share=export.share))
    else:
        seen(app, "person.offered", user_id)
        url = download.url(app, tokens.EXPORT, f"exports/{export.name}", export.name, KEPT_S)
        st.link_button("Download the archive", url, icon=":material/download:")
