"""The webcam of a tab: when it is on, what it does without frames, and what it takes of a browser."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr
from streamlit.testing.v1 import AppTest

from semg.errors import InvalidValueError
from semg.security import tokens
from semg.security.keys import ring_of
from semg.security.tokens import WEBCAM
from semg.settings import Settings
from semg.store import accounts, sessions
from semg.store.pool import Pool
from semg.video.recording import RecorderState
from testing.kits.page_data import LOGIN, LOGIN_OF_TEST, MAIN, act, all_text, login_of, now, store_noise
from ui import webcam_connection
from ui.runtime import App
from ui.webcam_connection import MAX_CANDIDATES, Camera, check_offer, ice_servers

CAPTURE = "3_Training_Data_Capture.py"
Open = Callable[..., AppTest]
SECTION = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\n"


# Frames that do not come


def test_webcam_that_sends_nothing_refuses_the_start_and_the_capture_works_without_it(
    open_page: Open, pool: Pool, profile_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.webcam.START_WAIT_S", 0.0)
    store_noise(pool, profile_id, now() - timedelta(seconds=4), 30)
    page = open_page(CAPTURE)
    page.toggle(key="webcam-on").set_value(True).run()
    assert not page.exception
    assert "Waiting for the webcam" in all_text(page)
    act(page, "start").click().run()
    assert "The webcam is not sending frames" in page.error[0].value
    page.toggle(key="webcam-on").set_value(False).run()
    act(page, "start").click().run()
    assert not page.error
    with pool.transaction() as tx:
        assert len(sessions.list_recording_sessions(tx)) == 1


def test_a_start_waits_for_a_webcam_whose_frames_pause(
    open_page: Open, pool: Pool, profile_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_noise(pool, profile_id, now() - timedelta(seconds=4), 30)
    page = open_page(CAPTURE)
    page.toggle(key="webcam-on").set_value(True).run()
    camera, looks = page.session_state["webcam"], iter([False] * 3)
    monkeypatch.setattr(camera, "state", lambda: RecorderState(next(looks, True), None, 30.0, 0, 0, ""))
    act(page, "start").click().run()
    assert not page.error
    with pool.transaction() as tx:
        assert len(sessions.list_recording_sessions(tx)) == 1


def test_browser_is_told_to_connect_anew_when_nothing_comes(
    open_page: Open, profile_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(CAPTURE)
    page.toggle(key="webcam-on").set_value(True).run()
    page.run()
    assert "webcam-attempt" not in page.session_state
    monkeypatch.setattr("ui.webcam.TRY_AGAIN_S", 0.0)
    page.run()
    assert page.session_state["webcam-attempt"] == 1


# Who switches it on


def is_on(page: AppTest) -> bool:
    return bool(page.toggle(key="webcam-on").value)


def opened_by_address(token: str, login_id: int) -> AppTest:
    """Return the page as a new tab shows it."""
    page = AppTest.from_file(str(MAIN), default_timeout=30)
    page.session_state[LOGIN_OF_TEST] = login_id
    page.query_params["camera"] = token
    page.switch_page(f"pages/{CAPTURE}")
    return page.run()


def test_reload_of_the_same_login_keeps_the_webcam_on(open_page: Open, pool: Pool, profile_id: int) -> None:
    mine = login_of(pool)
    page = open_page(CAPTURE, **{LOGIN_OF_TEST: mine})
    page.toggle(key="webcam-on").set_value(True).run()
    token = page.query_params["camera"]
    token = token if isinstance(token, str) else token[0]
    again = opened_by_address(token, mine)
    assert is_on(again)
    again.toggle(key="webcam-on").set_value(False).run()
    assert "camera" not in again.query_params


def test_link_of_somebody_else_switches_no_webcam_on(app_of_test: App, pool: Pool, profile_id: int) -> None:
    mine, other = login_of(pool), login_of(pool)
    with pool.transaction() as tx:
        account = accounts.find_account(tx, LOGIN)
    assert account is not None
    foreign = tokens.make_token(
        ring_of(app_of_test.settings), WEBCAM, str(account.account_id), 60.0, tokens.Login(account.account_id, other)
    )
    for token in ("1", "", "a.b.c", foreign):
        assert not is_on(opened_by_address(token, mine)), token


# What a browser offers


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "v=0",
        {"number": "1"},
        {"number": 1, "sdp": SECTION},
        {"number": "1" * 65, "sdp": SECTION},
        {"number": "1", "sdp": "v=0\r\n"},
        {"number": "1", "sdp": SECTION + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"},
        {"number": "1", "sdp": SECTION + "".join(f"a=ssrc:{n} :\r\n" for n in range(55_000))},
        {"number": "1", "sdp": SECTION + "a=x:" + "y" * 40_000},
        {
            "number": "1",
            "sdp": SECTION
            + "".join(f"a=candidate:{n} 1 udp 1 10.0.0.1 {n} typ host\r\n" for n in range(MAX_CANDIDATES + 1)),
        },
    ],
    ids=["nothing", "text", "no-sdp", "no-text", "long-number", "no-media", "two-media", "many-lines", "long", "aims"],
)
def test_offer_that_no_browser_makes_is_refused_before_it_is_parsed(sent: object) -> None:
    with pytest.raises(InvalidValueError):
        check_offer(sent)


class Kept:
    """Stands for a recorder, and keeps what it is given."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, int]] = []
        self.reports = 0
        self.closed = False

    def add_frame(self, picture: Any, media: int, arrival_us: int) -> None:
        self.frames.append((picture.width, media))

    def add_report(self, media: int, clock_us: int, arrival_us: int) -> None:
        self.reports += 1

    def aim(self, session_id: int | None) -> None:
        """Only one that writes needs it."""

    def close(self) -> None:
        self.closed = True


