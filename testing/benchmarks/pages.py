"""How long each page takes in a real browser on a large installation, and how often the Live page is drawn.

    python testing/benchmarks/pages.py [--profiles 100] [--sessions 1000] [--samples 10000000] [--gestures 110]
                                       [--rounds 5]

Starts the whole system on free ports with empty, thrown-away servers and fills it: the first profile has an hour at
1 kHz, which was recorded as one session with decisions; the other samples are spread over the other sessions. Then
Debian's chromium (1280 × 720, software rendering) goes from page to page by the navigation, again and again. A time
runs from the click until the page's script has ended and its pictures are drawn, measured in the browser.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))

from semg.domain import REST, Block, Decision, us_from_utc  # noqa: E402
from semg.privacy.consent import TEST_PERSON  # noqa: E402 - after the path is set
from semg.recordings.overview import recorded, stale_minutes, summarise_minute  # noqa: E402
from semg.security.passwords import hash_password  # noqa: E402
from semg.store import accounts, blocks, decisions, gestures, jobs, models, profiles, sessions  # noqa: E402
from semg.store.pool import Pool, execute  # noqa: E402
from semg.store.session_quality import SessionQuality, save_quality  # noqa: E402
from testing.running_system import running, streaming, throwaway_servers  # noqa: E402
from testing.screenshots import CHROMIUM, FIND, LOGIN, PASSWORD, SIZE  # noqa: E402

CHANNELS = tuple(f"a{index}" for index in range(8))
HOUR_HZ, RATE_HZ = 1000.0, 200.0
GESTURES = ("fist", "open hand", "wrist flexion", "wrist extension", "pinch")
LABEL_S = 4.0
BLOCK_S = 0.5
LIMITS_S = {"Gestures": 1.0}
"""The bank is the largest page; the others have ``LIMIT_S``."""
LIMIT_S = 0.5
PAGES = (  # name, what must be drawn
    ("Overview", ""),
    ("Profiles", ""),
    ("Gestures", "semg-bank"),
    ("Capture", "semg-live"),
    ("Train", ""),
    ("Jobs and models", "js-plotly-plot"),
    ("Live", "semg-live"),
    ("Review", "semg-review"),
)
SETTLE = f"""async ([name, drawn]) => {{
  const find = {FIND};
  const links = [...document.querySelectorAll('[data-testid="stSidebar"] a')];
  const started = performance.now();
  links.find((one) => one.textContent.trim().endsWith(name)).click();
  const settled = () => {{
    if (document.querySelector('h1')?.textContent !== name) return false;
    if (document.querySelector('[data-test-script-state="running"]')) return false;
    if (document.querySelector('[data-testid="stSkeleton"]')) return false;
    if (!drawn) return true;
    const view = find(drawn);
    if (!view) return false;
    if (drawn === 'semg-bank') {{
      return view.querySelectorAll('li').length > 0
        && [...view.querySelectorAll('img')].slice(0, 3).every((one) => one.complete);
    }}
    if (drawn === 'semg-review') return Number(view.dataset.points) > 0;
    if (drawn === 'semg-live') return view.querySelector('canvas')?.width > 0;
    return view.querySelector('.main-svg') !== null;
  }};
  while (!settled()) {{
    if (performance.now() - started > 60000) throw new Error(`${{name}} did not settle within 60 s`);
    await new Promise(requestAnimationFrame);
  }}
  return performance.now() - started; }}"""
REPORT: dict[str, Any] = {
    "accuracy": 0.9, "balanced_accuracy": 0.85, "macro_f1": 0.86, "chance": 0.4, "windows": 1200,
    "classes": [REST, *GESTURES],
    "confusion": (np.eye(6, dtype=int) * 180 + 4).tolist(),
    "split": {"description": "each session held out in turn"}, "held_out": ["one"],
}  # fmt: skip


def store_samples(pool: Pool, user_id: int, start: datetime, seconds: float, rate_hz: float) -> None:
    """Store noise in blocks as the store task does."""
    generator = np.random.default_rng(user_id)
    start_us, step_us, size = us_from_utc(start), round(1e6 / rate_hz), round(BLOCK_S * rate_hz)
    noise = np.round(2048 + 200 * generator.standard_normal((64, size, len(CHANNELS)))).astype(np.float32)
    n_blocks = round(seconds / BLOCK_S)
    for first in range(0, n_blocks, 600):
        made = []
        for number in range(first, min(first + 600, n_blocks)):
            times = start_us + (number * size + np.arange(size, dtype=np.int64)) * step_us
            made.append(Block(user_id, start_us, number == 0, False, 0, times, times + 4000, noise[number % 64]))
        with pool.transaction() as tx:
            blocks.copy_blocks(tx, made)


def store_session(pool: Pool, user_id: int, name: str, start: datetime, seconds: float, rate_hz: float) -> int:
    """Store a session with its samples and labels."""
    store_samples(pool, user_id, start, seconds, rate_hz)
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, user_id).device
        ids = gestures.ensure_gestures(tx, user_id, [REST, *GESTURES])
        ended_at = start + timedelta(seconds=seconds)
        number = sessions.insert_session(
            tx, user_id, name, "capture", start, ended_at, status="completed", device=device
        )
        for index in range(int(seconds // LABEL_S)):
            gesture = REST if index % 2 == 0 else GESTURES[index // 2 % len(GESTURES)]
            at = start + timedelta(seconds=LABEL_S * index)
            sessions.insert_repetition(tx, number, ids[gesture], index + 1, at, at + timedelta(seconds=LABEL_S))
        save_quality(tx, number, SessionQuality("good", "all intervals are good"))
    return number


def fill(pool: Pool, n_profiles: int, n_sessions: int, n_samples: int, n_gestures: int) -> int:
    """Fill the database, and give the number of the profile with the hour."""
    now = datetime.now(UTC).replace(microsecond=0)
    spread_s = (n_samples - 3600 * HOUR_HZ) / max(1, n_sessions - 1) / RATE_HZ
    with pool.transaction() as tx:
        accounts.insert_account(tx, LOGIN, hash_password(PASSWORD))
        people = [
            profiles.insert_profile(
                tx,
                f"Participant {number:03d}",
                channels=CHANNELS,
                rate_hz=HOUR_HZ if number == 1 else RATE_HZ,
                consent=TEST_PERSON,
                allow_v1=True,
            )
            for number in range(1, n_profiles + 1)
        ]
        gestures.ensure_gestures(tx, people[0], GESTURES)
        for index in range(n_gestures - len(GESTURES) - 1):  # beside rest, and those that are performed
            gestures.insert_gesture(tx, people[0], f"sign {index}", "Perform it as you like.")
    began = now - timedelta(hours=2)
    hour = store_session(pool, people[0], "An hour at 1 kHz", began, 3600.0, HOUR_HZ)
    for index in range(n_sessions - 1):
        user_id = people[1 + index % (n_profiles - 1)]
        start = now - timedelta(hours=3 + 7 * (index // (n_profiles - 1)), minutes=index % 50)
        store_session(pool, user_id, f"Session {index // (n_profiles - 1) + 1}", start, spread_s, RATE_HZ)
    ends_us = us_from_utc(began) + np.arange(0, 3_600_000_000, 50_000)
    labels = [(REST, *GESTURES)[int(number) // 80 % 6] for number in range(len(ends_us))]
    for first in range(0, len(ends_us), 5000):
        rows = [
            Decision(people[0], label, 0.9, 1, int(at), int(at), int(at), int(at) + 9000)
            for label, at in zip(labels[first : first + 5000], ends_us[first : first + 5000], strict=True)
        ]
        with pool.transaction() as tx:
            decisions.insert_decisions(tx, rows)
    with pool.transaction() as tx:
        for user_id in people:
            mine = [one.session_id for one in sessions.list_sessions(tx, user_id)][:5]
            for _ in range(3):
                job_id = jobs.insert_job(tx, user_id, mine, "cnn", {})
                jobs.claim_job(tx, job_id, "benchmark")
                models.insert_model(tx, user_id, job_id, b"w" * 300_000, {"kind": "cnn"}, REPORT, 1 << 20)
                jobs.complete_job(tx, job_id)
        source = recorded(profiles.get_profile(tx, people[0]), sessions.get_session(tx, hour))
        missing = stale_minutes(tx, source, began, began + timedelta(hours=1))
    for minute in missing:  # job_runner makes them after a session's end
        summarise_minute(pool, source, minute)
    with pool.transaction() as tx:
        execute(tx, "ANALYZE")
    return people[0]


def log_in(page: Page, app_url: str, user_id: int) -> None:
    """Log in, and choose the profile."""
    page.goto(f"{app_url}/?profile={user_id}")
    page.get_by_role("textbox", name="Login").fill(LOGIN)
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_test_id("stSidebar").wait_for()
    page.goto(f"{app_url}/User_Management?profile={user_id}")
    page.get_by_role("heading", name="Profiles", exact=True).wait_for()
    page.get_by_test_id("stSidebar").get_by_role("link", name="Review").wait_for()


def measure_pages(page: Page, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each page in every round; the round before them, which loads scripts, is not counted."""
    found: dict[str, list[float]] = {link: [] for link, _ in PAGES}
    for number in range(rounds + 1):
        for link, drawn in PAGES:
            seconds = page.evaluate(SETTLE, [link, drawn]) / 1000
            if number:
                found[link].append(seconds)
    return found


