"""Pictures of every page for the documentation, from synthetic signals and a fake webcam only.

    python testing/screenshots.py --out docs/images

Starts the whole system on free ports with empty, thrown-away servers, fills it with a synthetic person, trains a
model, streams over UDP, records a capture with Chromium's fake webcam, and photographs the pages in Debian's
chromium.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import argparse
import re
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page, expect, sync_playwright

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from semg.domain import ClassifierKind  # noqa: E402
from semg.privacy.consent import TEST_PERSON  # noqa: E402 - after the path is set
from semg.recordings.importing import import_recording  # noqa: E402
from semg.security.passwords import hash_password  # noqa: E402
from semg.settings import Settings  # noqa: E402
from semg.signals.synthesis import SyntheticArm, make_plan  # noqa: E402
from semg.store import accounts, gestures, jobs, profiles, sessions  # noqa: E402
from semg.store.pool import Pool  # noqa: E402
from testing import fake_camera  # noqa: E402
from testing.kits.journey import start_recording, wait_for_stream  # noqa: E402
from testing.kits.recording_kit import synthetic_recording  # noqa: E402
from testing.running_system import running, streaming, throwaway_servers  # noqa: E402

LOGIN, PASSWORD = "researcher", "a long enough password"
CHROMIUM = "/usr/bin/chromium"
SIZE = (1280, 720)
EPOCHS = 6
"""Fewer than usual: the signals are easy, and the walk waits for the training."""
PROMPTS = {
    "fist": ("Close the hand firmly.", "Yes"),
    "open_hand": ("Spread all fingers.", "No"),
    "flexion": ("Bend the hand towards the palm.", ""),
    "extension": ("Bend the hand back.", "I need help"),
    "pinch": ("Press the tips of thumb and index finger together.", ""),
}
PURPOSES = ("flexor carpi", "extensor", "palmaris", "ulnaris", "", "", "", "")
WAIT_MS = 240_000
FIND = """(name) => { const find = (root) => { for (const e of root.querySelectorAll('*')) {
  if (e.classList.contains(name)) return e;
  if (e.shadowRoot) { const f = find(e.shadowRoot); if (f) return f; } } return null; };
  return find(document); }"""
Seen = Callable[[str], None]


def fill(pool: Pool, classifier: ClassifierKind = "cnn", n_sessions: int = 3) -> int:
    """Store a synthetic person with sessions, schedule a training, and give the person's number."""
    arm = SyntheticArm(seed=0, channels=8)
    plan = make_plan(arm.gestures, 6, 3.0)
    with pool.transaction() as tx:
        accounts.insert_account(tx, LOGIN, hash_password(PASSWORD))
        user_id = profiles.insert_profile(
            tx,
            "Participant 07",
            channels=[f"a{index}" for index in range(8)],
            rate_hz=arm.rate_hz,
            handedness="right",
            notes="Synthetic signals",
            consent=TEST_PERSON,
            allow_v1=True,
        )
        purposes = {f"a{index}": text for index, text in enumerate(PURPOSES) if text}
        profiles.update_profile(tx, user_id, channel_purposes=purposes)
        profiles.insert_profile(tx, "Participant 08", channels=["flexor", "extensor"], rate_hz=1000.0)
        for name, (text, phrase) in PROMPTS.items():
            gestures.insert_gesture(tx, user_id, name, text, phrase)
        ids = []
        for index in range(1, n_sessions + 1):
            recording = synthetic_recording(arm, arm.session(index, plan), f"session-{index}")
            started_at = datetime.now(UTC) - timedelta(hours=n_sessions + 1 - index)
            made = import_recording(tx, user_id, recording, f"Session {index}", started_at)
            ids.append(made.session_id)
        jobs.insert_job(tx, user_id, ids, classifier, {"epochs": EPOCHS} if classifier == "cnn" else {})
    return user_id


