"""A capture with the webcam, in a browser: paused, partly performed again, reloaded; then one that is ended early.

All of it over the one HTTPS port of ``start_all.sh --lan``, as from another machine.
"""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from semg.capture import step_interval
from semg.capture.conducting import REDONE
from semg.domain import REST, Session, Video, us_from_utc
from semg.platform.lan import lan_address
from semg.platform.servers import embedded
from semg.privacy.consent import TEST_PERSON
from semg.security.encrypted_files import Vault
from semg.settings import Settings
from semg.store import gestures, profiles, sessions, videos
from semg.store.pool import Pool
from semg.video.files import files_of
from testing import fake_camera
from testing.kits.journey import (
    fill_number,
    finished_video,
    log_in,
    open_page,
    start_recording,
    wait_for_stream,
    wait_until_gone,
)
from testing.kits.video_kit import frame_at, read_times
from testing.running_system import ALL, running, streaming

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.timeout(300)]

Truth = list[tuple[int, float]]
P99_US = 20_000
PROMPT, MIRROR = ".semg-prompt", ".semg-webcam video"
READY = re.compile("Ready, .* frames/s")
KEEP_CONNECTIONS = """
  window.semgConnections = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...given) { super(...given); window.semgConnections.push(this); }
  };
"""


@pytest.fixture
def user_id(pool: Pool) -> int:
    """A profile with two gestures beside rest."""
    with pool.transaction() as tx:
        made = profiles.insert_profile(
            tx, "Ada", channels=["a0", "a1", "a2", "a3"], rate_hz=200.0, consent=TEST_PERSON, allow_v1=True
        )
        for name in ("fist", "open hand"):
            gestures.insert_gesture(tx, made, name, f"how to: {name}")
    return made


def test_capture_with_video(
    camera_page: Page, live_settings: Settings, pool: Pool, user_id: int, tmp_path: Path
) -> None:
    page = camera_page
    on_loopback = {"webrtc_hosts": "127.0.0.1", "lan_host": "127.0.0.1", "lan_port": embedded.free_port()}
    settings, _ = lan_address.with_lan(live_settings.model_copy(update=on_loopback))
    stream = ("--user-id", str(user_id), "--channels", "4", "--rate-hz", "200", "--seed", "5")
    with running(settings, tmp_path, (*ALL, "gateway")), streaming(settings, tmp_path, *stream):
        page.add_init_script(KEEP_CONNECTIONS)
        log_in(page, settings)
        assert page.evaluate("isSecureContext && location.protocol") == "https:"
        open_page(page, "Capture")
        page.get_by_text("Record the webcam").click()
        expect(page.get_by_text(READY)).to_be_visible()
        truth = perform(page)
        session = only_session(pool, user_id)
        check_labels(pool, session)
        video = finished_video(pool, session.session_id)
        check_times(settings, session, video, truth)
        check_playing(page, settings, session)
        aborted = abort_one(page, pool, user_id)
        finished_video(pool, aborted.session_id)
        check_erasure(pool, settings, session, user_id)


def fall_silent(page: Page) -> None:
    """Let the webcam's frames stop while its connection stands: the page connects anew by itself."""
    silenced = """
      () => semgConnections.filter((one) => one.connectionState === "connected")
        .flatMap((one) => one.getSenders()).map((sender) => sender.replaceTrack(null)).length
    """
    page.wait_for_function('() => semgConnections.some((one) => one.connectionState === "connected")')
    assert page.evaluate(silenced) == 1
    expect(page.get_by_text("Waiting for the webcam")).to_be_visible()
    expect(page.get_by_text(READY)).to_be_visible()