def measure_live(page: Page, seconds: int) -> list[int]:
    """Return how often the Live page was drawn in each of some seconds, while samples stream."""
    page.evaluate(SETTLE, ["Live", "semg-live"])
    read = f"() => Number(({FIND})('semg-live').dataset.updates)"
    page.wait_for_function(f"() => ({FIND})('semg-live').dataset.state === 'live'", polling=500)
    time.sleep(5)
    found = []
    for _ in range(seconds):
        time.sleep(1)
        found.append(int(page.evaluate(read)))
    return found


def main() -> int:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=100)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=10_000_000)
    parser.add_argument("--gestures", type=int, default=110, help="of the first profile (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--live-seconds", type=int, default=15)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user when root starts it
        with throwaway_servers(folder) as settings, sync_playwright() as playwright:
            pool = Pool(settings, name="benchmark")
            started = time.monotonic()
            user_id = fill(pool, wanted.profiles, wanted.sessions, wanted.samples, wanted.gestures)
            print(f"filled in {time.monotonic() - started:.0f} s: {wanted.profiles} profiles, {wanted.sessions} "
                  f"sessions, {wanted.samples:,} samples, {wanted.gestures} gestures", flush=True)  # fmt: skip
            with running(settings, folder):
                browser = playwright.chromium.launch(
                    executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
                )
                page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
                page.set_default_timeout(120_000)
                log_in(page, settings.app_url, user_id)
                pages = measure_pages(page, wanted.rounds)
                stream = ("--user-id", str(user_id), "--rate-hz", f"{HOUR_HZ:g}", "--channels", str(len(CHANNELS)))
                with streaming(settings, folder, *stream):
                    updates = measure_live(page, wanted.live_seconds)
                browser.close()
            pool.close()
    load = os.getloadavg()[0]
    print(f"{'page':16} {'median s':>9} {'worst s':>8}   ({wanted.rounds} rounds, load average {load:.1f})")
    for link, seconds in pages.items():
        limit_s = LIMITS_S.get(link, LIMIT_S)
        mark = "" if statistics.median(seconds) <= limit_s else f"   over {limit_s:g} s"
        print(f"{link:16} {statistics.median(seconds):9.2f} {max(seconds):8.2f}{mark}")
    print(f"Live page, 8 channels at 1 kHz: {statistics.median(updates):.0f} updates/s (least {min(updates)})")
    if wanted.out:
        wanted.out.write_text(json.dumps({"pages_s": pages, "live_updates": updates, "load": load}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