async def frames_beyond(made: list[Kept], n: int) -> None:
    """Wait until more than ``n`` frames of the first connection have arrived."""
    async with asyncio.timeout(30):
        while not (made and len(made[0].frames) > n):
            await asyncio.sleep(0.05)


def disturb(answer: str) -> None:
    """Send what a stranger can send to the server's port: nothing, too little, STUN that cannot be parsed, an alert."""
    (port,) = {int(found) for found in re.findall(r"^a=candidate:\S+ 1 udp \d+ 127.0.0.1 (\d+) ", answer, re.MULTILINE)}
    stun = bytes.fromhex("00010008 2112a442") + bytes(12) + bytes.fromhex("00240001 01000000")  # PRIORITY of one byte
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        alert = bytes.fromhex("15feff 0000 000000000001 0002 0228")  # DTLS: fatal, the handshake failed
        for data in (b"", b"\x00", b"\x80\xc8", stun, stun[:20], bytes(1400), alert):
            stranger.sendto(data, ("127.0.0.1", port))


def test_frames_of_a_real_connection_arrive_and_end_with_it(settings: Settings) -> None:
    """The client is aiortc's own; an offer that comes twice is answered once, and one that is nonsense not at all.

    Before: an empty datagram of anybody ended the connection.
    """
    from aiortc import RTCPeerConnection, RTCSessionDescription
    from aiortc.mediastreams import VideoStreamTrack

    here = settings.model_copy(update={"webrtc_hosts": "127.0.0.1"})
    made: list[Kept] = []
    camera = Camera(lambda: made.append(Kept()) or made[-1], 1)  # type: ignore[func-returns-value,arg-type,return-value]

    async def send() -> None:
        webcam_connection._listen_at("127.0.0.1")
        client = RTCPeerConnection()
        client.addTransceiver(VideoStreamTrack(), direction="sendonly")
        await client.setLocalDescription(await client.createOffer())
        offer = check_offer({"number": "first", "sdp": client.localDescription.sdp})
        for _ in range(2):
            await asyncio.to_thread(camera.answer, here, offer)
        assert camera.answered is not None
        assert camera.answered.number == "first"
        await client.setRemoteDescription(RTCSessionDescription(camera.answered.sdp, "answer"))
        await frames_beyond(made, 5)
        disturb(camera.answered.sdp)
        await frames_beyond(made, len(made[0].frames) + 5)
        await asyncio.to_thread(camera.stop)
        await client.close()

    try:
        asyncio.run(send())
        assert [one.closed for one in made] == [True]
        assert {width for width, _ in made[0].frames} == {640}
        nonsense = check_offer({"number": "second", "sdp": SECTION})
        with pytest.raises(InvalidValueError, match="cannot be answered"):
            camera.answer(here, nonsense)
        assert not camera.state().sends
    finally:
        camera.stop()


def test_two_offers_at_once_leave_one_connection_and_one_that_was_stopped_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page may run twice at once: without the lock one connection was nobody's, and filled the memory."""
    at_work, most, made = [0], [0], []

    class Worker:
        def __init__(self) -> None:
            self.pc = SimpleNamespace(connectionState="connected", getReceivers=list)
            made.append(self)

        def process_offer(self, sdp: str, kind: str, timeout: float) -> SimpleNamespace:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
            meets.wait(0.3)
            at_work[0] -= 1
            return SimpleNamespace(sdp="answer")

        def stop(self) -> None:
            self.pc.connectionState = "closed"

    meets = threading.Event()
    monkeypatch.setattr(webcam_connection, "_worker", lambda settings, frames: Worker())
    camera = Camera(Kept, 1)  # type: ignore[arg-type]

    def answer(number: str) -> threading.Thread:
        offer = check_offer({"number": number, "sdp": SECTION})
        thread = threading.Thread(target=camera.answer, args=(settings, offer))
        thread.start()
        return thread

    for thread in [answer("a"), answer("b")]:
        thread.join(10)
    assert most == [1]
    assert [one.pc.connectionState for one in made] == ["closed", "connected"]
    late = answer("c")
    while not at_work[0]:
        time.sleep(0.001)
    camera.stop()  # while it is answered
    late.join(10)
    assert {one.pc.connectionState for one in made} == {"closed"}
    assert not camera.is_connected


def test_account_has_some_webcams_at_the_most(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Camera, "is_connected", True)
    others = [Camera(Kept, 1) for _ in range(webcam_connection.MAX_EACH)]  # type: ignore[arg-type]
    monkeypatch.setattr(webcam_connection, "_connected", set(others))
    with pytest.raises(InvalidValueError, match="close another page first"):
        Camera(Kept, 1).answer(settings, check_offer({"number": "1", "sdp": SECTION}))  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="cannot be answered"):
        Camera(Kept, 2).answer(settings, check_offer({"number": "1", "sdp": SECTION}))  # type: ignore[arg-type]


def test_servers_for_other_networks_come_from_the_settings(app_of_test: App) -> None:
    assert ice_servers(app_of_test.settings) == []
    named = app_of_test.settings.model_copy(
        update={"ice_servers": "stun:a:3478, turn:b:3478", "turn_user": "u", "turn_password": SecretStr("p")}
    )
    assert ice_servers(named) == [
        {"urls": ["stun:a:3478"]},
        {"urls": ["turn:b:3478"], "username": "u", "credential": "p"},
    ]
