"""The webcam of a browser tab: its picture beside the prompt, its frames to the session that is being recorded."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from semg.clock import now_us
from semg.consent_types import agrees
from semg.domain import Profile
from semg.security.encrypted_files import Vault
from semg.security.keys import ring_of
from semg.settings import Settings
from semg.store import consents
from semg.video.recording import Claims, Limits, Recorder, RecorderState
from semg.video.reports import listen
from ui import errors
from ui.fragments import live_fragment
from ui.runtime import App
from ui.scripts import joined
from ui.text import md

CONSTRAINTS = {"video": {"width": {"ideal": 640}, "height": {"ideal": 480}, "frameRate": {"ideal": 30}}, "audio": False}
_ON, _WANTED, _CAMERA, _PARAMETER = "webcam-on", "webcam-wanted", "webcam", "camera"
_DRAWN, _ARMED, _WHOLE_RUN = "webcam-drawn", "webcam-armed", "webcam-whole-run"
_ARMED_AT = "webcam-armed-at"
TRY_AGAIN_S = 10.0
"""A browser that had not loaded the component when it was told to play never does: it is told again."""
_FOLDER = Path(__file__).parent
_mirror = st.components.v2.component(
    "semg_webcam",
    html='<div class="semg-webcam"></div>',
    css=(_FOLDER / "webcam.css").read_text(encoding="utf-8"),
    js=joined(_FOLDER / "webcam.js"),
)
NO_CAMERA = RecorderState(False, None, 0.0, 0, 0, "")


class Camera:
    """The webcam of one tab: takes the frames of each connection that the tab makes (a streamlit-webrtc ``MediaSink``).

    Parameters
    ----------
    make_recorder
        Gives a recorder for a new connection.
    """

    def __init__(self, make_recorder: Callable[[], Recorder]) -> None:
        self._make_recorder = make_recorder
        self._lock = threading.Lock()
        self._recorder: Recorder | None = None
        self._session_id: int | None = None
        self._track: Any = None
        self._task: asyncio.Task[None] | None = None

    def addTrack(self, track: Any) -> None:  # noqa: N802 - the protocol's name
        """Take a new connection's track."""
        self.stop()
        recorder = self._make_recorder()
        with self._lock:
            self._track, self._recorder = track, recorder
            recorder.aim(self._session_id)

    def hasTrack(self) -> bool:  # noqa: N802
        """Return whether there is a track."""
        return self._track is not None

    def start(self) -> None:
        """Pull frames from now on; called on the event loop."""
        assert self._recorder is not None
        self._task = asyncio.get_running_loop().create_task(self._pull(self._track, self._recorder))

    def stop(self) -> None:
        """Take no more frames of this connection, and finish what is being written; called from any thread."""
        with self._lock:
            task, self._task, self._track = self._task, None, None
            recorder, self._recorder = self._recorder, None
        if task is not None:
            task.get_loop().call_soon_threadsafe(task.cancel)
        if recorder is not None:
            recorder.close()

    def aim(self, session_id: int | None) -> None:
        """Write frames for a session from now on, or for none."""
        with self._lock:
            self._session_id = session_id
            if self._recorder is not None:
                self._recorder.aim(session_id)

    def connect(self, connection: Any) -> None:
        """Listen to what a connection tells of the browser's clock; calling again changes nothing."""
        recorder = self._recorder
        if recorder is not None:
            listen(connection, recorder.add_report)

    def state(self) -> RecorderState:
        """Return what the webcam does now."""
        recorder = self._recorder
        return NO_CAMERA if recorder is None else recorder.state()

    async def _pull(self, track: Any, recorder: Recorder) -> None:
        from aiortc.mediastreams import MediaStreamError

        try:
            while True:
                frame = await track.recv()
                recorder.add_frame(frame, frame.pts, now_us())
        except MediaStreamError:
            pass
        finally:
            recorder.close()


def show_webcam(app: App, profile: Profile, session_id: int | None) -> RecorderState:
    """Draw the switch and, when it is on, the webcam's picture; frames go to the session that is being recorded.

    Stands at the same place of a page at every run: a picture that moves on the page loses its connection.

    Parameters
    ----------
    profile
        The person of the page; without this person's consent to video the webcam goes off, and stays off until
        somebody switches it on.
    session_id
        Its session that is being recorded; None while none is.

    Returns
    -------
    What the webcam does now.
    """
    if _ON not in st.session_state:  # the page was opened, or come back to: nothing of it is drawn yet
        wanted = st.session_state.get(_WANTED, st.query_params.get(_PARAMETER) == "1")
        st.session_state[_ON] = wanted
        _forget_drawing()
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
        return NO_CAMERA
    st.query_params[_PARAMETER] = "1"
    # A component that has just been drawn cannot play yet: it is told to at the next run.
    st.session_state[_ARMED] = st.session_state.get(_DRAWN, False)
    if st.session_state[_ARMED]:
        st.session_state.setdefault(_ARMED_AT, time.monotonic())
    st.session_state[_DRAWN] = st.session_state[_WHOLE_RUN] = True
    camera: Camera = st.session_state.setdefault(_CAMERA, _camera(app))
    camera.aim(session_id)
    with st.container(gap=None):
        _mirror(key="semg-webcam", data={"constraints": CONSTRAINTS})
        # The sender shows nothing.
        with st.container(key="webcam-sender"):
            st.html("<style>.st-key-webcam-sender { height: 0; overflow: hidden; }</style>")
            _send(app.settings, camera)
    _status(app, profile.user_id, camera, session_id)
    return camera.state()


