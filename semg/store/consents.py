"""Consent: the history of each person's consents, and the exact texts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from semg.consent_types import SCOPES, Consent, ConsentScope, ConsentText, NewConsent
from semg.errors import ConflictError, ConsentError, InvalidValueError, NotFoundError
from semg.store import checks
from semg.store.pool import Transaction, execute, one, rows

_COLUMNS = "scopes, text_version, agreed_at, recorded_at, recorded_by"
_ASK = {
    "recording": "being recorded",
    "video": "being filmed",
    "shared_models": "use in models of several people",
    "shared_data": "sharing the recordings with others",
}


def insert_consent(tx: Transaction, user_id: int, new: NewConsent) -> None:
    """Insert a person's new consent; earlier entries stay as history.

    Raises
    ------
    InvalidValueError
        A scope is unknown, video or shared models without the recording, or a time that is still to come.
    NotFoundError
        There is no such profile.
    ConflictError
        The text has changed and its version has not.
    """
    scopes = _checked(new.scopes)
    agreed_at = checks.aware("agreed_at", new.agreed_at or datetime.now(UTC))
    if agreed_at > datetime.now(UTC) + timedelta(days=1):
        raise InvalidValueError(
            "agreed_at", f"choose a consent date that is not in the future (now {agreed_at:%Y-%m-%d})"
        )
    if one(tx, "SELECT 1 FROM profiles WHERE user_id = %s FOR NO KEY UPDATE", (user_id,)) is None:
        raise NotFoundError(f"there is no profile {user_id}; it may have been deleted")
    _keep_text(tx, new.text)
    execute(
        tx,
        "INSERT INTO consents (user_id, scopes, text_version, agreed_at, recorded_by) VALUES (%s, %s, %s, %s, %s)",
        (user_id, scopes, new.text.version, agreed_at, checks.storable(new.recorded_by)[:200]),
    )


def list_consents(tx: Transaction, user_id: int) -> list[Consent]:
    """Return the history of a profile's consent, newest first."""
    query = f"SELECT {_COLUMNS} FROM consents WHERE user_id = %s ORDER BY consent_id DESC"  # noqa: S608
    return [consent_of(row) for row in rows(tx, query, (user_id,))]


def find_text(tx: Transaction, version: str) -> ConsentText | None:
    """Return a text that somebody agreed to, or None."""
    row = one(tx, "SELECT version, content FROM consent_texts WHERE version = %s", (checks.storable(version),))
    return None if row is None else ConsentText(row.version, row.content)


def consenting(tx: Transaction, user_ids: Sequence[int], scope: ConsentScope) -> set[int]:
    """Return those of the profiles that agree to something now."""
    found = rows(
        tx,
        """
        SELECT u.user_id FROM unnest(%s::bigint[]) AS u (user_id)
        CROSS JOIN LATERAL (
            SELECT scopes FROM consents c WHERE c.user_id = u.user_id ORDER BY consent_id DESC LIMIT 1) n
        WHERE %s = ANY (n.scopes)
        """,
        (list(user_ids), scope),
    )
    return {row.user_id for row in found}


def require(tx: Transaction, user_id: int, scope: ConsentScope) -> None:
    """Raise unless a person agrees to something.

    Raises
    ------
    ConsentError
        The person does not, or not any more.
    """
    if user_id not in consenting(tx, [user_id], scope):
        before = any(scope in each.scopes for each in list_consents(tx, user_id))
        raise ConsentError(user_id, f"{'no longer agrees' if before else 'has not agreed'} to {_ASK[scope]}")


def consent_of(row: Any) -> Consent:
    """Return the consent of a row that has its columns."""
    return Consent(tuple(row.scopes), row.text_version, row.agreed_at, row.recorded_at, row.recorded_by)


def _checked(scopes: Sequence[str]) -> list[str]:
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown:
        raise InvalidValueError("scopes", f"choose among {', '.join(SCOPES)} (now {unknown[0]!r})")
    if scopes and "recording" not in scopes:
        raise InvalidValueError("scopes", f"tick the recording too: {_ASK[scopes[0]]} needs it")
    return [scope for scope in SCOPES if scope in scopes]


def _keep_text(tx: Transaction, text: ConsentText) -> None:
    version = checks.name("text_version", text.version, 100)
    content = checks.text("content", text.content, 200_000)
    execute(
        tx,
        "INSERT INTO consent_texts (version, content) VALUES (%s, %s) ON CONFLICT (version) DO NOTHING",
        (version, content),
    )
    kept = find_text(tx, version)
    if kept is None or kept.content != content:
        raise ConflictError(f"the consent text changed after somebody agreed to {version} of it: give it a new version")
