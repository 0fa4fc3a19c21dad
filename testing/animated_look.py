"""Ten seconds of the app as one animated picture: a prompt, its performance, and the gesture recognised live.

    python testing/animated_look.py --out docs/images/look.webp

Walks a newcomer's journey (``testing/first_gesture.py``) on an empty system of its own, with a simulated arm, and keeps
what the browser shows while the first gesture is prompted and while two gestures are recognised.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import argparse
import io
import time
from dataclasses import dataclass, field

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from testing.first_gesture import CHROMIUM, GESTURE, WAIT_MS, Journey, own_system

SIZE, SHOWN = (1280, 800), (960, 600)
PROMPTED_S, LIVE_S = 3.6, 3.2
BETWEEN_S = 0.2
HELD_MS = 700
"""So long the last frame of a scene stays."""
SECOND, REST = "open hand", "Follow the prompts, else rest"


@dataclass
class Look(Journey):
    """A journey whose scenes are kept: frames, each with how long it is shown (ms)."""

    frames: list[tuple[bytes, int]] = field(default_factory=list)

    def _record(self) -> None:
        self._next("Record two minutes").click()
        self.page.get_by_role("heading", name="Capture", exact=True).wait_for()
        self.page.get_by_role("button", name="Start recording").click()
        prompt = self.page.locator(".semg-prompt")
        expect(prompt).to_have_attribute("data-prompt", "rest")
        expect(prompt).not_to_have_attribute("data-prompt", "rest")
        self._keep(PROMPTED_S)
        expect(self.page.get_by_role("button", name="End early")).to_be_hidden(
            timeout=1000 * self.system.plan_s + WAIT_MS
        )

    def _steered(self) -> None:
        view = self.page.locator(".semg-live")
        self.page.mouse.wheel(0, -5000)
        for gesture in (GESTURE, SECOND):
            expect(view).to_have_attribute("data-label", "rest")
            self._keep(0.4)
            self._steer(gesture).dispatch_event("click")
            expect(view).to_have_attribute("data-label", gesture)
            self._keep(LIVE_S / 2)
            self._steer(REST).dispatch_event("click")

    def _keep(self, seconds: float) -> None:
        """Keep what is shown for so long."""
        begun = before = time.monotonic()
        while before - begun < seconds:
            frame = self.page.screenshot(type="png")
            now = time.monotonic()
            wait_ms = max(0.0, BETWEEN_S - (now - before)) * 1000
            self.page.wait_for_timeout(wait_ms)
            self.frames.append((frame, round((now - before) * 1000 + wait_ms)))
            before = time.monotonic()
        frame, shown_ms = self.frames[-1]
        self.frames[-1] = (frame, shown_ms + HELD_MS)


def main() -> int:
    """Make the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "images" / "look.webp")
    parser.add_argument("--plan-seconds", type=float, default=105.0, help="of the capture; most of it is not shown")
    arguments = parser.parse_args()
    expect.set_options(timeout=WAIT_MS)
    with own_system(arguments.plan_seconds) as system, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        context = browser.new_context(viewport={"width": SIZE[0], "height": SIZE[1]})
        context.set_default_timeout(WAIT_MS)
        look = Look(context.new_page(), system)
        look.walk_only()
        browser.close()
    pictures = [Image.open(io.BytesIO(frame)).convert("RGB").resize(SHOWN) for frame, _ in look.frames]
    durations = [shown_ms for _, shown_ms in look.frames]
    pictures[0].save(arguments.out, save_all=True, append_images=pictures[1:], duration=durations, loop=0, quality=60)
    size_kib = arguments.out.stat().st_size / 1024
    sys.stdout.write(
        f"{arguments.out.name}: {size_kib:.0f} KiB, {sum(durations) / 1000:.1f} s, {len(pictures)} frames\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
