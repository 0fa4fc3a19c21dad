"""The server's half of a webcam's connection: a browser's offer is checked and answered, its frames go to a recorder.

WebRTC runs in an event loop of its own (one thread for all tabs), never in the one that serves the app.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import streamlit as st

from semg.clock import now_us
from semg.errors import InvalidValueError
from semg.settings import Settings
from semg.video import webrtc_guards
from semg.video.recorder_state import RecorderState
from semg.video.recording import Recorder
from semg.video.reports import listen

if TYPE_CHECKING:
    from streamlit_webrtc import WebRtcWorker

logger = logging.getLogger(__name__)

MAX_OFFER_CHARACTERS, MAX_OFFER_LINES, MAX_CANDIDATES, MAX_ID_CHARACTERS = 32_768, 400, 32, 64
"""A browser's offer of one camera has about 6,000 characters in 150 lines. Reading one takes time that grows with the
square of some kinds of lines, and each candidate is an address that the server sends to."""
ANSWER_TIMEOUT_S = 10.0
MAX_EACH = 6
"""Webcams that one account may have connected at the same time."""
_connected: WeakSet[Camera] = WeakSet()
_counting = threading.Lock()
NO_CAMERA = RecorderState(False, None, 0.0, 0, 0, "")


@dataclass(frozen=True, slots=True)
class Description:
    """One side of a connection in SDP (RFC 8866); ``number`` names the browser's attempt that it belongs to."""

    number: str
    sdp: str


def check_offer(sent: object) -> Description:
    """Return the offer that a browser sent.

    Raises
    ------
    InvalidValueError
        It is no offer of one camera, or longer than a browser makes it.
    """
    number, sdp = (sent.get("number"), sent.get("sdp")) if isinstance(sent, dict) else (None, None)
    if not isinstance(number, str) or not isinstance(sdp, str) or not 0 < len(number) <= MAX_ID_CHARACTERS:
        raise InvalidValueError("webcam", "the browser's offer cannot be read; reload the page")
    lines = sdp.splitlines()
    media = [line for line in lines if line.startswith("m=")]
    if (
        len(sdp) > MAX_OFFER_CHARACTERS
        or len(lines) > MAX_OFFER_LINES
        or sum(line.startswith("a=candidate:") for line in lines) > MAX_CANDIDATES
        or [line[:8] for line in media] != ["m=video "]
    ):
        raise InvalidValueError(
            "webcam",
            f"expected the offer of one camera with at most {MAX_OFFER_LINES} lines and {MAX_CANDIDATES} addresses, "
            f"got {len(lines)} lines and {len(media)} media",
        )
    return Description(number, sdp)


class _Frames:
    """What takes the frames of one connection (a streamlit-webrtc ``MediaSink``) to a recorder of its own."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._track: Any = None
        self._task: asyncio.Task[None] | None = None

    def addTrack(self, track: Any) -> None:  # noqa: N802 - the protocol's name
        """Take the connection's track."""
        self._track = track

    def hasTrack(self) -> bool:  # noqa: N802
        """Return whether there is a track."""
        return self._track is not None

    def start(self) -> None:
        """Pull frames from now on; called on the event loop."""
        self._task = asyncio.get_running_loop().create_task(self._pull())

    def stop(self) -> None:
        """Take no more frames, and finish what is being written; called from any thread."""
        task, self._task = self._task, None
        if task is not None:
            task.get_loop().call_soon_threadsafe(task.cancel)
        self.recorder.close()

    async def _pull(self) -> None:
        from aiortc.mediastreams import MediaStreamError

        try:
            while True:
                frame = await self._track.recv()
                self.recorder.add_frame(frame, frame.pts, now_us())
        except MediaStreamError:
            pass
        finally:
            self._track.stop()  # else pictures that nobody takes wait in it without end
            self.recorder.close()


