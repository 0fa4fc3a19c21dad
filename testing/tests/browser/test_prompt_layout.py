"""The participant's screen: nothing overlaps and nothing is cut, on every screen, in every language, in every state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from semg.languages import LANGUAGES, sentences
from semg.pictures import data_uri, hand_svg
from semg.settings import PROJECT_DIR
from ui.scripts import joined

pytestmark = pytest.mark.browser

UI = PROJECT_DIR / "streamlit_apps" / "ui"
SIZES = ((1280, 720), (1024, 768), (820, 1180), (390, 844), (844, 390))
STATES: dict[str, tuple[float, float | None]] = {
    "prepare": (1.0, None), "key": (4.0, None), "paused": (4.0, 4.0), "done": (900.0, None),
}  # fmt: skip
"""Seconds since the plan's start, and where it is paused."""
GESTURES = {
    "short": ("fist", "pinch", "Close the hand firmly."),
    "long": ("Schlüsselgriff", "Handgelenk strecken", "Den Daumen fest gegen die Seite des Zeigefingers drücken."),
    "own": (
        "Daumenballenmuskelanspannung, Handgelenk gebeugt und nach außen gedreht",
        "levantamiento controlado del dedo meñique con la muñeca extendida",
        "As somebody describes it who has much to say: " + "first this finger, then the next, and then all. " * 4,
    ),
}
SOUND = json.dumps({"on": True, "volume": 0.5})
WRONG = """() => {
  const wrong = [], prompt = document.querySelector('.semg-prompt'), boxes = new Map();
  for (const name of ['kind', 'name', 'about', 'picture', 'clock', 'next', 'plan', 'figures', 'controls']) {
    const e = prompt.querySelector('.' + name);
    if (!e || (!e.textContent && !e.querySelector('img') && name !== 'plan')) continue;
    const box = e.getBoundingClientRect();
    if (box.width && box.height) boxes.set(name, box);
    if (name !== 'plan' && e.scrollWidth > e.clientWidth + 1)
      wrong.push(`${name} is cut: ${e.scrollWidth} > ${e.clientWidth}`);
  }
  const card = prompt.querySelector('.card').getBoundingClientRect();
  for (const [name, a] of boxes) {
    const inside = ['next', 'plan', 'figures', 'controls'].includes(name) ? prompt.getBoundingClientRect() : card;
    if (a.left < inside.left - 1 || a.top < inside.top - 1 ||
        a.right > inside.right + 1 || a.bottom > inside.bottom + 1)
      wrong.push(`${name} leaves its box`);
    for (const [other, b] of boxes)
      if (name < other && a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)
        wrong.push(`${name} lies over ${other}`);
  }
  return wrong; }"""
SIZE_OF_NAME = "() => parseFloat(getComputedStyle(document.querySelector('.semg-prompt .name')).fontSize)"


def show(page: Page, language: str, kind: str, state: str) -> None:
    """Draw the component alone, at a moment of a plan."""
    now, following, about = GESTURES[kind]
    at_s, paused_s = STATES[state]
    step = {"number": 1, "dropped": False}
    data: dict[str, Any] = {
        "steps": [
            {"start_s": 0, "end_s": 3, "gesture": None, **step},
            {"start_s": 3, "end_s": 600, "gesture": now, **step},
            {"start_s": 600, "end_s": 700, "gesture": "rest", **step},
            {"start_s": 700, "end_s": 800, "gesture": following, **step},
        ],
        "words": sentences(language, "capture"),
        "paused_s": paused_s,
        "gesture_colours": {},
        "descriptions": {now: about, following: about},
        "view": "participant",
        "language": language,
    }
    svg = hand_svg("key grip")
    assert svg is not None
    page.evaluate(
        """([data, uri, at]) => {
          const prompt = document.querySelector('.semg-prompt');
          prompt.replaceWith(Object.assign(document.createElement('div'), { className: 'semg-prompt' }));
          const shown = { type: 'image/svg+xml', url: uri };
          window.semgPictures = new Map(data.steps.map(({ gesture }) => [gesture, shown]));
          const now = Date.now();
          window.mountPrompt({
            parentElement: document.body, data: { ...data, server_ms: now, started_ms: now - 1000 * at } });
        }""",
        [data, data_uri(svg), at_s],
    )
    page.wait_for_function("() => [...document.images].every((one) => one.complete)")
    page.wait_for_timeout(120)  # it looks at itself twenty times a second


@pytest.fixture
def prompt(page: Page) -> Page:
    """A page that holds the component alone, with sound on, so that its slider is there."""
    page.route("http://prompt.test/", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    page.goto("http://prompt.test/")
    page.evaluate("(kept) => localStorage.setItem('semg.sound.participant', kept)", SOUND)
    css = (UI / "capture_prompt.css").read_text(encoding="utf-8")
    page.set_content(f"<!doctype html><style>body {{ margin: 0; }} {css}</style><div class=semg-prompt></div>")
    script = joined(UI / "capture_prompt.js").replace("export default function", "window.mountPrompt = function")
    page.evaluate("(text) => (0, eval)('{' + text + '}')", script)
    return page


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_overlaps_on_the_participants_screen(prompt: Page, language: str, tmp_path: Path) -> None:
    found: dict[str, list[str]] = {}
    for kind in GESTURES:
        for state in STATES:
            for width, height in SIZES:
                prompt.set_viewport_size({"width": width, "height": height})
                show(prompt, language, kind, state)
                wrong = prompt.evaluate(WRONG)
                if wrong:
                    found[f"{kind}, {state}, {width} × {height}"] = wrong
                    prompt.screenshot(path=tmp_path / f"{kind}-{state}-{width}.png")  # kept by pytest
    assert found == {}


def test_a_screen_that_is_turned_is_filled_anew(prompt: Page) -> None:
    prompt.set_viewport_size({"width": 1280, "height": 800})
    show(prompt, "de", "short", "key")
    assert prompt.evaluate(SIZE_OF_NAME) >= 0.12 * 800, "read from three metres"
    prompt.set_viewport_size({"width": 390, "height": 844})
    prompt.wait_for_function(f"() => !({WRONG})().length")
