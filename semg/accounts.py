"""Logging in."""

from __future__ import annotations

from datetime import datetime

from semg.errors import LoginError
from semg.passwords import verify_password
from semg.store import accounts
from semg.store.accounts import Account
from semg.store.audit import Actor, record
from semg.store.pool import Pool

REFUSED = (
    "Login or password is wrong, or there were too many wrong tries; "
    "after five of them a login is locked for a while, at most 15 minutes."
)

FORM = Actor(service="login form")
"""Whoever tries a password: nobody knows who it is."""


def log_in(pool: Pool, login: str, password: str, now: datetime) -> Account:
    """Give the account of a login whose password is right.

    A try takes the time of one argon2id verification whether the login exists or not; no connection is held
    meanwhile. A lock is an entry of the audit log: not each try, which anybody can make many of.

    Parameters
    ----------
    now
        Aware UTC; what the lock after failed tries is measured with.

    Raises
    ------
    LoginError
        Unknown login, wrong password, or locked: always the same sentence.
    """
    with pool.transaction() as tx:
        account = accounts.record_failed_login(tx, login, now)
    right, new_hash = verify_password(account.password_hash if account is not None else None, password)
    if account is not None and not right and account.locked_until is not None:
        with pool.transaction() as tx:
            record(tx, FORM, "account.locked", account=account.account_id, tries=account.failed_logins)
    if account is None or not right:
        raise LoginError(REFUSED)
    with pool.transaction() as tx:
        accounts.record_successful_login(tx, account.account_id)
        if new_hash is not None:
            accounts.update_password(tx, account.account_id, new_hash, rehash=True)
        found = accounts.find_account(tx, account.login)
    if found is None:
        raise LoginError(REFUSED)
    return found


def login_holds(account: Account, issued_s: float) -> bool:
    """Tell whether a login that was made at a time (epoch seconds) still holds.

    It ends with the password it was made with, with *log out everywhere*, and when the account is disabled.
    """
    ends = [account.password_changed_at, *([account.logged_out_at] if account.logged_out_at else [])]
    return account.disabled_at is None and all(issued_s >= end.timestamp() for end in ends)
