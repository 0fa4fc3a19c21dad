"""Logins for tests: made in the store, without a form."""

from __future__ import annotations

import secrets

from semg.security.login import NewLogin
from semg.security.tokens import Login
from semg.store import logins
from semg.store.pool import Pool


def new_login(pool: Pool, account_id: int, *, life_s: float = 3600.0, idle_s: float = 3600.0) -> NewLogin:
    """Make a login of an account with the two secrets that a browser would keep."""
    token, binding = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    with pool.transaction() as tx:
        login_id = logins.insert_login(
            tx, account_id, token=token, binding=binding, method="password", life_s=life_s, idle_s=idle_s
        )
    return NewLogin(Login(account_id, login_id), token, binding)


def make_login(pool: Pool, account_id: int, *, life_s: float = 3600.0, idle_s: float = 3600.0) -> Login:
    """Make a login of an account."""
    return new_login(pool, account_id, life_s=life_s, idle_s=idle_s).login
