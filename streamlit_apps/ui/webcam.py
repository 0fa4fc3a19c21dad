"""The webcam of a browser tab: its picture beside the prompt, its frames to the session that is being recorded."""

from __future__ import annotations

import time
from pathlib import Path

import streamlit as st

from semg.consent_types import agrees
from semg.domain import Profile
from semg.errors import InvalidValueError, WireError
from semg.security.encrypted_files import Vault
from semg.security.keys import ring_of
from semg.security.tokens import WEBCAM, read_login_of
from semg.store import consents
from semg.store.pool import Transaction
from semg.video.claims import Claims
from semg.video.recording import Limits, Recorder
from ui import errors
from ui.fragments import live_fragment
from ui.runtime import App
from ui.scripts import joined
from ui.text import md
from ui.webcam_connection import Camera, check_offer, ice_servers

CONSTRAINTS = {"video": {"width": {"ideal": 640}, "height": {"ideal": 480}, "frameRate": {"ideal": 30}}, "audio": False}
_ON, _WANTED, _CAMERA, _PARAMETER = "webcam-on", "webcam-wanted", "webcam", "camera"
_COMPONENT, _ATTEMPT, _HEARD_AT = "semg-webcam", "webcam-attempt", "webcam-heard-at"
WANTED_S = 12 * 3600.0
"""How long a reloaded tab switches its webcam on again."""
TRY_AGAIN_S = 10.0
"""After this long without a frame the browser is told to connect anew."""
START_WAIT_S = 5.0
"""A start waits this long for a webcam whose frames pause, as they do on a busy machine."""
_FOLDER = Path(__file__).parent
_component = st.components.v2.component(
    "semg_webcam",
    html='<div class="semg-webcam"></div>',
    css=(_FOLDER / "webcam.css").read_text(encoding="utf-8"),
    js=joined(_FOLDER / "webcam.js"),
)


def show_webcam(app: App, profile: Profile, session_id: int | None) -> None:
    """Draw the switch and, when it is on, the webcam's picture; frames go to the session that is being recorded.

    Stands at the same place of a page at every run: a picture that moves on the page loses its connection.

    Parameters
    ----------
    profile
        The person of the page; without this person's consent to video the webcam goes off, and stays off until
        somebody switches it on.
    session_id
        Its session that is being recorded; None while none is.
    """
    if _ON not in st.session_state:  # the page was opened, or come back to: nothing of it is drawn yet
        st.session_state[_ON] = st.session_state.get(_WANTED, _was_on(app))
        st.session_state.pop(_HEARD_AT, None)
    allowed = agrees(profile.consent, "video")
    if not allowed:
        st.session_state[_ON] = False
    on = st.toggle(
        "Record the webcam",
        key=_ON,
        disabled=not allowed,
        help="One video per session, with each frame timed on the signals' clock.",
    )
    if not allowed:
        st.caption(
            md(
                ":material/videocam_off: The webcam is off: {name} has not agreed to being filmed. The consent is "
                "recorded on the Profiles page.",
                name=profile.name,
            )
        )
        errors.consent_link(profile.user_id)
    st.session_state[_WANTED] = on
    if not on:
        st.query_params.pop(_PARAMETER, None)
        switch_off()
        return
    if not _was_on(app):
        st.query_params[_PARAMETER] = app.token(WEBCAM, str(app.account_id), WANTED_S)
    camera: Camera = st.session_state.setdefault(_CAMERA, _camera(app))
    camera.aim(session_id)
    _picture(app, profile.user_id, camera, session_id)


def webcam_on() -> bool:
    """Return whether the viewer wants the webcam recorded."""
    return bool(st.session_state.get(_ON))


def wait_for_frames() -> bool:
    """Return whether this tab's webcam sends, as soon as it does, or after ``START_WAIT_S``."""
    camera = running()
    deadline = time.monotonic() + START_WAIT_S
    while camera is not None and not camera.state().sends:
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.1)
    return camera is not None


