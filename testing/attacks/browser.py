"""What only a browser shows: a name that is a picture in Markdown, and a page on another port of the same host."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from testing.attacks import chromium
from testing.attacks.app_page import PAGES
from testing.attacks.findings import Finding, NotTried, judged
from testing.attacks.own_system import ADMIN
from testing.attacks.target import Target

TITLE = "stored text as Markdown, and a page on another port, in a browser"
SETTLE_MS = 700
MANY = 5
"""Pages that show a profile by its name at least, or else the walk proves nothing."""
TEXT = """() => [document.body.innerText, ...[...document.querySelectorAll('input, textarea')].map((one) => one.value)]
  .join(' ').replace(/\\u2060/g, '')"""
FOREIGN = """(own) => {
  const found = [];
  const look = (root) => {
    for (const one of root.querySelectorAll('*')) {
      const at = one.getAttribute('src') || one.getAttribute('srcset') || '';
      if (at && !/^(data|blob):/.test(at) && !own.includes(new URL(at, location.href).origin)) found.push(at);
      if (one.shadowRoot) look(one.shadowRoot);
    }
  };
  look(document);
  return found;
}"""
PAGE = """<!DOCTYPE html><title>another port</title><script>
  const ended = (socket) => new Promise((done) => {
    socket.onopen = () => done("open");
    socket.onclose = () => done("refused");
  });
  const stream = "APP/_stcore/stream".replace("http", "ws");
  window.attack = async () => ({
    socket: await ended(new WebSocket(stream, ["streamlit", "x"])),
    guessed: await ended(new WebSocket(stream, ["streamlit", "x", "semg.binding.none"])),
    read: await fetch("APP/login/state", {credentials: "include"}).then(() => "open", () => "refused"),
    sent: await fetch("APP/login", {method: "POST", credentials: "include", body: "{}",
      headers: {"Content-Type": "application/json"}}).then(() => "open", () => "refused"),
    cookie: /semg_login/.test(document.cookie) ? "open" : "refused",
    stored: localStorage.getItem("semg-binding") === null ? "refused" : "open",
  });
</script>"""


def attack(target: Target) -> Iterator[Finding]:
    """Visit a page on another port while logged in, then walk all pages as an admin who sees such a name."""
    if not target.login:
        raise NotTried("needs a login: give --login and --password")
    yield from another_port(target)
    yield from walk(target)


def walk(target: Target) -> Iterator[Finding]:
    """Walk all pages of our own system."""
    inside = target.own
    with chromium.window() as page:
        chromium.log_in(page, target, ADMIN, inside.accounts[ADMIN])
        n_shown = 0
        for name in PAGES:
            before = len(target.canary.seen)
            page.goto(f"{target.url}/{name}?profile={inside.user_id}")
            page.get_by_test_id("stSidebar").get_by_text("Logged in as").wait_for()
            page.wait_for_timeout(SETTLE_MS)
            page.wait_for_function("() => !document.querySelector('[data-testid=stStatusWidget]')")
            is_shown = target.canary.origin in page.evaluate(TEXT)
            n_shown += is_shown
            foreign = page.evaluate(FOREIGN, [target.url, _origin(target.api_url)])
            seen = target.canary.seen[before:]
            said = (
                f"{len(foreign)} foreign addresses, {len(seen)} requests; the name is {'' if is_shown else 'not '}on it"
            )
            yield judged(
                not foreign and not seen, f"{name or 'Overview'} with a profile called x![](CANARY/p.png)", said
            )
        yield judged(n_shown >= MANY, "the name itself, as text", f"on {n_shown} of {len(PAGES)} pages")


def another_port(target: Target) -> Iterator[Finding]:
    """Let a logged-in browser visit a page on another port of the same host."""
    target.canary.page = PAGE.replace("APP", target.url)
    with chromium.window() as page:
        chromium.log_in(page, target, target.login, target.password)
        page.goto(f"{target.canary.origin}/page")
        told = page.evaluate("window.attack()")
        for what, came in told.items():
            yield judged(came == "refused", f"a browser's page on another port of the host: {what}", came)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
