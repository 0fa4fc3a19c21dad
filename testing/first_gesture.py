"""The first own gesture, as a newcomer comes to it: from the login to a gesture recognised live, in a real browser.

    python testing/first_gesture.py                       starts an empty system of its own, thrown away afterwards
    python testing/first_gesture.py --plan-seconds 90     with a shorter capture than the two minutes of the app
    python testing/first_gesture.py --url http://127.0.0.1:8501 --login ada --password …      a running, empty system

Makes a profile, uses a simulated arm, adds the ready-made gestures, records, trains, and steers the arm on *Live*.
Prints JSON: ``clicks`` (presses of the mouse after the login, as the browser counted them), ``seconds`` since then,
``balanced_accuracy`` as the page shows it, ``recognised``, ``passed`` (seconds at each step), ``beside`` (what was
looked at afterwards: the tour, a board's sketch), ``again`` (what had to be pressed twice). Exit code 0 only when a
gesture was recognised.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import argparse
import json
import re
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Error, Locator, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as TookTooLongError

from semg.security.passwords import hash_password
from semg.store import accounts
from semg.store.pool import Pool
from testing.running_system import running, throwaway_servers

CHROMIUM = "/usr/bin/chromium"
LOGIN, PASSWORD = "newcomer", "a long enough password"  # noqa: S105 - of a system that is thrown away
NAME, GESTURE = "Newcomer", "fist"
WAIT_MS = 60_000
TRAINING_MS = 300_000
COUNT = "addEventListener('pointerdown', (event) => { if (event.isTrusted) semgPressed(); }, true)"
WALKED = ("profile", "arm", "gestures", "record", "train", "live", "steered")
BESIDE = ("tour", "sketch")
"""What is looked at afterwards by the keyboard alone; it belongs to no newcomer's clicks and seconds."""
WIFI, SECRET = 'Café "8"', "a long enough secret"  # noqa: S105 - of no Wi-Fi


@dataclass(frozen=True, slots=True)
class System:
    """A running system: the app's address, an account, and how long the quick plan takes there."""

    url: str
    login: str
    password: str
    plan_s: float


