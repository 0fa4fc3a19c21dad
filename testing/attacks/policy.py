"""The Content-Security-Policy of documents: what a page may load, and whom it may talk to, if all else fails."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from testing.attacks.findings import Finding, judged
from testing.attacks.target import Target

TITLE = "the policy of pages"


def attack(target: Target) -> Iterator[Finding]:
    """Look at the policy of the login page, and of the app where somebody can log in."""
    yield from policy_of(target, "/login")
    if target.login:
        yield from policy_of(target, "/")


def policy_of(target: Target, path: str) -> Iterator[Finding]:
    """Check the Content-Security-Policy of a document."""
    answer = target.ask("GET", path, target.log_in() if path == "/" else None)
    told = answer.headers.get("content-security-policy", "")
    policy = {part.split()[0]: set(part.split()[1:]) for part in told.split(";") if part.split()}
    hosts = {target.netloc, urlsplit(target.api_url).netloc}
    if target.inside is not None:  # the app's own port, too, leads pages to where the API is served
        hosts.add(urlsplit(target.inside.settings.api_url).netloc)
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
