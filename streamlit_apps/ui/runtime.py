"""What the app works with: settings and a pool, made once for all viewers."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import psutil
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from semg import log
from semg.domain import Profile
from semg.errors import AccessError
from semg.security import private_files, tokens
from semg.security.keys import ring_of
from semg.settings import Settings, get_settings
from semg.store import access
from semg.store.accounts import Account
from semg.store.audit import Actor
from semg.store.pool import Pool, Transaction

POOL_SIZE = 8
GATE_POOL_SIZE, GATE_LOCK_S = 4, 1.0
"""The gate's connections, and how long one of them waits for what somebody else is changing: everybody's requests need
them."""


@dataclass(frozen=True, slots=True)
class App:
    """The settings and the database of this app; of a page, the corner for the profile, and who is logged in.

    ``pool`` is what the account may do with the database: a viewer's refuses every change. ``login_id`` is the login in
    which this page runs.
    """

    settings: Settings
    pool: Pool
    corner: DeltaGenerator | None = None
    account: Account | None = None
    login_id: int = 0

    @property
    def login(self) -> str:
        """The login of who is logged in; empty for nobody."""
        return self.account.login if self.account is not None else ""

    @property
    def actor(self) -> Actor:
        """Who is logged in, for the audit log."""
        return Actor(self.login)

    @property
    def account_id(self) -> int:
        """The number of who is logged in.

        Raises
        ------
        AccessError
            Nobody is logged in.
        """
        return self._logged_in().account_id

    @property
    def is_admin(self) -> bool:
        """Whether an admin is logged in."""
        return self.account is not None and self.account.role == "admin"

    @property
    def may_work(self) -> bool:
        """Whether who is logged in may record, train and change."""
        return self.account is not None and self.account.role != "viewer"

    @property
    def unrestricted(self) -> Pool:
        """The pool for what everybody may change: the own account."""
        return app().pool

    @property
    def login_here(self) -> tokens.Login:
        """The login in which this page runs.

        Raises
        ------
        AccessError
            Nobody is logged in.
        """
        return tokens.Login(self._logged_in().account_id, self.login_id)

    def of(self, account: Account, login_id: int) -> App:
        """Return what the app is for an account in a login."""
        pool = self.pool.read_only() if account.role == "viewer" else self.pool
        return replace(self, account=account, login_id=login_id, pool=pool)

    def token(self, purpose: str, subject: str, life_s: float, now_s: float | None = None) -> str:
        """Return a token that this browser shows to the API; it ends with the login.

        Raises
        ------
        AccessError
            Nobody is logged in.
        """
        return tokens.make_token(ring_of(self.settings), purpose, subject, life_s, self.login_here, now_s)

    def people(self, tx: Transaction) -> list[Profile]:
        """Return the profiles that who is logged in may see, by name."""
        return [] if self.account is None else access.list_visible(tx, self.account)

    def may_own(self, owner_id: int | None) -> bool:
        """Return whether who is logged in may share and erase what belongs to this account."""
        own = self.account is not None and self.account.account_id == owner_id
        return self.is_admin or (self.may_work and own)

    def require(self, tx: Transaction, user_id: int, right: access.Right) -> None:
        """Refuse, with a sentence, what who is logged in may not do with a profile.

        Looks at account and shares anew: what runs by itself, or before its page does, has an older ``App``.
        """
        access.require_still(tx, self._logged_in(), self.login_id, user_id, right)

    def require_login(self, tx: Transaction) -> None:
        """Refuse, with a sentence, a login that has ended or an account that was changed since the page was drawn."""
        access.require_still(tx, self._logged_in(), self.login_id)

    def require_work(self, tx: Transaction) -> None:
        """Refuse, with a sentence, a viewer, and what ``require_login`` does."""
        self.require_login(tx)
        access.require_work(self._logged_in())

    def require_admin(self) -> None:
        """Refuse, with a sentence, everybody but an admin."""
        access.require_admin(self._logged_in())

    def _logged_in(self) -> Account:
        if self.account is None:
            raise AccessError("log in first")
        return self.account


def make_app() -> App:
    """Read the settings and make the pool; tests put their own in this function's place.

    What an app that was killed has left of uploads and exports is removed.
    """
    settings = get_settings()
    log.configure("app", settings.log_level)
    private_files.clear_scratch(settings.data_dir, time.time() - psutil.Process().create_time())
    return App(settings, Pool(settings, size=POOL_SIZE, name="app"))


@st.cache_resource(show_spinner=False)
def app() -> App:
    """Return the app's settings and pool, the same for every viewer."""
    return make_app()


@st.cache_resource(show_spinner=False)
def gate_pool() -> Pool:
    """Return the gate's own pool: who logs in waits for no page."""
    return Pool(app().settings, size=GATE_POOL_SIZE, name="gate").waiting_at_most(GATE_LOCK_S)


def found() -> tuple[Settings, Pool]:
    """Return the app's settings and the gate's pool, for what is no page."""
    return app().settings, gate_pool()
