"""The picture or short video that shows how a gesture is performed."""

from __future__ import annotations

import streamlit as st

from semg.capture.prompt_media import check_prompt
from semg.domain import Gesture
from semg.pictures import data_uri, hand_svg
from semg.privacy import file_exports
from semg.store import gestures
from semg.store.audit import record
from semg.store.pool import Pool
from ui import acts, audit_view, download, errors, picture_drop
from ui.page import flash
from ui.runtime import App
from ui.text import markup, md

TYPES = ["png", "jpg", "jpeg", "gif", "webp", "mp4", "webm"]
KEPT_S = 60


def find(app: App, gesture: Gesture) -> tuple[str, bytes] | None:
    """Return media type and content of a gesture's prompt, or None; kept for a while, so that reruns read nothing."""
    if gesture.prompt_type is None:
        return None
    return _read(app.pool, gesture.gesture_id, st.session_state.get("prompts-changed", 0))


@st.cache_data(show_spinner=False, ttl=KEPT_S, max_entries=64)
def _read(_pool: Pool, gesture_id: int, _changed: int) -> tuple[str, bytes] | None:
    with _pool.transaction() as tx:
        return gestures.find_prompt(tx, gesture_id)


def show(app: App, gesture: Gesture, width_px: int = 180) -> None:
    """Show the prompt as it is performed by: a picture, a video that repeats without sound, or the drawn hand."""
    if gesture.prompt_type is None:
        drawn = hand_svg(gesture.name)
        if drawn is not None:
            st.html(markup('<img alt="" src="{uri}" width="{width}">', uri=data_uri(drawn), width=width_px))
            st.caption("Drawn for this name. A picture of your own takes its place.")
        return
    # By its address: what Streamlit is given as content is open to everybody who knows where.
    address = download.file_url(app, file_exports.prompt_file(gesture.gesture_id))
    if gesture.prompt_type.startswith("image/"):
        st.image(address, width=width_px)
    else:
        st.video(address, format=gesture.prompt_type, loop=True, autoplay=True, muted=True, width=width_px)


def edit_prompt(app: App, gesture: Gesture) -> None:
    """Show a gesture's picture or video, with the ways to put another one in its place, each of one step."""
    number = gesture.gesture_id
    show(app, gesture)
    changed = st.session_state.get("prompts-changed", 0)
    sent = picture_drop.picture_drop(acts.key(f"picture-{number}", gesture.user_id), changed)
    with errors.attempt():
        if sent is not None:
            _store(app, gesture, picture_drop.content_of(sent))
    given = st.file_uploader(
        "A short video, or an animated picture: at most 8 MB, 60 s",
        TYPES,
        key=acts.key(f"file-{number}-{changed}", gesture.user_id),
        max_upload_size=8,
    )
    with errors.attempt():
        if given is not None:
            _store(app, gesture, given.getvalue())
        key = acts.key(f"remove-{number}", gesture.user_id)
        if gesture.prompt_type is not None and st.button("Remove the picture", icon=":material/delete:", key=key):
            with app.pool.transaction() as tx:
                app.require(tx, gesture.user_id, "work")
                gestures.delete_prompt(tx, number)
                record(tx, audit_view.actor(app), "gestures.changed", gesture.user_id)
            _forget(app, number)
            st.rerun()


def _store(app: App, gesture: Gesture, content: bytes) -> None:
    """Store a picture or video that was looked into, and draw the page anew."""
    check_prompt(content)
    with app.pool.transaction() as tx:
        app.require(tx, gesture.user_id, "work")
        gestures.set_prompt(tx, gesture.gesture_id, content)
        record(tx, audit_view.actor(app), "gestures.changed", gesture.user_id)
    _forget(app, gesture.gesture_id)
    flash(md("Picture of {name} saved", name=gesture.name))
    st.rerun()


def _forget(app: App, gesture_id: int) -> None:
    """Show what is stored now, and not what was."""
    st.session_state["prompts-changed"] = st.session_state.get("prompts-changed", 0) + 1
    download.forget(app, f"files/{file_exports.prompt_file(gesture_id)}")
