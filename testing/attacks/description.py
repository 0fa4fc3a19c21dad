"""What documents load: nothing of other servers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from testing.attacks.findings import Finding, judged
from testing.attacks.target import Target

TITLE = "the API's description, and what documents load"
FOREIGN = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?[\\/]{2}", re.IGNORECASE)
LOADS = re.compile(r"(?:url\(|@import|importScripts\(|\bimport\()\s*['\"]?(?:https?:)?//[^\s'\")]+")
_ATTRIBUTES = ("src", "href", "srcset", "action", "data", "poster", "formaction", "content")


class Addresses(HTMLParser):
    """Every address that a document asks for or leads to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the addresses of a tag."""
        self.found += [value for name, value in attrs if name in _ATTRIBUTES and value]


def attack(target: Target) -> Iterator[Finding]:
    """Look at every document, and at the scripts and styles that it loads."""
    for url in (f"{target.url}/login", f"{target.url}/login/confirm", f"{target.api_url}/docs"):
        yield from document(target, url)
    if target.login:
        yield from document(target, f"{target.url}/", signed_in=True)
    policy = target.ask("GET", f"{target.api_url}/docs").headers.get("content-security-policy", "")
    parts = {part.split()[0]: part.split()[1:] for part in policy.split(";") if part.split()}
    is_apart = "sandbox" in parts and "allow-same-origin" not in parts["sandbox"] and "//" not in policy
    yield judged(
        is_apart, "the description's policy: an origin of its own, no host", "sandboxed" if is_apart else policy
    )
    for path in ("/redoc", "/docs/oauth2-redirect", "/docs/redoc.standalone.js"):
        answer = target.ask("GET", target.api_url + path)
        yield judged(answer.status_code == 404, f"GET {path} of the API", answer.status_code)


def document(target: Target, url: str, *, signed_in: bool = False) -> Iterator[Finding]:
    """Check a document, and what of this system it loads."""
    entry = target.log_in() if signed_in else None
    answer = target.ask("GET", url, entry)
    named = urlsplit(url).path + (", logged in" if signed_in else "")
    own = urlsplit(url).netloc
    found = Addresses(answer.text).found
    foreign = [one for one in found if FOREIGN.match(one) and urlsplit(one.strip()).netloc != own]
    foreign += LOADS.findall(answer.text)
    checked = 0
    for one in found:
        at = urljoin(url, one)
        if re.search(r"\.(js|css)(\?|$)", at) and urlsplit(at).netloc == own:
            loaded = target.ask("GET", at, entry)
            checked += 1
            foreign += LOADS.findall(loaded.text) if at.partition("?")[0].endswith("css") else []
            if loaded.status_code != 200:
                foreign.append(f"{one} (status {loaded.status_code})")
    said = ", ".join(foreign) or f"no foreign address; {checked} scripts and styles of its own"
    yield judged(not foreign and answer.status_code < 400, f"GET {named}", said)
