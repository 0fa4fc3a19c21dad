"""Logging in."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from datetime import UTC, datetime, timedelta

from semg import passwords
from semg.errors import LoginError
from semg.store import accounts
from semg.store.accounts import Account
from semg.store.audit import Actor, record
from semg.store.pool import Pool, Transaction
from semg.wire.tokens import Login

REFUSED = (
    "Login or password is wrong, or there were too many wrong tries; "
    "after five of them a login is locked for a while, at most 15 minutes."
)
UNKNOWN_PLACES = 1 << 16

FORM = Actor(service="login form")
"""Whoever tries a password: nobody knows who it is."""


class UnknownLogins:
    """Locks logins that nobody has as the database locks those that somebody has, so that nobody can tell them apart.

    Remembered in ``UNKNOWN_PLACES`` places at most; two logins that share one are locked together, which harms nobody:
    neither has an account. Safe to use from threads.
    """

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(16)
        self._tries: dict[int, tuple[int, datetime | None]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Give how many places are taken."""
        return len(self._tries)

    def is_locked(self, login: str, now: datetime) -> bool:
        """Count a try as failed, and tell whether it came while the login was locked; then it does not count."""
        digest = hashlib.blake2b(login.encode("utf-8", "replace"), key=self._salt, digest_size=8).digest()
        place = int.from_bytes(digest) % UNKNOWN_PLACES
        with self._lock:
            failed, until = self._tries.get(place, (0, None))
            if until is not None and until > now:
                return True
            lock_s = accounts.lock_s(failed)
            self._tries[place] = (failed + 1, now + timedelta(seconds=lock_s) if lock_s else None)
        return False


_UNKNOWN = UnknownLogins()


def log_in(pool: Pool, login: str, password: str, now: datetime, unknown: UnknownLogins = _UNKNOWN) -> Account:
    """Give the account of a login whose password is right.

    A try takes the time of one argon2id verification whether the login exists or not, and none while it is locked; no
    connection is held meanwhile. ``passwords.AT_ONCE`` tries are looked at at the same time, others wait. A lock is an
    entry of the audit log: not each try, which anybody can make many of.

    Parameters
    ----------
    now
        Aware UTC; what the lock after failed tries is measured with.
    unknown
        Remembers the tries of logins that nobody has.

    Raises
    ------
    LoginError
        Unknown login, wrong password, or locked: always the same sentence. Or too many tries wait: nothing was
        looked at, and nothing counts.
    """
    with passwords.turn():
        with pool.transaction() as tx:
            known = accounts.find_account(tx, login)
            account = accounts.record_failed_login(tx, login, now)
        nobodys = known is None or known.disabled_at is not None
        if account is None and (not nobodys or unknown.is_locked(login, now)):
            raise LoginError(REFUSED)
        right, new_hash = passwords.verify_password(account.password_hash if account is not None else None, password)
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
    """Tell whether the account still lets a login in that was made at a time (epoch seconds).

    It ends with the password it was made with, with *log out everywhere*, and when the account is disabled.
    """
    ends = [account.password_changed_at, *([account.logged_out_at] if account.logged_out_at else [])]
    return account.disabled_at is None and all(issued_s >= end.timestamp() for end in ends)


def find_logged_in(tx: Transaction, login: Login, login_s: float, now_s: float | None = None) -> Account | None:
    """Give the account of a login, or None when the login holds no more.

    It ends as ``login_holds`` says, by logging out of it, and after ``LOGIN_S``.

    Parameters
    ----------
    login_s
        ``LOGIN_S``.
    now_s
        Epoch seconds; this moment when not given.
    """
    if (time.time() if now_s is None else now_s) >= login.issued_s + login_s:
        return None
    account = accounts.find_account_by_id(tx, login.account_id)
    if account is None or not login_holds(account, login.issued_s):
        return None
    return None if accounts.is_login_ended(tx, login.account_id, login.issued_s) else account


def end_login(tx: Transaction, login: Login, login_s: float) -> None:
    """End one login for good, in whatever browser its cookie is shown."""
    forget_at = datetime.fromtimestamp(login.issued_s + login_s, UTC) + timedelta(minutes=1)
    accounts.end_login(tx, login.account_id, login.issued_s, forget_at)
