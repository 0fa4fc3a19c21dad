"""The picture or short video that shows how a gesture is performed."""

from __future__ import annotations

import base64

import streamlit as st

from semg.capture.prompt_media import check_prompt
from semg.domain import Gesture
from semg.privacy import file_exports
from semg.store import gestures
from semg.store.audit import record
from semg.store.pool import Pool
from ui import acts, audit_view, download, errors
from ui.page import flash
from ui.runtime import App
from ui.text import Markup, markup, md

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


def picture_of(app: App, gesture: Gesture) -> Markup:
    """Return a small picture of the gesture as HTML; a sign for a video, nothing without a prompt."""
    found = find(app, gesture)
    if found is None:
        return Markup("")
    if found[0].startswith("video/"):
        return Markup('<span title="has a video" style="font-size:1.6rem">▶</span>')
    content = base64.b64encode(found[1]).decode()
    return markup(
        '<img alt="" src="data:{kind};base64,{content}" '
        'style="width:56px;height:56px;object-fit:cover;border-radius:.3rem">',
        kind=found[0],
        content=content,
    )


def show(app: App, gesture: Gesture, width_px: int = 240) -> None:
    """Show the prompt as it is performed by: a picture, or a video that repeats without sound."""
    if gesture.prompt_type is None:
        return
    # By its address: what Streamlit is given as content is open to everybody who knows where.
    address = download.file_url(app, file_exports.prompt_file(gesture.gesture_id))
    if gesture.prompt_type.startswith("image/"):
        st.image(address, width=width_px)
    else:
        st.video(address, format=gesture.prompt_type, loop=True, autoplay=True, muted=True, width=width_px)


def edit_prompt(app: App, gesture: Gesture) -> None:
    """Show a gesture's picture or video, with a way to put another one in its place."""
    number = gesture.gesture_id
    show(app, gesture)
    # A popover is drawn while it is closed too; twenty file fields would make a slow page.
    if not st.toggle("Picture or video", key=f"prompt-{number}", help="Shown while the gesture is prompted."):
        return
    changed = st.session_state.get("prompts-changed", 0)
    given = st.file_uploader(
        "A picture or a short video, at most 8 MB", TYPES, key=f"file-{number}-{changed}", max_upload_size=8
    )
    with errors.attempt():
        if given is not None and st.button(
            "Use this file", key=acts.key(f"use-{number}", gesture.user_id), type="primary"
        ):
            content = given.getvalue()
            check_prompt(content)
            with app.pool.transaction() as tx:
                app.require(tx, gesture.user_id, "work")
                gestures.set_prompt(tx, number, content)
                record(tx, audit_view.actor(app), "gestures.changed", gesture.user_id)
            _forget(app, number)
            flash(md("Prompt for {name} saved", name=gesture.name))
            st.rerun()
        key = acts.key(f"remove-{number}", gesture.user_id)
        if gesture.prompt_type is not None and st.button("Remove file", key=key):
            with app.pool.transaction() as tx:
                app.require(tx, gesture.user_id, "work")
                gestures.delete_prompt(tx, number)
                record(tx, audit_view.actor(app), "gestures.changed", gesture.user_id)
            _forget(app, number)
            st.rerun()


def _forget(app: App, gesture_id: int) -> None:
    """Show what is stored now, and not what was."""
    st.session_state["prompts-changed"] = st.session_state.get("prompts-changed", 0) + 1
    download.forget(app, f"files/{file_exports.prompt_file(gesture_id)}")
