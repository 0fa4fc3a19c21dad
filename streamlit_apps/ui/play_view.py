"""A measured test in the browser, steered by the profile's live decisions, and what it sends when it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from semg.domain import Profile
from semg.errors import ConflictError
from semg.languages import sentences
from semg.play.played import PlayKind, measure
from semg.store import gestures, models, play, simulated_arms
from semg.store.audit import record
from ui import audit_view, errors
from ui.live_view import forget_token, live_token, live_url
from ui.page import flash
from ui.runtime import App
from ui.scripts import joined, styles
from ui.text import md

_FOLDER = Path(__file__).parent / "play"
_component = st.components.v2.component(
    "semg_play",
    html='<div class="semg-play"></div>',
    css=styles(_FOLDER, "play.css"),
    js=joined(_FOLDER / "play.js"),
)


def play_view(
    app: App,
    profile: Profile,
    kind: PlayKind,
    settings: Mapping[str, Any],
    *,
    is_ready: bool,
    names: Mapping[str, str],
    pictures: Mapping[str, str],
) -> None:
    """Draw a test, in the language of the person; a viewer may play it, and sends nothing.

    Parameters
    ----------
    settings
        What ``Tapping`` or ``Reacting`` (``ui/play``) takes.
    is_ready
        Whether the settings make a test that can be played.
    names
        What gestures are called in the person's language, by stored name.
    """
    audit_view.seen(app, "live.seen", profile.user_id)
    user_id, words = profile.user_id, sentences(profile.language, "play")
    key = f"semg-play-{kind}-{user_id}"
    _component(
        key=key,
        data={
            "kind": kind,
            "url": f"{live_url(app.settings, user_id)}?samples=false",
            "token": live_token(app, user_id),
            "settings": dict(settings),
            "problem": "" if is_ready else words["not_ready"],
            "names": dict(names),
            "pictures": dict(pictures),
            "language": profile.language,
            "words": words,
            "may_store": app.may_work,
        },
        on_refused_change=lambda: forget_token(user_id),
        on_finished_change=_taking(app, user_id, key),
    )


def store_played(app: App, user_id: int, sent: object) -> None:
    """Check, measure and store what a browser sent, or say why not; before the page is drawn."""
    with errors.attempt_early(), app.pool.transaction() as tx:
        app.require(tx, user_id, "work")
        played = measure(sent, {one.name for one in gestures.list_gestures(tx, user_id)})
        active = models.find_active(tx, user_id)
        if active is None or active.version != played.model_version:
            raise ConflictError("play again: the test was played with a model version that is no longer the active one")
        play.insert_result(
            tx,
            user_id,
            played.kind,
            played.model_version,
            simulated=simulated_arms.find_arm(tx, user_id) is not None,
            settings=played.settings,
            result=played.result,
            raw=played.raw,
        )
        record(tx, audit_view.actor(app), "play.stored", user_id, version=played.model_version)
        flash(md("The test is stored with model version {version}", version=played.model_version))


def _taking(app: App, user_id: int, key: str) -> Callable[[], None]:
    def take() -> None:
        sent = getattr(st.session_state.get(key), "finished", None)
        if sent is not None:
            store_played(app, user_id, sent)

    return take
