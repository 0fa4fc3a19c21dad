"""Pictures of every page for the documentation, from synthetic signals only.

    python testing/screenshots.py --out docs/images

Starts the whole system on free ports with empty, thrown-away servers, fills it with a synthetic person, trains a
model, streams over UDP, and photographs the pages in Debian's chromium.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from semg.consent import TEST_PERSON  # noqa: E402 - after the path is set
from semg.importing import import_recording, synthetic_recording  # noqa: E402 - after the path is set
from semg.passwords import hash_password  # noqa: E402
from semg.settings import Settings  # noqa: E402
from semg.signals.synthesis import SyntheticArm, make_plan  # noqa: E402
from semg.store import accounts, gestures, jobs, profiles, sessions  # noqa: E402
from semg.store.pool import Pool  # noqa: E402
from testing.running_system import running, streaming, throwaway_servers  # noqa: E402

LOGIN, PASSWORD = "researcher", "a long enough password"
CHROMIUM = "/usr/bin/chromium"
SESSIONS = 3
PROMPTS = {
    "fist": "Close the hand firmly.",
    "open_hand": "Spread all fingers.",
    "flexion": "Bend the hand towards the palm.",
    "extension": "Bend the hand back.",
    "pinch": "Press the tips of thumb and index finger together.",
}
WAIT_MS = 240_000


def fill(pool: Pool) -> int:
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
        )
        profiles.insert_profile(tx, "Participant 08", channels=["flexor", "extensor"], rate_hz=1000.0)
        for name, text in PROMPTS.items():
            gestures.insert_gesture(tx, user_id, name, text)
        ids = []
        for index in range(1, SESSIONS + 1):
            recording = synthetic_recording(arm, arm.session(index, plan), f"session-{index}")
            started_at = datetime.now(UTC) - timedelta(hours=SESSIONS + 1 - index)
            made = import_recording(tx, user_id, recording, f"Session {index}", started_at)
            ids.append(made.session_id)
        jobs.insert_job(tx, user_id, ids, "cnn", {})
    return user_id


def photograph(page: Page, settings: Settings, pool: Pool, user_id: int, out: Path) -> None:
    """Walk through the pages and take their pictures."""

    def shot(name: str) -> None:
        # Widgets are loaded when they are first needed; grey boxes stand in their place until then.
        page.wait_for_load_state("networkidle")
        expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
        page.wait_for_function("getComputedStyle(document.querySelector('h1')).fontSize.startsWith('26')")
        page.mouse.move(2, 2)
        page.screenshot(path=out / f"{name}.png")

    def go(path: str, heading: str) -> None:
        page.goto(f"{settings.app_url}/{path}?profile={user_id}")
        page.get_by_role("heading", name=heading).wait_for()
        expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)

    page.goto(settings.app_url)
    page.get_by_role("textbox", name="Login").fill(LOGIN)
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_function("document.cookie.includes('semg_login')")
    go("Training_Jobs_Status", "Training Jobs and Models")
    expect(page.get_by_text("This version decides now.")).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_be_visible()
    shot("jobs")
    go("Realtime_Gesture_Recognition", "Realtime Gesture Recognition")
    view = page.locator(".semg-live")
    # 20 s: the figures are those of the last 10 s, and opening the page in software rendering took all of the cores.
    expect(view).to_have_attribute("data-label", re.compile("|".join(PROMPTS)))
    page.wait_for_function(
        """() => { const find = (root) => { for (const e of root.querySelectorAll('*')) {
             if (e.classList.contains('semg-live')) return e;
             if (e.shadowRoot) { const f = find(e.shadowRoot); if (f) return f; } } return null; };
             const v = find(document); return v && Number(v.dataset.samples) > 4000
               && Number(v.dataset.updates) >= 20 && !['rest', 'unsure', '—'].includes(v.dataset.label); }""",
        polling=400,  # at every frame, the search would be the load that it waits to be over
    )
    shot("live")
    go("Sensor_Data_Review", "Sensor Data Review")
    expect(page.locator(".js-plotly-plot")).to_be_visible()
    shot("review")
    go("User_Management", "User Management")
    shot("profiles")
    go("Gesture_Management", "Gesture Management")
    shot("gestures")
    go("Kickoff_Training", "Kickoff Training")
    shot("training")
    go("Training_Data_Capture", "Training Data Capture")
    expect(page.get_by_text("samples/s, nothing lost")).to_be_visible()
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".semg-prompt")).to_have_attribute("data-prompt", re.compile("|".join(PROMPTS)))
    expect(page.get_by_text("1 labels written")).to_be_visible()
    shot("capture")
    page.get_by_role("button", name="End early").click()
    expect(page.get_by_text("ended early")).to_be_visible()
    with pool.transaction() as tx:
        assert sessions.list_recording_sessions(tx) == []
    go("", "Overview")
    expect(page.get_by_text("Decisions per second")).to_be_visible()
    page.get_by_test_id("stMetricValue").filter(has_text=re.compile(r"^1\d\d|^2\d\d")).first.wait_for()
    shot("overview")


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
        with throwaway_servers(folder) as settings:
            pool = Pool(settings, name="screenshots")
            user_id = fill(pool)
            stream = ("--user-id", str(user_id), "--seed", "0")
            with running(settings, folder), streaming(settings, folder, *stream), sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
                )
                context = browser.new_context(viewport={"width": 1280, "height": 720}, timezone_id="Europe/Berlin")
                context.set_default_timeout(WAIT_MS)
                photograph(context.new_page(), settings, pool, user_id, out)
                browser.close()
            pool.close()
    for path in sorted(out.glob("*.png")):
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
