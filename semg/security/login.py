"""Logging in: the password, the throttle of wrong tries, and the login that a browser keeps afterwards."""

from __future__ import annotations

import hashlib
import math
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from semg.errors import LoginError
from semg.security import passwords
from semg.security.rate_limit import RateLimiter
from semg.security.tokens import Login
from semg.settings import Settings
from semg.store import accounts, checks, logins
from semg.store.accounts import Account
from semg.store.audit import Actor, record
from semg.store.pool import Pool, Transaction

REFUSED = (
    "The login or password is wrong, or there were too many failed attempts; "
    "after five, a login is locked for up to 15 minutes."
)
UNKNOWN_SLOTS = 1 << 16
WRONG_TRIES_PER_S, WRONG_TRIES_AT_ONCE = 1 / 30, 20
"""Of one address, over all logins: enough for a laboratory behind one address, too few to try one password on many."""

FORM = Actor(service="login form")
"""Actor of an attempted login, whose identity is unknown."""


class AddressLimitedError(LoginError):
    """An address has made too many wrong attempts: the password was not checked."""


class UnknownLogins:
    """Locks unknown logins as the database locks existing ones, so that the two are indistinguishable.

    Remembered in ``UNKNOWN_SLOTS`` slots at most; two logins that share one are locked together, which harms nobody:
    neither has an account. Safe to use from threads.
    """

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(16)
        self._tries: dict[int, tuple[int, datetime | None]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many slots are taken."""
        return len(self._tries)

    def is_locked(self, login: str, now: datetime) -> bool:
        """Count a try as failed, and return whether it came while the login was locked; then it does not count."""
        normalised = checks.normalised(
            login
        )  # as for accounts: otherwise another spelling of a login would be distinguishable
        digest = hashlib.blake2b(normalised.encode("utf-8", "replace"), key=self._salt, digest_size=8).digest()
        slot = int.from_bytes(digest) % UNKNOWN_SLOTS
        with self._lock:
            failed, until = self._tries.get(slot, (0, None))
            if until is not None and until > now:
                return True
            lock_s = accounts.lock_s(failed)
            self._tries[slot] = (failed + 1, now + timedelta(seconds=lock_s) if lock_s else None)
        return False


class WrongTries:
    """Counts wrong attempts by address, for all logins together: against one password tried on many logins.

    Safe to use from threads.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate_limiter = RateLimiter(WRONG_TRIES_PER_S, clock, burst_s=WRONG_TRIES_AT_ONCE / WRONG_TRIES_PER_S)
        self._lock = threading.Lock()

    def begin(self, address: str) -> None:
        """Count an attempt as wrong before it is checked, so that simultaneous attempts cannot bypass the limit.

        Raises
        ------
        AddressLimitedError
            The address has made too many.
        """
        with self._lock:
            wait_s = self._rate_limiter.wait_s(address)
        if wait_s > 0:
            raise AddressLimitedError(
                f"There were too many failed attempts from your address. Wait {math.ceil(wait_s)} s, then try again."
            )

    def was_right(self, address: str) -> None:
        """Forget a try that was right."""
        with self._lock:
            self._rate_limiter.give_back(address)


@dataclass(frozen=True, slots=True)
class Throttle:
    """What wrong tries are counted with, for as long as the process runs."""

    unknown: UnknownLogins = field(default_factory=UnknownLogins)
    by_address: WrongTries = field(default_factory=WrongTries)


_THROTTLE = Throttle()


def verify_login(
    pool: Pool,
    login: str,
    password: str,
    now: datetime,
    address: str = "",
    throttle: Throttle = _THROTTLE,
    *,
    inside: int | None = None,
) -> Account:
    """Return the account of a login whose password is right.

    An attempt takes the time of one argon2id verification whether the login exists or not, and none while it is locked;
    no connection is held meanwhile. ``passwords.AT_ONCE`` attempts are verified at the same time, others wait. A lock
    is an entry of the audit log, but not each attempt, because anybody can make many.

    Parameters
    ----------
    now
        Aware UTC; the time from which a lock after failed attempts is measured.
    address
        Address of the client; empty for somebody who is logged in already, and is not counted by address.
    throttle
        Counts wrong attempts.
    inside
        The account that asks, when it is logged in; then the login form keeps a turn of its own.

    Raises
    ------
    LoginError
        Unknown login, wrong password, or locked: always the same sentence. Or the address made too many wrong attempts,
        or too many attempts wait: then the password was not verified, and nothing is counted for the login.
    """
    if address:
        throttle.by_address.begin(address)
    try:
        account = _check(pool, login, password, now, throttle.unknown, inside)
    except LoginError as exc:
        if str(exc) in passwords.UNCHECKED:
            throttle.by_address.was_right(address)
        raise
    throttle.by_address.was_right(address)
    return account


def _check(
    pool: Pool, login: str, password: str, now: datetime, unknown: UnknownLogins, inside: int | None
) -> Account:  # fmt: skip
    with passwords.turn() if inside is None else passwords.INSIDE.turn(inside):
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
            accounts.update_hash(tx, account.account_id, new_hash, before=account.password_hash)
        found = accounts.find_account(tx, account.login)
    if found is None or found.password_hash not in (account.password_hash, new_hash):
        raise LoginError(REFUSED)  # the password was changed meanwhile
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """Where a login is made: the address, and what the browser calls itself."""

    address: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class NewLogin:
    """A login that was just made, with the two secrets that its browser keeps; only their hashes are stored."""

    login: Login
    token: str
    binding: str


def open_login(
    tx: Transaction, account: Account, method: logins.Method, settings: Settings, browser: Browser
) -> NewLogin:
    """Make a login of an account, which lasts ``LOGIN_S`` at most and ``LOGIN_IDLE_S`` without an act of the person."""
    token, binding = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    login_id = logins.insert_login(
        tx,
        account.account_id,
        token=token,
        binding=binding,
        method=method,
        password_hash=account.password_hash if method in ("password", "password and code") else None,
        life_s=settings.login_s,
        idle_s=settings.login_idle_s,
        address=browser.address,
        agent=browser.agent,
    )
    record(tx, Actor(account.login), "login.ok", login=login_id)
    return NewLogin(Login(account.account_id, login_id), token, binding)


def find_logged_in(tx: Transaction, login: Login) -> Account | None:
    """Return the account of a login, or None when the login holds no more (``semg.store.logins``)."""
    account = logins.find_account(tx, login.login_id)
    return account if account is not None and account.account_id == login.account_id else None


def end_login(tx: Transaction, login: Login) -> None:
    """End one login for good, in whatever browser its cookie is shown."""
    account = accounts.find_account_by_id(tx, login.account_id)
    if logins.delete_login(tx, login.account_id, login.login_id) and account is not None:
        record(tx, Actor(account.login), "login.ended", login=login.login_id)
