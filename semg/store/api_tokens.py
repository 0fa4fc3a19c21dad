"""API tokens of accounts: random, shown once, stored as a hash, limited in purpose and time.

A token has 256 random bits, so that a plain SHA-256 is as good as a slow hash and costs a request nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from semg.errors import ConflictError, InvalidValueError, NotFoundError
from semg.store import accounts, audit, checks
from semg.store.accounts import Account
from semg.store.audit import Actor
from semg.store.pool import Transaction, execute, one, rows

PREFIX = "semg_"
"""Prefix of every token: secret scanners find it, and other strings are not looked up."""
MAX_TOKENS = 50
DEFAULT_DAYS, MAX_DAYS = 90, 365

Scope = Literal["read", "predict", "metrics", "work"]
"""``read``: data and live streams. ``predict``: predictions of a profile's model. ``metrics``: the API's counters.
``work``: trainings, versions, labels and profiles."""
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True, slots=True)
class ApiToken:
    """The stored data of a token, without the token itself."""

    token_id: int
    name: str
    created_at: datetime
    last_used_at: datetime | None
    scopes: tuple[str, ...]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just created; ``text`` is the token."""

    token_id: int
    text: str


@dataclass(frozen=True, slots=True)
class Grant:
    """The rights of a valid token: to act as this account, for these purposes."""

    account: Account
    scopes: frozenset[str]


def insert_token(
    tx: Transaction, account_id: int, name: str, scopes: Collection[str], days: int = DEFAULT_DAYS
) -> NewToken:
    """Create a token of an account, and return it; it is not shown again.

    Parameters
    ----------
    scopes
        Its purposes; the rights of the account limit them.
    days
        How long it lasts.

    Raises
    ------
    InvalidValueError
        The name, the scopes or the time do not fit, or there are too many tokens.
    ConflictError
        The account has a token of this name, or is gone.
    """
    name = checks.name("name", name, 100)
    if not scopes or not set(scopes) <= set(SCOPES):
        raise InvalidValueError("scopes", f"choose one or more of {', '.join(SCOPES)} (now {sorted(scopes)})")
    if not 1 <= days <= MAX_DAYS:
        raise InvalidValueError("days", f"choose a life of 1 to {MAX_DAYS} days (now {days})")
    if len(list_tokens(tx, account_id)) >= MAX_TOKENS:
        raise InvalidValueError("name", f"revoke a token first: an account has at most {MAX_TOKENS}")
    token = PREFIX + secrets.token_urlsafe(32)
    made = one(
        tx,
        """
        INSERT INTO api_tokens (account_id, name, token_hash, scopes, expires_at)
        VALUES (%s, %s, %s, %s, now() + make_interval(days => %s))
        ON CONFLICT (account_id, name) DO NOTHING RETURNING token_id
        """,
        (account_id, name, _hash(token), [scope for scope in SCOPES if scope in scopes], days),
    )
    if made is None:
        raise ConflictError(f"choose another name: a token called {name!r} already exists")
    return NewToken(int(made.token_id), token)


def list_tokens(tx: Transaction, account_id: int) -> list[ApiToken]:
    """Return the tokens of an account by name, the expired ones too."""
    found = rows(
        tx,
        """
        SELECT token_id, name, created_at, last_used_at, scopes, expires_at
        FROM api_tokens WHERE account_id = %s ORDER BY name
        """,
        (account_id,),
    )
    return [
        ApiToken(row.token_id, row.name, row.created_at, row.last_used_at, tuple(row.scopes), row.expires_at)
        for row in found
    ]


def delete_token(tx: Transaction, account_id: int, token_id: int) -> None:
    """Revoke a token of an account.

    Raises
    ------
    NotFoundError
        The account has no such token.
    """
    if execute(tx, "DELETE FROM api_tokens WHERE account_id = %s AND token_id = %s", (account_id, token_id)) == 0:
        raise NotFoundError("this token has already been revoked")


def revoke_tokens(tx: Transaction, account_id: int, actor: Actor) -> int:
    """Revoke all tokens of an account, write that into the audit log, and return how many there were."""
    gone = rows(tx, "DELETE FROM api_tokens WHERE account_id = %s RETURNING token_id", (account_id,))
    for row in gone:
        audit.record(tx, actor, "token.revoked", token=row.token_id, account=account_id)
    return len(gone)


def find_grant(tx: Transaction, token: str, *, is_use: bool = True) -> Grant | None:
    """Return the rights of a token, and record its use, once an hour in the audit log.

    Parameters
    ----------
    is_use
        False asks only: whoever records a use keeps its row locked until the transaction ends, and the token's other
        requests wait for it.

    Returns
    -------
    Grant or None
        None for a token that nobody has, an expired one, and one of a disabled account.
    """
    if not token.startswith(PREFIX):
        return None
    row = one(
        tx,
        "SELECT token_id, account_id, scopes FROM api_tokens WHERE token_hash = %s AND expires_at > now()",
        (_hash(token),),
    )
    account = None if row is None else accounts.find_account_by_id(tx, row.account_id)
    if row is None or account is None or account.disabled_at is not None:
        return None
    used = (
        None
        if not is_use
        else one(
            tx,
            """
        UPDATE api_tokens SET last_used_at = now(),
            use_recorded_at = CASE WHEN use_recorded_at > now() - make_interval(secs => %s)
                THEN use_recorded_at ELSE now() END
        WHERE token_id = %s AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
        RETURNING use_recorded_at = now() AS tells
        """,
            (audit.SEEN_AGAIN_S, row.token_id),
        )
    )
    if used is not None and used.tells:
        audit.record(tx, Actor(account.login), "token.used", token=row.token_id)
    return Grant(account, frozenset(row.scopes))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
