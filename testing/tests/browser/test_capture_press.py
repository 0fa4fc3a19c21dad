"""A press during a capture is answered by one run of the prompt, not of the page: pause, go on, redo.

And beside it: tones, the whole screen, and the participant's own window.

With ``-s`` it prints how long the answers took, press to prompt.
"""

from __future__ import annotations

import re
import statistics
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocket, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from semg import clock
from semg.domain import CapturePlan, PlanStep
from semg.privacy.consent import TEST_PERSON
from semg.settings import Settings
from semg.store import gestures, profiles, sessions
from semg.store.pool import Pool
from testing.kits.journey import log_in
from testing.running_system import running

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.timeout(300)]

PRESSES = 5
TONES = """window.tones = [];
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (at) { window.tones.push([this.frequency.value, at]); start.call(this, at); };
"""
WATCH = """(prompt) => {
  window.answered = new Promise((resolve) => {
    const from = prompt.dataset.prompt, started = performance.now();
    new MutationObserver((_, self) => {
      if (prompt.dataset.prompt === from) return;
      self.disconnect();
      resolve(performance.now() - started);
    }).observe(prompt, { attributes: true });
  });
}"""


def recording(pool: Pool) -> tuple[int, int]:
    """A person whose capture has run for a while, in a gesture that lasts."""
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON, language="de")
        gestures.insert_gesture(tx, user_id, "fist")
        steps = (PlanStep(None, 0, 0.0, 1.0), PlanStep("fist", 1, 1.0, 3.0), PlanStep("fist", 2, 3.0, 600.0))
        device = profiles.get_profile(tx, user_id).device
        session_id = sessions.insert_session(
            tx, user_id, "S", "capture", clock.utc_now() - timedelta(seconds=5), status="recording",
            plan=CapturePlan(steps), device=device,
        )  # fmt: skip
    return user_id, session_id


def runs_of(page: Page) -> list[bool]:
    """A list that grows with each run of the app's script: whether it was one of a part only."""
    runs: list[bool] = []

    def received(content: str | bytes) -> None:
        message = ForwardMsg.FromString(content) if isinstance(content, bytes) else ForwardMsg()
        if message.WhichOneof("type") == "script_finished":
            runs.append(message.script_finished == ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)

    def opened(socket: WebSocket) -> None:
        socket.on("framereceived", received)

    page.on("websocket", opened)
    return runs


def test_press_is_answered_by_one_run_of_the_prompt(
    page: Page, live_settings: Settings, pool: Pool, tmp_path: Path
) -> None:
    user_id, session_id = recording(pool)
    runs = runs_of(page)

    def plan() -> Any:
        with pool.transaction() as tx:
            return sessions.get_session(tx, session_id).plan

    with running(live_settings, tmp_path, ("api", "streamlit")):
        page.add_init_script(TONES)
        log_in(page, live_settings)
        page.goto(f"{live_settings.app_url}/Training_Data_Capture?profile={user_id}")
        prompt = page.locator(".semg-prompt")
        expect(prompt).to_have_attribute("data-prompt", "fist")
        expect(page.get_by_role("button", name=re.compile("Redo fist"))).to_be_enabled()
        page.get_by_role("heading", name="Capture", exact=True).click()
        page.wait_for_load_state("networkidle")
        delays_ms, whole = [], 0
        for number in range(2 * PRESSES):
            expect(prompt).to_have_attribute("data-prompt", "fist" if number % 2 == 0 else "paused")
            page.wait_for_timeout(400)  # as a person waits: the buttons are there, no other run is under way
            runs.clear()
            prompt.evaluate(WATCH)
            page.keyboard.press("Space")
            delays_ms.append(page.evaluate("window.answered"))
            is_paused = number % 2 == 0
            assert (plan().paused_s is not None) == is_paused
            expect(page.get_by_role("button", name="Resume" if is_paused else "Pause")).to_be_visible()
            page.wait_for_timeout(300)  # the run that drew it tells its end
            whole += runs.count(False)
        expect(prompt).to_have_attribute("data-prompt", "fist")
        page.wait_for_timeout(1500)  # the button is drawn anew once a second
        expect(page.get_by_role("button", name=re.compile("Redo fist"))).to_be_enabled()
        prompt.evaluate(WATCH)
        page.keyboard.press("Backspace")
        delays_ms.append(page.evaluate("window.answered"))
        assert whole < PRESSES, "a press runs the prompt's part only; two runs of the whole page were made for each"
        assert [step.gesture for step in plan().steps if step.dropped and step.gesture] != []
        check_tones(page)
        check_participants_window(page)
    each = ", ".join(f"{delay:.0f}" for delay in delays_ms)
    print(f"press to prompt: median {statistics.median(delays_ms):.0f} ms ({each}; the last one a redo)")


def check_tones(page: Page) -> None:
    """Sound is off; switched on it is heard at once, with the next gesture, and after a reload."""
    prompt = page.locator(".semg-prompt")
    expect(prompt).to_have_attribute("data-sound", "off")
    assert page.evaluate("window.tones") == []
    page.get_by_role("button", name="Ton: aus").click()
    expect(prompt).to_have_attribute("data-sound", "on")
    expect(page.get_by_role("slider", name="Lautstärke")).to_be_visible()
    for _ in range(2):  # as the plan goes on: the countdown after a redo, whose ticks end in a high tone
        page.get_by_role("button", name=re.compile("Redo fist")).click()
        expect(prompt).to_have_attribute("data-prompt", "prepare")
        expect(prompt).to_have_attribute("data-prompt", "fist")
    sounded = [hz for hz, _ in page.evaluate("window.tones")]
    assert {660, 990} <= set(sounded), sounded
    page.reload()
    expect(prompt).to_have_attribute("data-sound", re.compile("on|blocked"))


def check_participants_window(page: Page) -> None:
    """A window of the same login shows the prompt alone, large, in the person's language, and its pause."""
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Participant's screen").click()
    second = opened.value
    second.set_viewport_size({"width": 1280, "height": 800})
    prompt = second.locator(".semg-prompt.large")
    expect(prompt).to_have_attribute("data-prompt", "fist")
    expect(prompt).to_have_attribute("data-sound", "off")
    expect(second.get_by_text("Jetzt ausführen und halten")).to_be_visible()
    expect(second.get_by_test_id("stSidebar")).to_be_hidden()
    expect(second.get_by_role("button", name="Pause")).to_have_count(0)
    name = prompt.locator(".name")
    assert name.evaluate("e => parseFloat(getComputedStyle(e).fontSize) / innerHeight") >= 0.12
    box = prompt.bounding_box()
    assert box is not None
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 1280, 800)
    second.keyboard.press("f")
    second.wait_for_function("() => document.fullscreenElement !== null")
    second.keyboard.press("f")
    second.wait_for_function("() => document.fullscreenElement === null")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(prompt).to_have_attribute("data-prompt", "paused")
    second.close()
