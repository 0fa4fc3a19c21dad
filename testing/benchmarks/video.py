"""How exact the times of a webcam's frames are, and whether they drift.

    python testing/benchmarks/video.py --minutes 10

Starts the whole system on free ports with empty, thrown-away servers, opens the Capture page in Debian's chromium with
a fake webcam whose every picture shows its number, records a session of that length, and compares the server time of
each recorded frame with the browser's own time of its capture. Everything is on this machine, so that both clocks are
one; for two machines add the least delay of the network between them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect, sync_playwright

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))

from semg.capture import make_plan  # noqa: E402 - after the path is set
from semg.domain import Video  # noqa: E402
from semg.privacy.consent import TEST_PERSON  # noqa: E402 - after the path is set
from semg.security.encrypted_files import Vault  # noqa: E402
from semg.security.passwords import hash_password  # noqa: E402
from semg.settings import Settings  # noqa: E402
from semg.store import accounts, gestures, profiles, sessions, videos  # noqa: E402
from semg.store.pool import Pool  # noqa: E402
from semg.video.files import files_of  # noqa: E402
from testing import fake_camera  # noqa: E402
from testing.kits.video_kit import read_times  # noqa: E402
from testing.running_system import running, throwaway_servers  # noqa: E402

CHROMIUM = "/usr/bin/chromium"
LOGIN, PASSWORD = "researcher", "a long enough password"
WAIT_MS = 120_000
LOOK_EVERY_S = 20.0


def begin_session(pool: Pool) -> int:
    """Make a person who records for hours, and give the session's number."""
    with pool.transaction() as tx:
        accounts.insert_account(tx, LOGIN, hash_password(PASSWORD))
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
        gestures.insert_gesture(tx, user_id, "fist")
        return sessions.insert_session(
            tx,
            user_id,
            "Session 1",
            "capture",
            datetime.now(UTC),
            status="recording",
            plan=make_plan(["fist"], 100, 60.0, 60.0, 0, False, 0),
            device=profiles.get_profile(tx, user_id).device,
        )


def record(page: Page, settings: Settings, seconds: float) -> list[tuple[int, float]]:
    """Record for a time, and give what the browser saw of its webcam."""
    page.goto(settings.app_url)
    page.get_by_role("textbox", name="Login").fill(LOGIN)
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_test_id("stSidebar").wait_for()
    page.goto(f"{settings.app_url}/Training_Data_Capture")
    page.get_by_text("Record the webcam").click()
    page.get_by_text("Recording,").wait_for()
    fake_camera.watch(page.locator(".semg-webcam video"))
    ends = time.monotonic() + seconds
    truth: list[tuple[int, float]] = []
    while (left_s := ends - time.monotonic()) > 0:
        page.wait_for_timeout(1000 * min(LOOK_EVERY_S, left_s))
        truth += fake_camera.seen(page)
        page.evaluate("window.semgSeen.length = 0")
        expect(page.get_by_text("Recording,")).to_be_visible()
    return truth


def finished(pool: Pool, session_id: int) -> Video:
    """End the session, wait for its video, and give it."""
    with pool.transaction() as tx:
        sessions.finish_session(tx, session_id, datetime.now(UTC))
    while True:
        with pool.transaction() as tx:
            video = videos.find_video(tx, session_id)
        if video is not None and video.status != "recording":
            return video
        time.sleep(0.2)


def report(settings: Settings, video: Video, truth: list[tuple[int, float]]) -> bool:
    """Print the figures, and tell whether they are what is promised."""
    files = files_of(settings.videos, video.session_id, Vault(settings.secret_key.get_secret_value()))
    times_us, numbers = read_times(files), fake_camera.recorded(files)
    errors = fake_camera.errors_us(numbers, times_us, truth) / 1000
    at_s = np.array([(at - times_us[0]) / 1e6 for at in times_us])
    steps_ms = np.diff(times_us) / 1000
    absolute = np.abs(errors)
    p99 = float(np.quantile(absolute, 0.99))
    # Drift: the medians of the first and of the last tenth; single frames may be off for reasons of their own.
    tenth = max(1, len(errors) // 10)
    drift = float(np.median(errors[-tenth:]) - np.median(errors[:tenth]))
    frame_ms = 1000 / fake_camera.RATE_HZ
    print(f"recorded          {at_s[-1]:.1f} s, {len(times_us)} frames, {video.n_bytes / 1e6:.1f} MB, "
          f"{video.width} x {video.height}")  # fmt: skip
    print(f"between frames    p50 {np.median(steps_ms):.1f} ms, p99 {np.quantile(steps_ms, 0.99):.1f} ms, "
          f"longest {steps_ms.max():.0f} ms")  # fmt: skip
    print(f"unreadable        {numbers.count(None)} of {len(numbers)} frames; {len(errors)} compared")
    print(f"error of time     p50 {np.median(absolute):.2f} ms, p99 {p99:.2f} ms, p99.9 "
          f"{np.quantile(absolute, 0.999):.2f} ms (promised: p99 at most 20 ms)")  # fmt: skip
    print(f"drift             {drift:+.2f} ms from the first to the last tenth (promised: at most {frame_ms:.1f} ms)")
    told = "unknown" if video.time_error_us is None else f"{video.time_error_us / 1000:.1f} ms"
    print(f"error as stored   {told}")
    return p99 <= 20 and abs(drift) <= frame_ms


def main() -> int:
    """Measure, and give 1 when a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the recording (%(default)s)")
    seconds = 60 * parser.parse_args().minutes
    expect.set_options(timeout=WAIT_MS)
    with tempfile.TemporaryDirectory(prefix="semg-video-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user when root starts it
        clip = fake_camera.write_clip(folder / "clip.y4m")
        with throwaway_servers(folder) as made:
            settings = made.model_copy(update={"webrtc_hosts": "127.0.0.1"})
            pool = Pool(settings, name="benchmark")
            session_id = begin_session(pool)
            with running(settings, folder, ("api", "job_runner", "streamlit")), sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=CHROMIUM,
                    args=["--no-sandbox", "--disable-dev-shm-usage", *fake_camera.browser_arguments(clip)],
                )
                context = browser.new_context(viewport={"width": 1280, "height": 720})
                context.set_default_timeout(WAIT_MS)
                truth = record(context.new_page(), settings, seconds)
                video = finished(pool, session_id)
                browser.close()
            pool.close()
            return 0 if report(settings, video, truth) else 1


if __name__ == "__main__":
    sys.exit(main())
