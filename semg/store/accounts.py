"""Accounts and the throttle of their logins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from semg.errors import ConflictError, InvalidValueError, NotFoundError
from semg.store import checks
from semg.store.pool import Transaction, execute, one, rows

FREE_TRIES = 4
"""The next failure after these locks the account."""
FIRST_LOCK_S = 15.0
MAX_LOCK_S = 900.0
"""Every further failure doubles the lock up to this: guessing is slow, the owner is never shut out for long."""

ROLES = ("admin", "researcher", "viewer")
_COLUMNS = (
    "account_id, login, password_hash, role, password_changed_at, failed_logins, locked_until, disabled_at, preferences"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account of somebody who logs in."""

    account_id: int
    login: str
    password_hash: str
    role: str
    password_changed_at: datetime
    failed_logins: int = 0
    locked_until: datetime | None = None
    disabled_at: datetime | None = None
    preferences: Mapping[str, Any] = field(default_factory=dict, hash=False)


def find_account(tx: Transaction, login: str) -> Account | None:
    """Return the account of a login, or None."""
    wanted = checks.normalised(checks.storable(login))
    row = one(tx, f"SELECT {_COLUMNS} FROM accounts WHERE login = %s", (wanted,))  # noqa: S608
    return None if row is None else _account(row)


def find_account_by_id(tx: Transaction, account_id: int) -> Account | None:
    """Return an account by its number, or None."""
    row = one(tx, f"SELECT {_COLUMNS} FROM accounts WHERE account_id = %s", (account_id,))  # noqa: S608
    return None if row is None else _account(row)


def list_accounts(tx: Transaction) -> list[Account]:
    """Return all accounts by login."""
    return [_account(row) for row in rows(tx, f"SELECT {_COLUMNS} FROM accounts ORDER BY login")]  # noqa: S608


def count_accounts(tx: Transaction) -> int:
    """Return how many accounts there are."""
    row = one(tx, "SELECT count(*) AS n FROM accounts")
    return 0 if row is None else int(row.n)


def insert_account(tx: Transaction, login: str, password_hash: str, role: str = "admin") -> int:
    """Create an account, and return its number.

    Raises
    ------
    InvalidValueError
        The login or the role does not fit.
    ConflictError
        The login is taken.
    """
    login = checks.name("login", login, 100, is_login=True)
    if role not in ROLES:
        raise InvalidValueError("role", f"choose one of the roles {', '.join(ROLES)} (now {role!r})")
    made = one(
        tx,
        """
        INSERT INTO accounts (login, password_hash, role) VALUES (%s, %s, %s)
        ON CONFLICT (login) DO NOTHING RETURNING account_id
        """,
        (login, password_hash, role),
    )
    if made is None:
        raise ConflictError(f"choose another login: {login!r} already exists")
    return int(made.account_id)


def update_hash(tx: Transaction, account_id: int, password_hash: str, *, before: str) -> None:
    """Store a newer hash of the same password; nothing when the password was changed meanwhile."""
    execute(
        tx,
        "UPDATE accounts SET password_hash = %s WHERE account_id = %s AND password_hash = %s",
        (password_hash, account_id, before),
    )


def update_password(tx: Transaction, account_id: int, password_hash: str, *, keep_login: int | None = None) -> None:
    """Store a new hash; a new password also ends a lock and the account's logins.

    Parameters
    ----------
    keep_login
        The login in which the password was changed stays valid.

    Raises
    ------
    NotFoundError
        There is no such account.
    """
    changed = execute(
        tx,
        """
        UPDATE accounts SET password_hash = %s, password_changed_at = clock_timestamp(), failed_logins = 0,
            locked_until = NULL
        WHERE account_id = %s
        """,
        (password_hash, account_id),
    )
    if changed == 0:
        raise NotFoundError(f"there is no account {account_id}")
    execute(tx, "DELETE FROM logins WHERE account_id = %s AND login_id IS DISTINCT FROM %s", (account_id, keep_login))


