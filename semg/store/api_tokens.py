"""API tokens of accounts: random, shown once, stored as a hash.

A token has 256 random bits, so that a plain SHA-256 is as good as a slow hash and costs a request nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from semg.errors import ConflictError, InvalidValueError, NotFoundError
from semg.store import accounts, checks
from semg.store.accounts import Account
from semg.store.pool import Transaction, execute, one, rows

PREFIX = "semg_"
"""Every token begins with it: a scanner for secrets finds it, and nothing else is looked up."""
MAX_TOKENS = 50


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What is known of a token; the token itself is not."""

    token_id: int
    name: str
    created_at: datetime
    last_used_at: datetime | None


def insert_token(tx: Transaction, account_id: int, name: str) -> str:
    """Make a token of an account, and give it: the only time.

    Raises
    ------
    InvalidValueError
        The name does not fit, or there are too many.
    ConflictError
        The account has a token of this name, or is gone.
    """
    name = checks.name("name", name, 100)
    if len(list_tokens(tx, account_id)) >= MAX_TOKENS:
        raise InvalidValueError("name", f"expected at most {MAX_TOKENS} tokens of an account; revoke one first")
    token = PREFIX + secrets.token_urlsafe(32)
    made = one(
        tx,
        """
        INSERT INTO api_tokens (account_id, name, token_hash) VALUES (%s, %s, %s)
        ON CONFLICT (account_id, name) DO NOTHING RETURNING token_id
        """,
        (account_id, name, _hash(token)),
    )
    if made is None:
        raise ConflictError(f"name: a token called {name!r} exists already; choose another name")
    return token


def list_tokens(tx: Transaction, account_id: int) -> list[ApiToken]:
    """Give the tokens of an account by name."""
    query = "SELECT token_id, name, created_at, last_used_at FROM api_tokens WHERE account_id = %s ORDER BY name"
    found = rows(tx, query, (account_id,))
    return [ApiToken(row.token_id, row.name, row.created_at, row.last_used_at) for row in found]


def delete_token(tx: Transaction, account_id: int, token_id: int) -> None:
    """Revoke a token of an account.

    Raises
    ------
    NotFoundError
        The account has no such token.
    """
    if execute(tx, "DELETE FROM api_tokens WHERE account_id = %s AND token_id = %s", (account_id, token_id)) == 0:
        raise NotFoundError("the token is gone already")


def find_account(tx: Transaction, token: str) -> Account | None:
    """Give the account of a token, and note that it was used; None for an unknown token or a disabled account."""
    if not token.startswith(PREFIX):
        return None
    row = one(tx, "SELECT token_id, account_id FROM api_tokens WHERE token_hash = %s", (_hash(token),))
    if row is None:
        return None
    execute(
        tx,
        """
        UPDATE api_tokens SET last_used_at = now()
        WHERE token_id = %s AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
        """,
        (row.token_id,),
    )
    account = accounts.find_account_by_id(tx, row.account_id)
    return None if account is None or account.disabled_at is not None else account


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
