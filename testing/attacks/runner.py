"""All groups of checks, in order, and what is printed of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import ModuleType

import httpx
import psutil
from websockets.exceptions import WebSocketException

from semg.errors import SemgError
from testing.attacks import (
    browser,
    description,
    downloads,
    files,
    gateway,
    imports,
    internet,
    logins,
    origins,
    policy,
    servers,
    sessions,
)
from testing.attacks.findings import Finding, NotTried
from testing.attacks.target import Target

GROUPS: dict[str, ModuleType] = {
    "gateway": gateway, "policy": policy, "browser": browser, "origins": origins, "internet": internet,
    "downloads": downloads, "sessions": sessions, "imports": imports, "description": description, "files": files,
    "servers": servers, "logins": logins,
}  # fmt: skip
"""By the name that ``--only`` takes. ``logins`` is the last: after it this address may not log in for a while."""
WITHOUT_GATEWAY = ("gateway", "policy", "origins", "internet", "sessions", "description")
"""What is tried at the app's own port as well, which other users of the machine reach."""
CLEAR, OPEN, UNTRIED = 0, 1, 2


def run(target: Target, names: Sequence[str], tell: Callable[[str], None]) -> int:
    """Attack a system with groups of checks, tell each finding, and return the exit code.

    Returns
    -------
    int
        ``CLEAR``; ``OPEN`` when something stood open; ``UNTRIED`` when nothing did, but not all could be tried.
    """
    found: list[tuple[str, Finding]] = []
    if problem := why_silent(target):
        tell(f"{target.url} was not attacked: {problem}")
        return UNTRIED
    for name in names:
        for where, door in doors(target, name):
            tell(f"{GROUPS[name].TITLE}{where}  [{name}]")
            for one in findings(GROUPS[name], door):
                found.append((f"{name}{where}", one))
                tell(str(one))
    tell("")
    stood_open = [f"{name}: {one.asked}" for name, one in found if one.outcome == "OPEN"]
    untried = [f"{name}: {one.answered}" for name, one in found if one.outcome == "untried"]
    n_ok = sum(one.outcome == "ok" for _, one in found)
    for title, entries in (("Open", stood_open), ("Not tried", untried)):
        tell("".join([f"{title}:", *(f"\n  {entry}" for entry in entries)]) if entries else f"{title}: nothing.")
    if stood_open:
        tell(f"{len(stood_open)} of {len(found)} stood open.")
        return OPEN
    tell(f"All clear: {n_ok} checks." if not untried else f"Nothing stood open in {n_ok} checks; not all were tried.")
    return UNTRIED if untried else CLEAR


def doors(target: Target, name: str) -> list[tuple[str, Target]]:
    """Return where a group is tried, with what is said of it: the front door and, of our own system, the app's port."""
    found = [("", target)]
    if target.inside is not None and name in WITHOUT_GATEWAY:
        settings = target.inside.settings
        own = replace(target, url=settings.internal_app_url, api_url=settings.internal_api_url, context=None)
        found.append((", without the gateway", own))
    return found


def why_silent(target: Target) -> str:
    """Return why the system does not answer as one of ours; empty: it does. What is not there refuses everything."""
    try:
        answer = target.ask("GET", "/_stcore/health")
    except httpx.HTTPError as exc:
        return f"{type(exc).__name__}: {exc}"
    return "" if answer.status_code == 200 else f"GET /_stcore/health is answered {answer.status_code}"


def findings(group: ModuleType, target: Target) -> Iterator[Finding]:
    """Yield what a group finds; what cannot be tried is a finding too."""
    try:
        yield from group.attack(target)
    except NotTried as exc:
        yield Finding("untried", "the rest of this group", str(exc))
    except (httpx.HTTPError, WebSocketException, OSError, SemgError, psutil.Error, LookupError) as exc:
        yield Finding("untried", "the rest of this group", f"{type(exc).__name__}: {exc}")