class Walk:
    """A walk through all pages; ``seen`` is called with each page's name once it is settled."""

    live_samples = 4000
    """The live page is looked at after so many."""

    def __init__(self, page: Page, settings: Settings, pool: Pool, user_id: int, seen: Seen) -> None:
        self._page, self._settings, self._pool, self._user_id, self._seen = page, settings, pool, user_id, seen

    def walk(self) -> None:
        """Look at every page."""
        self._page.goto(self._settings.app_url)
        self._page.get_by_role("textbox", name="Login").wait_for()
        self.settled("login")
        self._log_in()
        self._jobs()
        self._live()
        self._capture()
        self._review()
        self.go("User_Management", "Profiles")
        self.settled("profiles")
        self.go("Connect_Device", "Connect")
        expect(self._page.locator('.semg-verdict[data-level="good"]').first).to_be_visible()
        self.settled("connect")
        self.go("Gesture_Management", "Gestures")
        self.settled("gestures")
        self._training()
        self.go("Play", "Play")
        expect(self._page.locator(".semg-play")).to_be_visible()
        self.settled("play")
        self.go("", "Overview")
        expect(self._page.get_by_text("Decisions per second")).to_be_visible()
        self._page.get_by_test_id("stMetricValue").filter(has_text=re.compile(r"^1\d\d|^2\d\d")).first.wait_for()
        self.settled("overview")

    def settled(self, name: str) -> None:
        """Wait until the page is drawn, and let it be looked at."""
        # Widgets are loaded when they are first needed; grey boxes stand in their place until then.
        self._page.wait_for_load_state("networkidle")
        expect(self._page.get_by_test_id("stSkeleton")).to_have_count(0)
        self._page.mouse.move(2, 2)
        self._seen(name)

    def go(self, path: str, heading: str) -> None:
        """Open a page for the person."""
        self._page.goto(f"{self._settings.app_url}/{path}?profile={self._user_id}")
        self._page.get_by_role("heading", name=heading, exact=True).wait_for()
        expect(self._page.get_by_test_id("stStatusWidget")).to_have_count(0)

    def _log_in(self) -> None:
        self._page.get_by_role("textbox", name="Login").fill(LOGIN)
        self._page.get_by_role("textbox", name="Password").fill(PASSWORD)
        self._page.get_by_role("button", name="Log in", exact=True).click()
        self._page.get_by_role("heading", name="Overview", exact=True).wait_for()

    def _jobs(self) -> None:
        self.go("Training_Jobs_Status", "Jobs and models")
        expect(self._page.get_by_text("This is the active version.")).to_be_visible()
        expect(self._page.get_by_text("Tested on")).to_be_visible()
        expect(self._page.locator(".js-plotly-plot").first).to_be_visible()
        self.settled("jobs")

    def _live(self) -> None:
        self.go("Realtime_Gesture_Recognition", "Live")
        expect(self._page.locator(".semg-live")).to_have_attribute("data-label", re.compile("|".join(PROMPTS)))
        # The figures are those of the last 10 s, and opening the page in software rendering took all of the cores.
        self._page.wait_for_function(
            f"""() => {{ const v = ({FIND})('semg-live'); return v && Number(v.dataset.samples) > {self.live_samples}
                 && Number(v.dataset.updates) >= 20 && v.dataset.activations > 0
                 && !['rest', 'unsure', '—'].includes(v.dataset.label); }}""",
            polling=400,  # at every frame, the search would be the load that it waits to be over
        )
        self.settled("live")

    def _capture(self) -> None:
        """Begin a capture with the webcam, look at it in a performance, and end it early."""
        page = self._page
        self.go("Training_Data_Capture", "Capture")
        wait_for_stream(page)
        self.settled("plan")
        page.get_by_text("Record the webcam").click()
        expect(page.get_by_text(re.compile("Ready, .* frames/s"))).to_be_visible()
        start_recording(page, page.get_by_role("button", name="Start recording").click)
        prompt, gesture = page.locator(".semg-prompt"), re.compile("|".join(PROMPTS))
        expect(prompt).to_have_attribute("data-prompt", gesture)
        expect(page.get_by_text("2 labels written")).to_be_visible()
        expect(prompt).to_have_attribute("data-prompt", gesture)
        expect(page.get_by_text(re.compile("Recording, .* frames/s"))).to_be_visible()
        self.settled("capture")
        page.get_by_role("button", name="End early").click()
        expect(page.get_by_text("ended early")).to_be_visible()
        with self._pool.transaction() as tx:
            assert sessions.list_recording_sessions(tx) == []
        page.get_by_text("Record the webcam").click()

    def _review(self) -> None:
        """Look at that capture: labels, decisions, and the video, which is written by now or soon."""
        page = self._page
        for _ in range(20):
            self.go("Sensor_Data_Review", "Review")
            expect(page.locator(".semg-review")).to_have_attribute("data-labels", re.compile(r"[1-9]"))
            if page.locator(".semg-video video").count():
                break
            page.wait_for_timeout(1000)
        expect(page.locator(".semg-video")).to_have_attribute("data-at-us", re.compile(r"\d+"))
        canvas = page.locator(".semg-review canvas").first
        box = canvas.bounding_box()
        assert box is not None
        canvas.click(position={"x": 0.6 * box["width"], "y": 90})
        expect(page.locator(".semg-review")).to_have_attribute("data-cursor-ms", re.compile(r"\d+"))
        expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
        self.settled("review")

    def _training(self) -> None:
        self.go("Kickoff_Training", "Train")
        expect(self._page.get_by_text(re.compile("● Good|▲ Usable|■ Do not use")).first).to_be_visible()
        self.settled("training")
        self._page.get_by_text("Inspect a session").click()
        expect(self._page.locator(".semg-review")).to_have_attribute("data-labels", re.compile(r"[1-9]"))
        expect(self._page.get_by_role("button", name="Exclude all")).to_be_visible()
        self._page.locator(".semg-review").scroll_into_view_if_needed()
        self.settled("training-session")


def main() -> int:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=PROJECT / "docs" / "images", help="folder (%(default)s)")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=WAIT_MS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user when root starts it
        clip = fake_camera.write_clip(folder / "clip.y4m")
        with throwaway_servers(folder) as servers, sync_playwright() as playwright:
            settings = servers.model_copy(update={"webrtc_hosts": "127.0.0.1"})
            pool = Pool(settings, name="screenshots")
            user_id = fill(pool)
            stream = ("--user-id", str(user_id), "--seed", "0")
            with running(settings, folder), streaming(settings, folder, *stream):
                browser = playwright.chromium.launch(
                    executable_path=CHROMIUM,
                    args=["--no-sandbox", "--disable-dev-shm-usage", *fake_camera.browser_arguments(clip)],
                )
                context = browser.new_context(
                    viewport={"width": SIZE[0], "height": SIZE[1]}, timezone_id="Europe/Berlin"
                )
                context.set_default_timeout(WAIT_MS)
                page = context.new_page()

                def take(name: str) -> None:
                    page.screenshot(path=out / f"{name}.png")

                Walk(page, settings, pool, user_id, take).walk()
                browser.close()
            pool.close()
    for path in sorted(out.glob("*.png")):
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
