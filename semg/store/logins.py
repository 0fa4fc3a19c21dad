"""Logins: one row for each browser in which somebody is logged in.

A login holds until its row is gone, it has expired, its person has done nothing for too long, or its account is
disabled. A browser keeps two random secrets of it, both stored as SHA-256: the cookie, and the binding, which pages of
the app's origin only can read (``streamlit_apps/gate``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from semg.errors import ConflictError, InvalidValueError, NotFoundError
from semg.store import accounts, checks
from semg.store.accounts import Account
from semg.store.pool import Transaction, execute, one, rows

Method = Literal["password", "password and code", "passkey", "provider"]
MAX_LOGINS = 50
"""Of one account at the same time; with a further one, the login that was used longest ago ends."""
HOLDS = "l.expires_at > clock_timestamp() AND l.idle_at > clock_timestamp() AND a.disabled_at IS NULL"
"""SQL: whether login ``l`` of account ``a`` holds."""
_COLUMNS = (
    "l.login_id, l.account_id, l.method, l.address, l.agent, l.created_at, l.confirmed_at, l.seen_at, l.expires_at"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRecord:
    """One browser in which somebody is logged in. Times are aware UTC.

    Attributes
    ----------
    method
        How the person was authenticated.
    address, agent
        Where the browser was when it logged in, and what it called itself.
    confirmed_at
        When the person was last authenticated.
    """

    login_id: int
    account_id: int
    method: str
    address: str
    agent: str
    created_at: datetime
    confirmed_at: datetime
    seen_at: datetime
    expires_at: datetime


def hash_secret(secret: str) -> bytes:
    """Return the hash that is stored of a random secret of 256 bits: SHA-256 is as good as a slow hash then."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def insert_login(
    tx: Transaction,
    account_id: int,
    *,
    token: str,
    binding: str,
    method: Method,
    password_hash: str | None = None,
    life_s: float,
    idle_s: float,
    address: str = "",
    agent: str = "",
) -> int:
    """Store a new login, and return its number.

    Parameters
    ----------
    token, binding
        The two secrets that the browser keeps.
    password_hash
        Of the password that was verified: when the account has another one by now, there is no login. A change of
        the password waits for this transaction, or this one for it.
    life_s, idle_s
        Maximum duration, and maximum idle time.

    Raises
    ------
    ConflictError
        The account is gone, or its password was changed meanwhile.
    """
    # The account's row first, as where a password is changed: else two such transactions wait for each other.
    found = one(
        tx,
        """
        SELECT 1 AS ok FROM accounts
        WHERE account_id = %(account)s AND (%(hash)s IS NULL OR password_hash = %(hash)s) FOR SHARE
        """,
        {"account": account_id, "hash": password_hash},
    )
    if found is None:
        raise ConflictError("the account no longer exists, or its password has just changed: log in again")
    execute(tx, "DELETE FROM logins WHERE expires_at < clock_timestamp() OR idle_at < clock_timestamp()")
    execute(
        tx,
        """
        DELETE FROM logins WHERE login_id IN (
            SELECT login_id FROM logins WHERE account_id = %s ORDER BY seen_at DESC OFFSET %s)
        """,
        (account_id, MAX_LOGINS - 1),
    )
    made = one(
        tx,
        """
        INSERT INTO logins (account_id, token_hash, binding_hash, method, address, agent, idle_at, expires_at)
        VALUES (%(account)s, %(token)s, %(binding)s, %(method)s, %(address)s, %(agent)s,
                clock_timestamp() + %(idle)s * interval '1 second', clock_timestamp() + %(life)s * interval '1 second')
        RETURNING login_id
        """,
        {
            "account": account_id,
            "token": hash_secret(token),
            "binding": hash_secret(binding),
            "method": method,
            "address": checks.storable(address)[:100],
            "agent": checks.storable(agent)[:300],
            "idle": idle_s,
            "life": life_s,
        },
    )
    assert made is not None
    return int(made.login_id)