def update_account(tx: Transaction, account_id: int, *, role: str, disabled: bool) -> None:
    """Change the role of an account, and disable or enable it; a disabled one is logged out everywhere.

    Raises
    ------
    NotFoundError
        There is no such account.
    ConflictError
        Nobody would be left who can manage accounts.
    """
    if role not in ROLES:
        raise InvalidValueError("role", f"choose one of the roles {', '.join(ROLES)} (now {role!r})")
    if role != "admin" or disabled:
        _require_another_admin(tx, account_id)
    changed = execute(
        tx,
        """
        UPDATE accounts SET role = %(role)s,
            disabled_at = CASE WHEN %(disabled)s THEN coalesce(disabled_at, clock_timestamp()) END
        WHERE account_id = %(account)s
        """,
        {"role": role, "disabled": disabled, "account": account_id},
    )
    if changed == 0:
        raise NotFoundError(f"there is no account {account_id}")
    if disabled:
        execute(tx, "DELETE FROM logins WHERE account_id = %s", (account_id,))


def delete_account(tx: Transaction, account_id: int) -> None:
    """Delete an account with its tokens and shares; the profiles that it made are nobody's then.

    Raises
    ------
    NotFoundError
        There is no such account.
    ConflictError
        Nobody would be left who can manage accounts.
    """
    _require_another_admin(tx, account_id)
    if execute(tx, "DELETE FROM accounts WHERE account_id = %s", (account_id,)) == 0:
        raise NotFoundError(f"there is no account {account_id}")


def _require_another_admin(tx: Transaction, account_id: int) -> None:
    """Refuse to lose the last admin; two who lose each other at the same moment wait for one another here."""
    found = rows(
        tx,
        "SELECT account_id FROM accounts WHERE role = 'admin' AND disabled_at IS NULL ORDER BY account_id FOR UPDATE",
    )
    admins = {row.account_id for row in found}
    if admins == {account_id}:
        raise ConflictError("add another admin first: this is the last admin")


def lock_s(failed: int) -> float:
    """Return for how long the next failure after a number of failures locks a login, s; 0: not at all."""
    return min(MAX_LOCK_S, FIRST_LOCK_S * 2.0 ** min(failed - FREE_TRIES, 30)) if failed >= FREE_TRIES else 0.0


def record_failed_login(tx: Transaction, login: str, now: datetime) -> Account | None:
    """Count an attempt as failed, and return its account; None when there is none, or it is locked.

    Called before the password is checked, and undone by ``record_successful_login``: many tries at the same
    moment cannot slip under the throttle together.
    """
    row = one(
        tx,
        f"""
        UPDATE accounts SET failed_logins = failed_logins + 1,
            locked_until = CASE WHEN failed_logins >= %(free)s
                THEN %(now)s + interval '1 second'
                     * least(%(most)s, %(first)s * 2 ^ least(failed_logins - %(free)s, 30)) END
        WHERE login = %(login)s AND disabled_at IS NULL AND (locked_until IS NULL OR locked_until <= %(now)s)
        RETURNING {_COLUMNS}
        """,  # noqa: S608
        {
            "login": checks.normalised(checks.storable(login)),
            "now": checks.aware("now", now),
            "free": FREE_TRIES,
            "first": FIRST_LOCK_S,
            "most": MAX_LOCK_S,
        },
    )
    return None if row is None else _account(row)


def record_successful_login(tx: Transaction, account_id: int) -> None:
    """Reset the failed attempts of an account."""
    execute(tx, "UPDATE accounts SET failed_logins = 0, locked_until = NULL WHERE account_id = %s", (account_id,))


def _account(row: Any) -> Account:
    return Account(
        account_id=row.account_id,
        login=row.login,
        password_hash=row.password_hash,
        role=row.role,
        password_changed_at=row.password_changed_at,
        failed_logins=row.failed_logins,
        locked_until=row.locked_until,
        disabled_at=row.disabled_at,
        preferences=row.preferences,
    )
