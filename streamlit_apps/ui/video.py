"""A session's video, played in the browser from the API."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from semg.domain import Video, us_from_utc
from semg.security import tokens
from semg.store import sessions, videos
from ui import download
from ui.audit_view import seen
from ui.runtime import App
from ui.scripts import joined
from ui.text import md

_FOLDER = Path(__file__).parent
_component = st.components.v2.component(
    "semg_video",
    html='<div class="semg-video"></div>',
    css=(_FOLDER / "video.css").read_text(encoding="utf-8"),
    js=joined(_FOLDER / "video.js"),
)
TOKEN_S = 4 * 3600.0
"""A video is watched for longer than a live view is opened; its token is for this session, while the login lasts."""


def show_video(
    app: App, session_id: int, at_us: int | None = None, *, key: str = "", height_px: int = 320
) -> int | None:
    """Show a session's video at a time, with the browser's controls; nothing when the session has none.

    While it plays, the page's document gets events ``semg-video-time`` with ``detail = {session_id, at_us, playing}``
    (server time of what is shown, in microseconds since the epoch), without reruns: a component that draws a cursor
    listens to them.

    Parameters
    ----------
    at_us
        Server time to show, in microseconds since the epoch; the video moves there whenever it changes. None leaves
        it where it is. A time before or after the video shows its first or last frame.
    key
        Tells two videos on one page apart.
    height_px
        At most this high.

    Returns
    -------
    Server time at which the viewer last paused the video or moved it; None before that, and without a video.
    """
    with app.pool.transaction() as tx:
        video = videos.find_video(tx, session_id)
    if video is None:
        return None
    if video.status != "ready" or video.started_at is None:
        st.caption(md(":material/videocam: {why}", why=unplayable(video)))
        return None
    with app.pool.transaction() as tx:
        owner = sessions.get_session(tx, session_id).user_id
    seen(app, "video.seen", owner, session_id)
    shown = _component(
        key=f"semg-video-{session_id}-{key}",
        data={
            "session_id": session_id,
            "url": video_url(app, session_id),
            "started_us": us_from_utc(video.started_at),
            "at_us": at_us,
            "height_px": height_px,
        },
        on_at_us_change=lambda: None,
        on_expired_change=lambda: download.forget(app, f"videos/{session_id}"),
    )
    if video.problem:
        st.caption(md(":material/warning: {problem}", problem=video.problem))
    picked = getattr(shown, "at_us", None)
    return None if picked is None else int(picked)


def unplayable(video: Video) -> str:
    """Say why a video cannot be played."""
    if video.status == "failed":
        return f"This session's video was not kept: {video.problem}"
    return "This session's video is being written; it can be played shortly after the session ends."


def video_url(app: App, session_id: int) -> str:
    """Return the address of a video with a token."""
    return download.url(app, tokens.VIDEO, f"videos/{session_id}", str(session_id), TOKEN_S)