def running() -> Camera | None:
    """Return the camera of this tab, or None."""
    found: Camera | None = st.session_state.get(_CAMERA)
    return found


def switch_off(camera: Camera | None = None) -> None:
    """Take no more pictures of this tab.

    Parameters
    ----------
    camera
        What ``running`` returned, where the tab's memory has been emptied since.
    """
    found = camera or running()
    if found is not None:
        found.stop()  # first: with a stop under way, the tab's memory cannot be read
    st.session_state.pop(_CAMERA, None)
    st.session_state.pop(_HEARD_AT, None)


def _was_on(app: App) -> bool:
    """Return whether this tab's address says that its webcam was switched on in this login, as after a reload.

    The address holds a token: a link that somebody else made switches no webcam on.
    """
    token = st.query_params.get(_PARAMETER)
    if token is None:
        return False
    try:
        return read_login_of(ring_of(app.settings), WEBCAM, token, str(app.account_id)) == app.login_here
    except WireError:
        return False


def _camera(app: App) -> Camera:
    settings = app.settings
    settings.videos.mkdir(mode=0o700, parents=True, exist_ok=True)
    limits = Limits(settings.video_max_bytes, settings.min_free_disk_mb << 20)
    vault = Vault(ring_of(settings))

    def require(tx: Transaction, user_id: int) -> None:
        app.require(tx, user_id, "work")

    return Camera(lambda: Recorder(app.pool, settings.videos, limits, _claims(), vault, require), app.account_id)


@st.cache_resource(show_spinner=False)
def _claims() -> Claims:
    """Return what the tabs of all viewers share."""
    return Claims()


@live_fragment(1.0, on_refused=switch_off)
def _picture(app: App, user_id: int, camera: Camera, session_id: int | None) -> None:
    """Show the picture, connect to the browser, and say every second whether pictures come and are written."""
    with app.pool.transaction() as tx:
        agreed = user_id in consents.consenting(tx, [user_id], "video")
    if not agreed:  # withdrawn since the page was drawn
        switch_off()
        st.rerun()
    problem = _connect(app, camera)
    state = camera.state()
    now = time.monotonic()
    if state.sends or now - st.session_state.setdefault(_HEARD_AT, now) > TRY_AGAIN_S:
        if not state.sends:
            st.session_state[_ATTEMPT] = st.session_state.get(_ATTEMPT, 0) + 1
        st.session_state[_HEARD_AT] = now
    answered = camera.answered
    _component(
        key=_COMPONENT,
        data={
            "constraints": CONSTRAINTS,
            "ice_servers": ice_servers(app.settings),
            "attempt": st.session_state.get(_ATTEMPT, 0),
            "answer": None if answered is None else {"number": answered.number, "sdp": answered.sdp},
        },
        on_offer_change=lambda: None,
    )
    problem = state.problem or problem
    if problem:
        st.warning(md("No video: {problem}", problem=problem), icon=":material/videocam_off:")
    elif not state.sends:
        st.caption(":material/videocam_off: Waiting for the webcam. Allow it in the browser.")
    elif session_id is None:
        st.caption(md(":material/videocam: Ready, {n:.0f} frames/s. The capture will record it.", n=state.rate_hz))
    else:
        lost = f", {state.dropped} dropped: the machine is too busy" if state.dropped else ""
        recording = ":material/fiber_manual_record: Recording, {n:.0f} frames/s{lost}."
        st.caption(md(recording, n=state.rate_hz, lost=lost))


def _connect(app: App, camera: Camera) -> str:
    """Answer what the browser offers, and return why that is not possible, or nothing."""
    sent = getattr(st.session_state.get(_COMPONENT), "offer", None)
    if sent is None:
        return ""
    try:
        camera.answer(app.settings, check_offer(sent))
    except InvalidValueError as exc:
        return str(exc)
    return ""