@dataclass
class Journey:
    """What the browser does, and what came of it."""

    page: Page
    system: System
    pictures: Path | None = None
    pressed: int = 0
    began: float = 0.0
    balanced_accuracy: float | None = None
    recognised: bool = False
    clicks: int = 0
    took_s: float = 0.0
    beside: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    at: str = "login"
    seconds: dict[str, float] = field(default_factory=dict)

    def walk(self) -> None:
        """Walk from the login to the recognised gesture.

        Raises
        ------
        AssertionError, playwright.sync_api.Error
            A step was not possible in time.
        """
        self.walk_only()
        self.clicks, self.took_s = self.pressed, self.seconds[WALKED[-1]]
        for name in BESIDE:
            getattr(self, f"_{name}")()
            self.at = name
            self.beside.append(name)

    def walk_only(self) -> None:
        """Walk to the recognised gesture, and look at nothing beside the way.

        Raises
        ------
        AssertionError, playwright.sync_api.Error
            A step was not possible in time.
        """
        self._log_in()
        for name in WALKED:
            getattr(self, f"_{name}")()
            self.at = name
            self.seconds[name] = round(time.monotonic() - self.began, 1)
            if self.pictures is not None:
                self.page.screenshot(path=self.pictures / f"{len(self.seconds)}-{name}.png")

    def result(self) -> dict[str, object]:
        """Return what is printed."""
        return {
            "clicks": self.clicks or self.pressed,
            "seconds": self.took_s or (round(time.monotonic() - self.began, 1) if self.began else None),
            "balanced_accuracy": self.balanced_accuracy,
            "recognised": self.recognised,
            "passed": self.seconds,
            "beside": self.beside,
            "again": self.again,
        }

    def _log_in(self) -> None:
        page = self.page
        page.expose_function("semgPressed", self._count)
        page.add_init_script(COUNT)
        page.goto(self.system.url)
        page.get_by_role("textbox", name="Login").fill(self.system.login)
        page.get_by_role("textbox", name="Password").fill(self.system.password)
        page.get_by_role("button", name="Log in", exact=True).click()
        page.get_by_role("heading", name="Overview", exact=True).wait_for()
        self.pressed, self.began = 0, time.monotonic()

    def _count(self) -> None:
        self.pressed += 1

    def _profile(self) -> None:
        """Make a profile; the app goes on to *Connect*."""
        page = self.page
        expect(page.locator(".semg-tour")).to_be_visible()  # it is in nobody's way
        page.get_by_role("link", name="Create the first profile").click()
        page.get_by_label("Name or code").fill(NAME)
        page.get_by_text("Recording of the signals").click()
        page.get_by_role("button", name="Create profile").click()
        page.get_by_role("heading", name="Connect", exact=True).wait_for()

    def _arm(self) -> None:
        """Let a simulated arm send; the page shows the first packet and finds it good."""
        expect(self.page.get_by_text(re.compile("Waiting for .* first packet"))).to_be_visible()
        self.page.get_by_role("button", name=re.compile("Use a simulated arm")).click()
        expect(self.page.get_by_text(f"{NAME}'s stream is good.")).to_be_visible()
        expect(self._step("Device")).to_have_accessible_name(re.compile("Device, done"))

    def _gestures(self) -> None:
        self._next("Add gestures").click()
        expect(self._step("Gestures")).to_have_accessible_name(re.compile("Gestures, done"))

    def _record(self) -> None:
        """Record the quick plan, which the arm follows."""
        page = self.page
        self._go_on("Record two minutes", "Capture")
        start = page.get_by_role("button", name=re.compile("Start recording"))
        expect(page.get_by_text("Two minutes for up to five gestures")).to_be_visible()
        start.click()
        expect(page.get_by_role("button", name="End early")).to_be_visible()
        said = page.get_by_text(re.compile(r"\d+ repetitions recorded"))
        expect(said).to_be_visible(timeout=1000 * self.system.plan_s + WAIT_MS)

    def _train(self) -> None:
        """Train with the defaults and follow it until a version is active."""
        page = self.page
        self._go_on("Train now", "Jobs and models")
        expect(page.get_by_text("This is the active version.")).to_be_visible(timeout=TRAINING_MS)
        figure = page.get_by_test_id("stMetric").filter(has_text="Balanced").get_by_test_id("stMetricValue")
        expect(figure.first).to_have_text(re.compile(r"\d+(\.\d+)? ?%"))
        self.balanced_accuracy = round(float(figure.first.inner_text().strip(" %\u00a0")) / 100, 4)

    def _live(self) -> None:
        self.page.get_by_role("link", name="See it live").first.click()
        self.page.get_by_role("heading", name="Live", exact=True).wait_for()
        expect(self.page.locator(".semg-live")).to_have_attribute("data-state", "live")

    def _steered(self) -> None:
        """Let the arm perform a gesture, which is recognised; the path is walked to its end."""
        view = self.page.locator(".semg-live")
        expect(view).to_have_attribute("data-label", "rest")
        self._steer(GESTURE).click()
        expect(view).to_have_attribute("data-label", GESTURE)
        self.recognised = True
        expect(self._step("Live")).to_have_accessible_name(re.compile("Live, done"))

    def _tour(self) -> None:
        """Call the tour again, turn a page, and close it."""
        tour = self.page.locator(".semg-tour")
        self.page.get_by_role("button", name="Show the tour").press("Enter")
        expect(tour).to_have_attribute("data-at", "1")
        tour.get_by_role("button", name="Next").press("Enter")
        expect(tour.get_by_role("heading", name="Person")).to_be_focused()
        self.page.keyboard.press("Escape")
        expect(tour).to_be_hidden()

    def _sketch(self) -> None:
        """Stop the arm, and download the sketch of a board of one's own, whose key is gone from the page then."""
        page = self.page
        page.get_by_role("button", name="Stop the simulated arm").press("Enter")
        expect(page.get_by_text("No person’s muscles")).to_be_hidden()
        self._step("Device").press("Enter")
        page.get_by_role("heading", name="Connect", exact=True).wait_for()
        page.get_by_role("button", name=re.compile("Make a board")).press("Enter")
        expect(page.get_by_text("is in this download only")).to_be_visible()
        form = page.locator(".semg-sketch")
        form.get_by_label("Wi-Fi name").fill(WIFI)
        form.get_by_label("Wi-Fi password").fill(SECRET)
        with page.expect_download() as started:
            form.get_by_role("button", name="Download the sketch").press("Enter")
        with zipfile.ZipFile(started.value.path()) as archive:
            main = archive.read("arduinocode/arduinocode.ino").decode()
        assert 'char ssid[] = "Caf\\303\\251 \\0428\\042";' in main
        assert f'char pass[] = "{SECRET}";' in main
        assert re.search(r'^#define BOARD_KEY "[0-9a-f]{64}"$', main, re.MULTILINE)
        expect(page.get_by_text("Its key was shown once")).to_be_visible()

    def _steer(self, gesture: str) -> Locator:
        return self.page.get_by_test_id("stButtonGroup").get_by_text(gesture, exact=True)

    def _go_on(self, label: str, heading: str) -> None:
        """Press the next action, which leads to a page; once more, told and counted, if nothing came of it."""
        arrived = self.page.get_by_role("heading", name=heading, exact=True)
        self._next(label).click()
        try:
            arrived.wait_for(timeout=WAIT_MS / 3)
        except TookTooLongError:
            self.again.append(label)
            self._next(label).click()
            arrived.wait_for()

    def _next(self, label: str) -> Locator:
        return self.page.get_by_role("button", name=re.compile(f"{label} for {NAME}"))

    def _step(self, label: str) -> Locator:
        return self.page.locator(".semg-path").get_by_role("link", name=re.compile(f"^{label},"))


