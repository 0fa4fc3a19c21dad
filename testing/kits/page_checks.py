"""What every page of the app must hold in a browser: WCAG by axe-core, nothing cut, no scrolling sideways."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")


class Exempt(NamedTuple):
    """A violation that is known: by its rule and the exact element, with the reason (docs/accessibility.md)."""

    rule: str
    selector: str
    reason: str


EXEMPT: tuple[Exempt, ...] = ()

_RUN = """async ([tags, exempt]) => {
  const found = await axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] });
  const said = [];
  for (const { id, nodes } of found.violations)
    for (const { target, html, failureSummary } of nodes) {
      const selector = target.flat().at(-1);
      const at = target.length === 1 && !Array.isArray(target[0]) ? document.querySelector(selector) : null;
      if (exempt.some(([rule, known]) => rule === id && at && at.matches(known))) continue;
      said.push(`${id}: ${target.join(' > ')} ${html.slice(0, 160)} ${failureSummary.split('\\n').pop().trim()}`);
    }
  return said; }"""

FITS = """(limit) => {
  const wide = [], root = document.documentElement;
  const shown = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true });  // tables hide tools
  const kinds = '[data-testid="stMain"], [data-testid="stVerticalBlock"], button, input';
  for (const e of document.querySelectorAll(kinds)) {
    const box = e.getBoundingClientRect();
    if (shown(e) && box.width > 1 && box.right > limit + 1)
      wide.push(`wide: ${e.tagName} ${e.textContent.slice(0, 40)} ${box.right}`); }
  if (root.scrollWidth > limit + 1) wide.push(`page: ${root.scrollWidth}`);
  const main = document.querySelector('[data-testid="stMain"]');
  if (main && main.scrollWidth > main.clientWidth + 1) wide.push(`main: ${main.scrollWidth} > ${main.clientWidth}`);
  return wide; }"""
"""What is wider than the window, or makes the page scroll sideways."""

CUT = """() => {
  const cut = new Set();
  const parent = (e) => e.parentElement || (e.getRootNode() instanceof ShadowRoot ? e.getRootNode().host : null);
  // Of a screen reader only, of a picture's stand-in, or an icon's name, whose letters are drawn as one sign.
  const aside = (e) => e.closest('canvas, svg, style, script, noscript, option, [aria-hidden="true"], .said') ||
    e.closest('[data-testid="stIconMaterial"], [data-testid="stSidebar"][data-collapsed="true"]');
  const look = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.shadowRoot) look(node.shadowRoot);
      const e = node.nodeType === Node.TEXT_NODE ? node.parentElement : node;
      if (!e || aside(e)) continue;
      if (node === e) {
        if (e.matches('input[role="combobox"]') && e.value && e.scrollWidth > e.clientWidth + 1 && e.checkVisibility())
          cut.add(`field: ${e.value.slice(0, 60)}`);
        continue;
      }
      if (!node.data.trim() || !e.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      const box = range.getBoundingClientRect();
      if (!box.width) continue;
      let wide = true, high = true;  // what can be scrolled to is not cut
      for (let up = e; up && up !== document.body && (wide || high); up = parent(up)) {
        const style = getComputedStyle(up), edge = up.getBoundingClientRect();
        if (style.position === 'fixed' || edge.width <= 1 || edge.height <= 1) break;  // or hidden on purpose
        const hides = (overflow) => ['hidden', 'clip'].includes(overflow);
        if (wide && hides(style.overflowX) && (box.right > edge.right + 1 || box.left < edge.left - 1) ||
            high && hides(style.overflowY) && box.bottom > edge.bottom + 3) {
          cut.add(`text: ${node.data.trim().slice(0, 60)}`);
          break;
        }
        if (['auto', 'scroll'].includes(style.overflowX) && up.scrollWidth > up.clientWidth + 1) wide = false;
        if (['auto', 'scroll'].includes(style.overflowY)) high = false;
      }
    }
  };
  look(document.body);
  for (const table of document.querySelectorAll('[data-testid="stDataFrame"] .dvn-scroller'))
    if (table.scrollWidth > table.clientWidth + 1)
      cut.add(`table: ${table.parentElement.textContent.slice(0, 60)} ${table.scrollWidth} > ${table.clientWidth}`);
  return [...cut]; }"""
"""Text that an edge cuts off, values that do not fit their field, tables that are wider than their place."""

COVERED = """() => {
  const seen = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const over = (e) => { // what lies over the page on purpose
    for (let up = e; up; up = up.parentElement)
      if (['fixed', 'sticky'].includes(getComputedStyle(up).position)) return true;
    return false; };
  const main = document.querySelector('[data-testid="stMain"]');
  if (!main) return [];
  const texts = [...main.querySelectorAll('h1, h2, h3, h4, p')].filter(seen).map((e) => {
    const range = document.createRange();
    range.selectNodeContents(e);
    return [e, range.getBoundingClientRect()]; });
  const covered = [];
  for (const button of main.querySelectorAll('button'))  {
    const box = button.getBoundingClientRect();
    if (!seen(button) || box.width <= 1 || over(button)) continue;
    for (const [e, text] of texts) {
      const wide = Math.min(box.right, text.right) - Math.max(box.left, text.left);
      const high = Math.min(box.bottom, text.bottom) - Math.max(box.top, text.top);
      if (wide > 1 && high > 1 && !button.contains(e) && !e.contains(button) && !over(e))
        covered.push(`covered: ${e.textContent.trim().slice(0, 40)} by ${button.textContent.trim().slice(0, 40)}`);
    }
  }
  return covered; }"""
"""Text that a button lies over."""


@cache
def _axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def violations(page: Page) -> list[str]:
    """Return what axe-core finds against WCAG 2.2 AA in the page as it stands, but for what is exempt."""
    if not page.evaluate("() => Boolean(window.axe)"):
        page.evaluate(_axe())
    found: list[str] = page.evaluate(_RUN, [list(TAGS), [[one.rule, one.selector] for one in EXEMPT]])
    return found


FOCUS = """() => {
  const luminance = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((one) => one / 255)
      .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  let e = document.activeElement;
  while (e.shadowRoot?.activeElement) e = e.shadowRoot.activeElement;
  if (e === document.body) return { name: '', kind: 'body', wrong: '' };
  const label = e.labels?.[0];
  const name = e.getAttribute('aria-label') || label?.textContent || e.textContent || e.title || '';
  const kind = e.getAttribute('role') || e.type || e.tagName.toLowerCase();
  const said = { name: name.trim().replace(/\\s+/g, ' ').slice(0, 120), kind, wrong: '' };
  const around = [e.closest('[role="group"], [role="radiogroup"]'), e.parentElement, e.parentElement?.parentElement];
  const framed = [e, label, ...around, e.querySelector?.('.stage')].filter(Boolean).find((one) => {
      const style = getComputedStyle(one);
      return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2; });
  if (!said.name) said.wrong = `no name: ${e.outerHTML.slice(0, 120)}`;
  else if (!framed) said.wrong = 'no frame around what has the focus';
  else if (1.05 / (luminance(getComputedStyle(framed).outlineColor) + 0.05) < 3)
    said.wrong = `the frame is too pale: ${getComputedStyle(framed).outlineColor}`;
  const box = (label || e).getBoundingClientRect();
  if (!said.wrong && (box.bottom < 0 || box.top > innerHeight || box.right < 0 || box.left > innerWidth))
    said.wrong = 'has the focus and is out of sight';
  return said; }"""
"""What has the focus: its name, and what is wrong with how that is seen."""

DRAWN = """() => !document.querySelector('[data-testid="stSkeleton"], [data-testid="stStatusWidget"]')"""
"""Widgets are loaded when they are first needed; until then grey boxes stand in their place, which have no focus."""
OUT_OF_SIGHT = "has the focus and is out of sight"
MOST_TABS = 150
SETTLED_MS = 2_000


class Keyboard:
    """Somebody without a mouse; every stop on the way is looked at."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.wrong: set[str] = set()

    def to(self, name: str, kind: str = "") -> None:
        """Go on with Tab to what has a name, and fail when a whole round has not met it."""
        self.page.wait_for_function(DRAWN)
        met: list[str] = []
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            at = self.page.evaluate(FOCUS)
            if at["wrong"]:  # what is being drawn or scrolled to is right a moment later
                with suppress(PlaywrightTimeout):
                    self.page.wait_for_function(f"() => !({FOCUS})().wrong", timeout=SETTLED_MS, polling=50)
                at = self.page.evaluate(FOCUS)
            if at["wrong"] == OUT_OF_SIGHT:  # what was drawn above it meanwhile may have moved it away
                self.page.wait_for_function(DRAWN)
                self.page.keyboard.press("Shift+Tab")
                self.page.keyboard.press("Tab")
                at = self.page.evaluate(FOCUS)
            met.append(at["name"])
            if at["wrong"]:
                self.wrong.add(f"{at['name']}: {at['wrong']}")
            if name in at["name"] and kind in at["kind"]:
                return
        raise AssertionError(f"Tab never comes to {name!r}; it came to {list(dict.fromkeys(met))}")

    def press(self, name: str, key: str = "Enter", kind: str = "") -> None:
        """Go to what has a name, and press it."""
        self.to(name, kind)
        self.page.keyboard.press(key)

    def write(self, name: str, text: str) -> None:
        """Go to a field and write into it in place of what is there."""
        self.to(name)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)
