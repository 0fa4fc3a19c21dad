"""A name that is a picture in Markdown: no browser asks for it, and the policy of the page would not let one."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from testing.attacks import chromium
from testing.attacks.findings import Finding, judged
from testing.attacks.own_system import ADMIN
from testing.attacks.target import Target

TITLE = "stored text as Markdown, and the policy of pages"
PAGES = (
    "", "User_Management", "Gesture_Management", "Training_Data_Capture", "Kickoff_Training", "Training_Jobs_Status",
    "Realtime_Gesture_Recognition", "Sensor_Data_Review",
)  # fmt: skip
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


def attack(target: Target) -> Iterator[Finding]:
    """Look at the policy, then walk all pages as an admin who sees a profile of such a name."""
    yield from policy_of(target, "/login")
    if target.login:
        yield from policy_of(target, "/")
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


def policy_of(target: Target, path: str) -> Iterator[Finding]:
    """Check the Content-Security-Policy of a document."""
    answer = target.ask("GET", path, target.log_in() if path == "/" else None)
    told = answer.headers.get("content-security-policy", "")
    policy = {part.split()[0]: set(part.split()[1:]) for part in told.split(";") if part.split()}
    hosts = {target.netloc, urlsplit(target.api_url).netloc}
    own = {f"{scheme}://{host}" for host in hosts for scheme in ("http", "https", "ws", "wss")} | {"'self'", "'none'"}
    fallback = policy.get("default-src", {"*"})
    for name, more in (
        ("script-src", {"blob:"}), ("img-src", {"data:", "blob:"}), ("connect-src", set()), ("frame-src", set()),
        ("object-src", set()), ("base-uri", set()), ("frame-ancestors", set()), ("form-action", set()),
    ):  # fmt: skip
        is_fetch = name not in ("base-uri", "frame-ancestors", "form-action")
        sources = policy.get(name, fallback if is_fetch else {"*"})
        beyond = {one for one in sources - own - more if not one.startswith("'sha256-")}
        said = " ".join(sorted(beyond)) or "nothing of elsewhere"
        yield judged(not beyond, f"Content-Security-Policy of {path}, {name}", said)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