def webcam_on() -> bool:
    """Return whether the viewer wants the webcam recorded."""
    return bool(st.session_state.get(_ON))


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
    _forget_drawing()


def _forget_drawing() -> None:
    for key in (_DRAWN, _ARMED, _ARMED_AT):
        st.session_state.pop(key, None)


def _camera(app: App) -> Camera:
    settings = app.settings
    settings.videos.mkdir(mode=0o700, parents=True, exist_ok=True)
    limits = Limits(settings.video_max_bytes, settings.min_free_disk_mb << 20)
    vault = Vault(ring_of(settings))
    return Camera(lambda: Recorder(app.pool, settings.videos, limits, _claims(), vault))


@st.cache_resource(show_spinner=False)
def _claims() -> Claims:
    """Return what the tabs of all viewers share."""
    return Claims()


def _send(settings: Settings, camera: Camera) -> None:
    from streamlit_webrtc import WebRtcMode, webrtc_streamer

    _listen_at(settings.webrtc_hosts)
    for name in ("aioice", "aiortc", "streamlit_webrtc"):
        logging.getLogger(name).setLevel(logging.WARNING)  # they tell every address of the browser
    context = webrtc_streamer(
        key="webcam-stream",
        mode=WebRtcMode.SENDONLY,
        rtc_configuration={"iceServers": ice_servers(settings)},
        media_stream_constraints=CONSTRAINTS,
        desired_playing_state=bool(st.session_state.get(_ARMED)),
        sink_video_track=camera,
        media_toggle_controls=False,
    )
    worker = context._get_worker()
    connection = getattr(worker, "pc", None)
    if connection is not None:
        camera.connect(connection)


@live_fragment(1.0, on_refused=switch_off)
def _status(app: App, user_id: int, camera: Camera, session_id: int | None) -> None:
    """Say every second whether pictures come, and whether they are written."""
    with app.pool.transaction() as tx:
        agreed = user_id in consents.consenting(tx, [user_id], "video")
    if not agreed:  # withdrawn since the page was drawn
        switch_off()
        st.rerun()
    if not st.session_state.pop(_WHOLE_RUN, False) and not st.session_state.get(_ARMED):
        st.rerun()  # by the clock: a run of the whole page may be somebody's click, which must not be lost
    armed_at = st.session_state.get(_ARMED_AT)
    if armed_at is not None and not camera.hasTrack() and time.monotonic() - armed_at > TRY_AGAIN_S:
        _forget_drawing()
        st.rerun()
    state = camera.state()
    if state.problem:
        st.warning(md("No video: {problem}", problem=state.problem), icon=":material/videocam_off:")
    elif not state.sends:
        st.caption(":material/videocam_off: Waiting for the webcam. Allow it in the browser.")
    elif session_id is None:
        st.caption(md(":material/videocam: Ready, {n:.0f} frames/s. The capture will record it.", n=state.rate_hz))
    else:
        lost = f", {state.dropped} dropped: the machine is too busy" if state.dropped else ""
        recording = ":material/fiber_manual_record: Recording, {n:.0f} frames/s{lost}."
        st.caption(md(recording, n=state.rate_hz, lost=lost))


def ice_servers(settings: Settings) -> list[dict[str, Any]]:
    """Return the STUN and TURN servers of the settings in the form of ``RTCConfiguration``; none on a LAN."""
    made: list[dict[str, Any]] = []
    for url in (part.strip() for part in settings.ice_servers.split(",")):
        if url.startswith("turn"):
            secret = settings.turn_password.get_secret_value()
            made.append({"urls": [url], "username": settings.turn_user, "credential": secret})
        elif url:
            made.append({"urls": [url]})
    return made


def _listen_at(hosts: str) -> None:
    """Let pictures come to the named addresses only; without a name, to all but loopback (aioice's own choice)."""
    chosen = [host.strip() for host in hosts.split(",") if host.strip()]
    if chosen:
        import aioice.ice

        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [
            host for host in chosen if (use_ipv6 if ":" in host else use_ipv4)
        ]