class Camera:
    """The webcam of one tab, connected once at the most.

    Parameters
    ----------
    make_recorder
        Gives a recorder for a new connection.
    account_id
        Whose webcam it is; an account has ``MAX_EACH`` at the most.
    """

    def __init__(self, make_recorder: Callable[[], Recorder], account_id: int) -> None:
        self._make_recorder, self.account_id = make_recorder, account_id
        self._answering, self._lock = threading.Lock(), threading.Lock()
        self._stops = 0
        self._session_id: int | None = None
        self._worker: WebRtcWorker | None = None
        self._frames: _Frames | None = None
        self._is_pending = False
        self.answered: Description | None = None
        """What the browser's newest offer was answered with; an empty ``sdp`` when it could not be."""

    def answer(self, settings: Settings, offer: Description) -> None:
        """Connect to the browser that made an offer, in place of an earlier connection; the same offer changes nothing.

        One offer at a time: a page may run twice at once, and the second one waits. A connection that was made while
        the webcam was stopped is ended.

        Raises
        ------
        InvalidValueError
            No connection can be made of the offer.
        """
        with self._answering:
            if self.answered is not None and self.answered.number == offer.number:
                return
            self._end(*self._release())
            stops, self.answered = self._stops, Description(offer.number, "")
            self._take_room()
            frames = _Frames(self._make_recorder())
            try:
                worker = _worker(settings, frames)
                made = worker.process_offer(offer.sdp, "offer", timeout=ANSWER_TIMEOUT_S)
            except Exception as exc:  # whatever the library meets in a text that a browser sent
                frames.stop()
                logger.warning("a webcam's offer was not answered: %s", type(exc).__name__, exc_info=exc)
                raise InvalidValueError("webcam", "the browser's offer cannot be answered; reload the page") from exc
            finally:
                self._is_pending = False
            with self._lock:
                wanted = self._stops == stops
                if wanted:
                    self._worker, self._frames = worker, frames
                    self.answered = Description(offer.number, made.sdp)
                    frames.recorder.aim(self._session_id)
            if not wanted:
                self._end(worker, frames)
                return
            listen(worker.pc, frames.recorder.add_report)

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection to a browser that has not ended, or one is being made."""
        worker = self._worker
        return self._is_pending or (worker is not None and worker.pc.connectionState not in ("closed", "failed"))

    def stop(self) -> None:
        """Take no more frames, finish what is being written, and end the connection; called from any thread."""
        with self._lock:
            self._stops += 1
        self._end(*self._release())

    def aim(self, session_id: int | None) -> None:
        """Write frames for a session from now on, or for none."""
        with self._lock:
            self._session_id = session_id
            if self._frames is not None:
                self._frames.recorder.aim(session_id)

    def state(self) -> RecorderState:
        """Return what the webcam does now."""
        frames = self._frames
        return NO_CAMERA if frames is None else frames.recorder.state()

    def _release(self) -> tuple[WebRtcWorker | None, _Frames | None]:
        with self._lock:
            worker, frames = self._worker, self._frames
            self._worker = self._frames = self.answered = None
        return worker, frames

    @staticmethod
    def _end(worker: WebRtcWorker | None, frames: _Frames | None) -> None:
        if frames is not None:
            frames.stop()
        if worker is not None:
            worker.stop()

    def _take_room(self) -> None:
        with _counting:
            if sum(one.account_id == self.account_id and one.is_connected for one in list(_connected)) >= MAX_EACH:
                raise InvalidValueError(
                    "webcam", f"this account has {MAX_EACH} webcams connected; close another page first"
                )
            self._is_pending = True
            _connected.add(self)


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


@st.cache_resource(show_spinner=False)
def _loop() -> asyncio.AbstractEventLoop:
    """Return the event loop of all connections; its thread ends with the process."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="webcam-connections", daemon=True).start()
    return loop


def _worker(settings: Settings, frames: _Frames) -> WebRtcWorker:
    """Return one that receives, and does nothing else of what the library offers."""
    from aiortc import RTCConfiguration, RTCIceServer
    from aiortc.contrib.media import MediaRelay
    from streamlit_webrtc import WebRtcMode, WebRtcWorker

    webrtc_guards.install()
    _listen_at(settings.webrtc_hosts)
    for name in ("aioice", "aiortc", "streamlit_webrtc"):
        logging.getLogger(name).setLevel(logging.WARNING)  # they tell every address of the browser
    unused = dict.fromkeys(
        (
            "source_video_track",
            "source_audio_track",
            "sink_audio_track",
            "player_factory",
            "in_recorder_factory",
            "out_recorder_factory",
            "video_frame_callback",
            "audio_frame_callback",
            "queued_video_frames_callback",
            "queued_audio_frames_callback",
            "on_video_ended",
            "on_audio_ended",
            "video_processor_factory",
            "audio_processor_factory",
        )
    )
    return WebRtcWorker(
        mode=WebRtcMode.SENDONLY,
        rtc_configuration=RTCConfiguration([RTCIceServer(**one) for one in ice_servers(settings)]),
        sink_video_track=frames,
        async_processing=False,
        video_receiver_size=1,
        audio_receiver_size=1,
        sendback_video=False,
        sendback_audio=False,
        loop=_loop(),
        relay=MediaRelay(),
        **unused,
    )


def _listen_at(hosts: str) -> None:
    """Let pictures come to the named addresses only; without a name, to all but loopback (aioice's own choice)."""
    chosen = [host.strip() for host in hosts.split(",") if host.strip()]
    if chosen:
        import aioice.ice

        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [
            host for host in chosen if (use_ipv6 if ":" in host else use_ipv4)
        ]
