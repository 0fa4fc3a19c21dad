"""Streamlit's session ids: no credential, and in no address that a proxy writes down."""

from __future__ import annotations

from collections.abc import Iterator

from testing.attacks.app_page import AppPage
from testing.attacks.findings import Finding, judged
from testing.attacks.own_system import VIEWER
from testing.attacks.target import Target

TITLE = "session ids as credentials"
UPLOAD = "/_stcore/upload_file"


def attack(target: Target) -> Iterator[Finding]:
    """Name the session of a page that is open in one login, without a login and in another one."""
    victim = target.log_in()
    as_viewer = (VIEWER, target.inside.accounts[VIEWER]) if target.inside is not None else ("", "")
    thief = target.log_in(*as_viewer)
    with AppPage(target, victim, "Gesture_Management") as page:
        told = target.knock(session=page.session_id)
        yield judged(told != "open", "WebSocket naming an open page's session, no login", told)
        with AppPage(target, thief, "Gesture_Management", session=page.session_id) as other:
            is_own = other.session_id != page.session_id
            yield judged(
                is_own, "WebSocket naming another login's session", "a session of its own" if is_own else "that one"
            )
        file_id, address = page.upload_address("x.csv")
        is_told = page.session_id in address
        yield judged(not is_told, "a page's session id in the address for uploads", "is in it" if is_told else "is not")
        by_id = f"{UPLOAD}/{page.session_id}/{file_id}"
        for asked, at, entry in (
            ("the page's address, another login", address, thief),
            ("the page's session id, another login", by_id, thief),
            ("the page's session id, its own login", by_id, victim),
        ):
            answer = page.put(at, "x.csv", b"x", entry)
            yield judged(answer.status_code == 403, f"upload to {asked}", answer.status_code)
        bare = target.ask("PUT", address, body=b"x", origin=target.url)
        yield judged(bare.status_code == 403, "upload to the page's address, no login", bare.status_code)
    gone = target.knock(session=page.session_id)
    yield judged(gone != "open", "WebSocket naming a left page's session, no login", gone)
