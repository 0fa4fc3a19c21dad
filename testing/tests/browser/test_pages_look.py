"""Every page with real content fits the smallest screen that is supported, and a tablet held upright."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from semg.settings import Settings
from semg.store.pool import Pool
from testing.running_system import running, streaming
from testing.screenshots import FIND, SIZE, Walk, fill
from testing.tests.conftest import Servers

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.timeout(600)]

TABLET = (820, 1180)
PATIENCE_MS = 10_000
PAGES = ("login", "jobs", "live", "plan", "capture", "review", "profiles", "gestures", "training", "training-session",
         "overview")  # fmt: skip
TOO_WIDE = f"""() => {{
  const wide = [], limit = window.innerWidth + 1;
  const kinds = '[data-testid="stMain"], [data-testid="stVerticalBlock"], button, input';
  for (const e of document.querySelectorAll(kinds)) {{
    const box = e.getBoundingClientRect();
    const shown = e.checkVisibility({{ opacityProperty: true, visibilityProperty: true }});  // tables hide their tools
    if (shown && box.width && box.right > limit)
      wide.push(`${{e.tagName}} ${{e.textContent.slice(0, 40)}} ${{box.right}}`); }}
  for (const name of ['semg-live', 'semg-review', 'semg-prompt', 'semg-video']) {{
    const e = ({FIND})(name);
    if (e && e.scrollWidth > e.clientWidth + 1) wide.push(`${{name}} ${{e.scrollWidth}} > ${{e.clientWidth}}`); }}
  if (document.documentElement.scrollWidth > limit) wide.push(`page ${{document.documentElement.scrollWidth}}`);
  return wide; }}"""


def test_every_page_fits_the_screen(camera_page: Page, servers: Servers, pool: Pool, tmp_path: Path) -> None:
    page = camera_page
    settings: Settings = servers.settings.model_copy(update={"webrtc_hosts": "127.0.0.1"})
    user_id = fill(pool, "logcov_lda", 2)
    pictures = tmp_path / "pages"  # kept by pytest
    found: dict[str, list[str]] = {}

    def seen(name: str) -> None:
        for width, height in (TABLET, SIZE):
            page.set_viewport_size({"width": width, "height": height})
            with suppress(PlaywrightTimeout):  # tables and charts take their new width a moment later
                page.wait_for_function(f"() => ({TOO_WIDE})().length === 0", timeout=PATIENCE_MS)
            page.screenshot(path=pictures / f"{name}-{width}.png")
            wide = page.evaluate(TOO_WIDE)
            if wide:
                found[f"{name} at {width}"] = wide
            assert page.get_by_test_id("stException").count() == 0

    with running(settings, tmp_path), streaming(settings, tmp_path, "--user-id", str(user_id), "--seed", "0"):
        walk = Walk(page, settings, pool, user_id, seen)
        walk.live_samples = 1000
        walk.walk()
    assert sorted({path.stem.rsplit("-", 1)[0] for path in pictures.iterdir()}) == sorted(PAGES)
    assert found == {}
