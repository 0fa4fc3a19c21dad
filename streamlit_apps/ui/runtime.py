"""What the app works with: settings and a pool, made once for all viewers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from semg import log
from semg.domain import Profile
from semg.errors import AccessError
from semg.settings import Settings, get_settings
from semg.store import access
from semg.store.accounts import Account
from semg.store.pool import Pool, Transaction
from semg.wire import tokens

POOL_SIZE = 8


@dataclass(frozen=True, slots=True)
class App:
    """The settings and the database of this app; of a page, the corner for the profile, and who is logged in.

    ``pool`` is what the account may do with the database: a viewer's refuses every change. ``issued_s`` is when the
    login was made (epoch seconds).
    """

    settings: Settings
    pool: Pool
    corner: DeltaGenerator | None = None
    account: Account | None = None
    issued_s: float = 0.0

    @property
    def login(self) -> str:
        """The login of who is logged in; empty for nobody."""
        return self.account.login if self.account is not None else ""

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

    def of(self, account: Account, issued_s: float = 0.0) -> App:
        """Give what the app is for an account whose login was made at a time."""
        pool = self.pool.read_only() if account.role == "viewer" else self.pool
        return replace(self, account=account, issued_s=issued_s, pool=pool)

    def token(self, purpose: str, subject: str, life_s: float, now_s: float | None = None) -> str:
        """Give a token that this browser shows to the API; it ends with the login.

        Raises
        ------
        AccessError
            Nobody is logged in.
        """
        if self.account is None:
            raise AccessError("log in first")
        secret = self.settings.secret_key.get_secret_value()
        login = tokens.Login(self.account.account_id, self.issued_s)
        return tokens.make_token(secret, purpose, subject, life_s, now_s, login)

    def people(self, tx: Transaction) -> list[Profile]:
        """Give the profiles that who is logged in may see, by name."""
        return [] if self.account is None else access.list_visible(tx, self.account)

    def may_own(self, owner_id: int | None) -> bool:
        """Tell whether who is logged in may share and erase what belongs to this account."""
        own = self.account is not None and self.account.account_id == owner_id
        return self.is_admin or (self.may_work and own)

    def require(self, tx: Transaction, user_id: int, right: access.Right) -> None:
        """Refuse, with a sentence, what who is logged in may not do with a profile."""
        if self.account is None:
            raise AccessError("log in first")
        access.require(tx, self.account, user_id, right)

    def require_admin(self) -> None:
        """Refuse, with a sentence, everybody but an admin."""
        if self.account is None:
            raise AccessError("log in first")
        access.require_admin(self.account)


def make_app() -> App:
    """Read the settings and make the pool; tests put their own in this function's place."""
    settings = get_settings()
    log.configure("app", settings.log_level)
    return App(settings, Pool(settings, size=POOL_SIZE, name="app"))


@st.cache_resource(show_spinner=False)
def app() -> App:
    """Give the app's settings and pool, the same for every viewer."""
    return make_app()