def perform(page: Page) -> tuple[Truth, Truth]:
    """Carry a plan through with a pause, a redo and a reload; give what the browser saw before that and after it."""
    for label, value in (("Repetitions of each", "1"), ("Seconds per gesture", "5"), ("Seconds of rest", "2"),
                         ("Preparation (s)", "1")):  # fmt: skip
        fill_number(page, label, value)
    expect(page.get_by_text("2 repetitions, 17 s in total.")).to_be_visible()
    wait_for_stream(page)
    expect(page.locator(".semg-live")).to_have_attribute("data-state", "live")
    fake_camera.watch(page.locator(MIRROR))
    page.get_by_role("heading", name="Capture", exact=True).click()  # out of the field: there, an S is a letter
    start_recording(page, lambda: page.keyboard.press("s"))
    prompt = page.locator(PROMPT)
    gesture = re.compile("fist|open hand")
    expect(prompt).to_have_attribute("data-prompt", gesture)
    expect(page.get_by_text(re.compile("Recording, .* frames/s"))).to_be_visible()
    page.keyboard.press("Space")
    expect(prompt).to_have_attribute("data-prompt", "paused")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.keyboard.press("Space")
    expect(prompt).to_have_attribute("data-prompt", gesture)
    expect(prompt).to_have_attribute("data-prompt", REST)
    expect(page.get_by_role("button", name=re.compile("Redo (fist|open hand)"))).to_be_enabled()
    page.keyboard.press("Backspace")
    expect(prompt).to_have_attribute("data-prompt", "prepare")
    before = fake_camera.seen(page)
    page.reload()
    expect(prompt).to_have_attribute("data-prompt", gesture)
    expect(page.get_by_text(re.compile("Recording, .* frames/s"))).to_be_visible()
    fake_camera.watch(page.locator(MIRROR))
    expect(page.get_by_text("2 repetitions recorded. 1 more was redone")).to_be_visible()
    return before, fake_camera.seen(page)


def only_session(pool: Pool, user_id: int) -> Session:
    with pool.transaction() as tx:
        (session,) = sessions.list_sessions(tx, user_id)
        return sessions.get_session(tx, session.session_id)


def check_labels(pool: Pool, session: Session) -> None:
    """What is labelled is what the plan says was performed; the interrupted one has no label at all."""
    with pool.transaction() as tx:
        written = sessions.list_repetitions(tx, session.session_id)
    assert session.status == "completed"
    assert session.plan is not None
    kept = [(one.gesture, one.number, one.started_at, one.ended_at) for one in written if not one.excluded]
    planned = [step for step in session.plan.steps if step.gesture is not None and not step.dropped]
    assert kept == [(step.gesture, step.number, *step_interval(session, step)) for step in planned]
    assert sorted(step.gesture or "" for step in planned) == ["fist", "open hand", REST, REST, REST]
    (redone,) = [one for one in written if one.excluded]
    assert redone.exclude_reason == REDONE
    assert redone.gesture != REST
    dropped = [step for step in session.plan.steps if step.dropped and step.gesture == redone.gesture]
    assert len(dropped) == 2, "interrupted by the pause, then performed again"


def check_times(settings: Settings, session: Session, video: Video, truth: tuple[Truth, Truth]) -> None:
    """Each picture's server time is that of its capture, before and after the reload."""
    files = files_of(settings.videos, session.session_id, Vault(settings.secret_key.get_secret_value()))
    times_us, numbers = read_times(files), fake_camera.recorded(files)
    assert len(times_us) == len(numbers) == video.frames
    assert numbers.count(None) <= len(numbers) // 50
    assert np.all(np.diff(times_us) > 0)
    assert video.time_error_us is not None, "the browser's reports were heard, in both connections"
    # The reload is one of the longest gaps between what the browser showed before it and after it; on a busy machine
    # not the longest, so the pictures themselves tell which.
    before, after = truth
    began, ended = np.searchsorted(times_us, [before[-1][1], after[0][1]]).tolist()
    gaps = began + np.argsort(np.diff(times_us[began - 1 : ended + 1]))[-5:]
    halves = [
        [
            fake_camera.errors_us(numbers[part], times_us[part], seen)
            for part, seen in zip((slice(0, reload), slice(reload, None)), truth, strict=True)
        ]
        for reload in gaps.tolist()
    ]
    for errors in max(halves, key=lambda both: min(map(len, both))):
        assert len(errors) > 50
        assert np.quantile(np.abs(errors), 0.99) <= P99_US
    # Both ends of the session are in it.
    assert session.ended_at is not None
    assert times_us[0] < us_from_utc(session.started_at) + 1_000_000
    assert times_us[-1] > us_from_utc(session.ended_at) - 1_500_000


