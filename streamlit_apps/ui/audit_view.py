"""The audit log in the app: what viewers did is written down, and an administrator looks at it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast

import streamlit as st

from semg.privacy import file_exports
from semg.security import audit_chain
from semg.security.failed_logins import address_of
from semg.store import accounts, audit
from semg.store.audit import SEEN_AGAIN_S, Action, Actor
from ui import download, errors, times
from ui.runtime import App
from ui.text import cells, md, shown

SHOWN = 500
WORDS: dict[Action, str] = {
    "profile.created": "created the profile",
    "profile.changed": "changed the profile",
    "profile.erased": "deleted the profile",
    "profile.shared": "shared the profile",
    "profile.share_refused": "tried to share with an unknown login",
    "profile.unshared": "stopped sharing the profile",
    "profile.given": "changed the profile's owner",
    "consent.changed": "recorded a consent",
    "name.seen": "viewed the name",
    "gestures.changed": "changed gestures",
    "person.exported": "created the person's archive",
    "person.offered": "got the link to the archive",
    "capture.started": "started a capture",
    "capture.ended": "ended a capture early",
    "session.changed": "changed the session",
    "session.erased": "deleted the session",
    "session.imported": "imported a session",
    "session.taught": "labelled seconds of the live signals",
    "session.exported": "exported the session",
    "samples.seen": "viewed the signals",
    "live.seen": "viewed the live signals",
    "video.seen": "viewed the video",
    "video.expired": "removed old videos",
    "job.created": "started a training job",
    "job.canceled": "cancelled a training job",
    "model.activated": "activated a model version",
    "model.exported": "downloaded a model",
    "report.exported": "downloaded a report",
    "board.created": "added a board",
    "board.assigned": "assigned a board",
    "board.released": "unassigned a board",
    "board.key_made": "created a board key",
    "board.key_revoked": "revoked a board key",
    "board.erased": "removed a board",
    "arm.steered": "steered the simulated arm",
    "play.stored": "stored a played test",
    "play.exported": "downloaded results of played tests",
    "sender.assigned": "assigned a text sender",
    "sender.released": "unassigned a text sender",
    "account.created": "created an account",
    "account.changed": "changed an account",
    "account.role_changed": "changed an account's role",
    "account.password_changed": "set a password",
    "account.logged_out": "logged out everywhere",
    "account.locked": "was locked out after wrong passwords",
    "account.erased": "deleted an account",
    "login.ok": "logged in",
    "login.failed": "failed to log in",
    "login.confirmed": "confirmed their identity",
    "login.ended": "logged out",
    "session.revoked": "ended a login elsewhere",
    "factor.added": "added a second factor",
    "factor.removed": "removed a second factor",
    "token.created": "created an API token",
    "token.used": "used an API token",
    "token.revoked": "revoked an API token",
    "key.rotated": "re-encrypted secrets with a new key",
    "audit.seen": "viewed the audit log",
    "audit.exported": "exported the audit log",
}


def actor(app: App) -> Actor:
    """Return the account that acts."""
    return Actor(app.login)


def seen(app: App, action: Action, user_id: int | None, session_id: int | None = None) -> None:
    """Write down that the viewer sees something, once an hour."""
    told: dict[tuple[str, int | None, int | None], float] = st.session_state.setdefault("audit-seen", {})
    what, now = (action, user_id, session_id), time.monotonic()
    if what in told and now - told[what] < SEEN_AGAIN_S:
        return
    with app.unrestricted.transaction() as tx:  # also of who may change nothing
        audit.record(tx, actor(app), action, user_id, session_id)
    told[what] = now


def show_tab(app: App) -> None:
    """Offer an administrator the log."""
    if st.toggle("Show who did and viewed what", key="audit-show"):
        show_log(app)


def show_log(app: App) -> None:
    """Show who did and viewed what; looking is written down too."""
    app.require_admin()
    seen(app, "audit.seen", None)
    with app.pool.transaction() as tx:
        names = {one.user_id: one.name for one in app.people(tx)}
        logins = {one.account_id: one.login for one in accounts.list_accounts(tx)}
        number = st.number_input("Profile number", value=None, step=1, min_value=1, key="audit-profile")
        entries = audit.list_entries(tx, user_id=number, limit=SHOWN)
    st.dataframe(
        cells(
            {
                "No.": one.number,
                "When": times.shown(one.at, seconds=True),
                "Who": one.who,
                "What": WORDS.get(cast(Action, one.action), one.action.replace(".", " ").replace("_", " ")),
                "Profile": one.user_id,
                "Name": names.get(one.user_id, "—") if one.user_id is not None else "—",
                "Session": one.session_id,
                "Counts": ", ".join(_said(name, value, logins) for name, value in one.counts.items()),
            }
            for one in entries
        ),
        hide_index=True,
        width="stretch",
    )
    st.caption(md("The newest {n} entries. They contain only numbers, and cannot be changed or deleted.", n=SHOWN))
    _check_and_export(app)


def _check_and_export(app: App) -> None:
    """Check the chain of hashes, and take the whole log away."""
    if st.button("Verify the log", key="audit-check"):
        with errors.attempt(), app.pool.transaction() as tx:
            verdict = audit_chain.verify(tx)
            if verdict.broken is not None:
                st.error(md("Entry {number}: {reason}", number=verdict.broken, reason=verdict.reason))
            else:
                st.success(md("Entries unchanged since they were written: {n:,}.", n=verdict.n_entries))
                st.code(shown(verdict.head or ""), language=None)
    for kind in ("csv", "jsonl"):
        download.link(app, md("Download the log as {kind}", kind=kind), file_exports.audit_file(kind))


def _said(name: str, value: Any, logins: Mapping[int, str]) -> str:
    """Return a count of an entry in words: an account by its login, a role by its name."""
    if name == "account" and value in logins:
        return f"account {logins[value]}"
    if name in ("role", "before") and value in range(len(accounts.ROLES)):
        return f"{name} {accounts.ROLES[value]}"
    if name == "address":
        return f"address {address_of(value)}"
    if name == "disabled":
        return "disabled" if value else "active"
    return f"{name} {value}"