def find_by_secrets(tx: Transaction, token: str, binding: str | None) -> LoginRecord | None:
    """Return the login of a cookie if it holds, or None.

    Parameters
    ----------
    binding
        The browser's other secret; None: only the cookie is checked.
    """
    row = one(
        tx,
        f"""
        SELECT {_COLUMNS}, l.binding_hash FROM logins l JOIN accounts a USING (account_id)
        WHERE l.token_hash = %s AND {HOLDS}
        """,  # noqa: S608
        (hash_secret(token),),
    )
    if row is None or (binding is not None and bytes(row.binding_hash) != hash_secret(binding)):
        return None  # hashes of random secrets: the time of the comparison tells nothing of them
    return _login(row)


def find_login(tx: Transaction, login_id: int) -> LoginRecord | None:
    """Return a login by its number if it holds, or None."""
    query = f"SELECT {_COLUMNS} FROM logins l JOIN accounts a USING (account_id) WHERE l.login_id = %s AND {HOLDS}"  # noqa: S608
    row = one(tx, query, (login_id,))
    return None if row is None else _login(row)


def find_account(tx: Transaction, login_id: int) -> Account | None:
    """Return the account of a login that holds, or None."""
    login = find_login(tx, login_id)
    return None if login is None else accounts.find_account_by_id(tx, login.account_id)


def list_logins(tx: Transaction, account_id: int) -> list[LoginRecord]:
    """Return the logins of an account that hold, the one used last first."""
    query = f"""
        SELECT {_COLUMNS} FROM logins l JOIN accounts a USING (account_id)
        WHERE l.account_id = %s AND {HOLDS} ORDER BY l.seen_at DESC, l.login_id DESC
    """  # noqa: S608
    return [_login(row) for row in rows(tx, query, (account_id,))]


def update_seen(tx: Transaction, login_id: int, idle_s: float) -> None:
    """Record activity of the person: the login does not expire for idleness until ``idle_s`` from now."""
    execute(
        tx,
        """
        UPDATE logins SET seen_at = clock_timestamp(), idle_at = clock_timestamp() + %s * interval '1 second'
        WHERE login_id = %s AND idle_at > clock_timestamp()
        """,
        (idle_s, login_id),
    )


def update_confirmed(tx: Transaction, login_id: int) -> None:
    """Record that the person has just been authenticated again.

    Raises
    ------
    NotFoundError
        The login has ended.
    """
    if execute(tx, "UPDATE logins SET confirmed_at = clock_timestamp() WHERE login_id = %s", (login_id,)) == 0:
        raise NotFoundError("this login has ended; log in again")


def update_unconfirmed(tx: Transaction, login_id: int) -> None:
    """Record that a login was made without fresh authentication, as by a provider that used its own session."""
    execute(tx, "UPDATE logins SET confirmed_at = 'epoch' WHERE login_id = %s", (login_id,))


def is_confirmed(tx: Transaction, login_id: int, within_s: float) -> bool:
    """Return whether the person of a login was authenticated in the last ``within_s`` seconds."""
    if within_s <= 0:
        raise InvalidValueError("within_s", f"expected more than 0 seconds, got {within_s:g}")
    query = "SELECT 1 AS ok FROM logins WHERE login_id = %s AND confirmed_at > clock_timestamp() - %s * interval '1 s'"
    return one(tx, query, (login_id, within_s)) is not None


def delete_login(tx: Transaction, account_id: int, login_id: int) -> bool:
    """End one login of an account; return whether it was there."""
    return execute(tx, "DELETE FROM logins WHERE account_id = %s AND login_id = %s", (account_id, login_id)) > 0


def delete_logins(tx: Transaction, account_id: int, *, keep: int | None = None) -> int:
    """End all logins of an account but one, and return how many ended.

    Parameters
    ----------
    keep
        The login that continues; None: all end.
    """
    query = "DELETE FROM logins WHERE account_id = %s AND login_id IS DISTINCT FROM %s"
    return execute(tx, query, (account_id, keep))


def _login(row: Any) -> LoginRecord:
    return LoginRecord(
        login_id=row.login_id,
        account_id=row.account_id,
        method=row.method,
        address=row.address,
        agent=row.agent,
        created_at=row.created_at,
        confirmed_at=row.confirmed_at,
        seen_at=row.seen_at,
        expires_at=row.expires_at,
    )