@contextmanager
def own_system(plan_s: float) -> Iterator[System]:
    """Start an empty system with one account, and throw it away at the end."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        with throwaway_servers(folder) as found:
            settings = found.model_copy(update={"quick_plan_s": plan_s})
            pool = Pool(settings, size=1, name="first_gesture")
            with pool.transaction() as tx:
                accounts.insert_account(tx, LOGIN, hash_password(PASSWORD))
            pool.close()
            with running(settings, folder):
                yield System(settings.app_url, LOGIN, PASSWORD, plan_s)


def walk(system: System, pictures: Path | None, size: tuple[int, int]) -> dict[str, object]:
    """Walk in a browser of our own, and return the result; what stopped it is told on standard error."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, ignore_https_errors=True)
        context.set_default_timeout(WAIT_MS)
        expect.set_options(timeout=WAIT_MS)
        journey = Journey(context.new_page(), system, pictures)
        journey.page.on("pageerror", lambda error: sys.stderr.write(f"the page failed: {error}\n{error.stack}\n"))
        try:
            journey.walk()
        except (AssertionError, Error) as exc:
            sys.stderr.write(f"stopped after {journey.at!r}: {exc}\n")
            if pictures is not None:
                journey.page.screenshot(path=pictures / "stopped.png")
        result = journey.result()
        browser.close()
    return result


def main() -> int:
    """Walk as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="of a running app without profiles; otherwise one is started")
    parser.add_argument("--login", default=LOGIN)
    parser.add_argument("--password", default=PASSWORD)
    parser.add_argument("--plan-seconds", type=float, default=120.0, help="of the quick plan (QUICK_PLAN_S)")
    parser.add_argument("--pictures", type=Path, help="folder for a picture after each step")
    parser.add_argument("--size", default="1280x800", help="of the window")
    arguments = parser.parse_args()
    width, height = (int(part) for part in arguments.size.split("x"))
    if arguments.pictures is not None:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    if arguments.url:
        given = System(arguments.url, arguments.login, arguments.password, arguments.plan_seconds)
        result = walk(given, arguments.pictures, (width, height))
    else:
        with own_system(arguments.plan_seconds) as system:
            result = walk(system, arguments.pictures, (width, height))
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if result["recognised"] else 1


if __name__ == "__main__":
    sys.exit(main())