def check_playing(page: Page, settings: Settings, session: Session) -> None:
    """The browser plays it, and a time of the session leads to the picture of that time."""
    files = files_of(settings.videos, session.session_id, Vault(settings.secret_key.get_secret_value()))
    times_us, numbers = read_times(files), fake_camera.recorded(files)
    token = {"Authorization": f"Bearer {settings.semg_api_token.get_secret_value()}"}
    url = f"{settings.api_url}/videos/{session.session_id}"
    with httpx.Client(verify=ssl.create_default_context(cafile=str(settings.lan_certificate[0]))) as client:
        assert client.get(url).status_code == 401
        part = client.get(url, headers={**token, "Range": "bytes=100-199"})
    assert (part.status_code, len(part.content)) == (206, 100)
    with files.open(files.video) as whole:
        assert part.content == whole.read(200)[100:]
    player = page.context.new_page()
    player.set_extra_http_headers(token)
    player.goto(url)
    element = player.locator("video")
    element.evaluate("v => new Promise((done) => { v.pause(); v.readyState > 1 ? done() : v.onloadeddata = done; })")
    for part_of in (0.9, 0.1, 0.5):
        at_us = int(times_us[0] + part_of * (times_us[-1] - times_us[0]))
        shown = element.evaluate(
            """(v, seconds) => new Promise((done) => {
                 v.requestVideoFrameCallback(() => {
                   const c = document.createElement("canvas");
                   Object.assign(c, { width: 160, height: 120 });
                   const g = c.getContext("2d");
                   g.drawImage(v, 0, 0, 160, 120);
                   const { data } = g.getImageData(0, 0, 160, 120);
                   let bits = 0;
                   for (let p = 0; p < 16; p++) {
                     const at = 4 * ((Math.floor(p / 4) * 30 + 15) * 160 + (p % 4) * 40 + 20);
                     if (data[at] > 128) bits |= 1 << p;
                   }
                   done(bits);
                 });
                 v.currentTime = seconds; })""",
            (at_us - int(times_us[0])) / 1e6 + 0.0001,
        )
        assert fake_camera.number_of(shown) == numbers[frame_at(times_us, at_us)]
    player.close()


def abort_one(page: Page, pool: Pool, user_id: int) -> Session:
    """Leave the page and come back; then end a second capture in the middle of a gesture: that one has no label."""
    open_page(page, "Overview")
    open_page(page, "Capture")
    expect(page.get_by_text(READY)).to_be_visible()
    fall_silent(page)
    start_recording(page, page.get_by_role("button", name="Start recording").click)
    prompt = page.locator(PROMPT)
    expect(prompt).to_have_attribute("data-prompt", re.compile("fist|open hand"))
    expect(page.get_by_text(re.compile("Recording, .* frames/s"))).to_be_visible()
    page.get_by_role("button", name="End early").click()
    expect(page.get_by_text("ended early: 0 repetitions recorded")).to_be_visible()
    with pool.transaction() as tx:
        aborted = sessions.list_sessions(tx, user_id)[0]
        assert [one.gesture for one in sessions.list_repetitions(tx, aborted.session_id)] == [REST]
    assert aborted.status == "aborted"
    return aborted


def check_erasure(pool: Pool, settings: Settings, session: Session, user_id: int) -> None:
    """A video goes with its session, and with its profile: row and files."""
    with pool.transaction() as tx:
        sessions.delete_session(tx, session.session_id)
    wait_until_gone(settings, str(session.session_id))
    with pool.transaction() as tx:
        assert videos.find_video(tx, session.session_id) is None
        profiles.delete_profile(tx, user_id)
    wait_until_gone(settings, "")
