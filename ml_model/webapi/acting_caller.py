"""A caller of the API as ``semg.commands`` knows who acts: asked in the transaction of what is done."""

from __future__ import annotations

from dataclasses import dataclass, field

from semg.errors import AccessError
from semg.store import access, api_tokens
from semg.store.accounts import Account
from semg.store.audit import Actor
from semg.store.pool import Transaction
from webapi.audit_entries import SERVICE


class AccountOrService:
    """Who calls: an ``account``, or (None) a service with ``SEMG_API_TOKEN``, which may do everything."""

    __slots__ = ()
    account: Account | None

    @property
    def actor(self) -> Actor:
        """Who it is for the audit log."""
        return SERVICE if self.account is None else Actor(self.account.login)

    @property
    def account_id(self) -> int:
        """The account that calls; 0 for a service."""
        return 0 if self.account is None else self.account.account_id


@dataclass(frozen=True, slots=True)
class ActingCaller(AccountOrService):
    """A caller as ``semg.commands`` asks for it, with the token that an account showed."""

    account: Account | None
    token: str = field(default="", repr=False)

    def require(self, tx: Transaction, user_id: int, right: access.Right = "see") -> None:
        """Refuse what the caller may not do with a profile.

        A change asks anew whose the token is: it may have been revoked, or the account's role changed, since the
        request came.

        Raises
        ------
        NotFoundError, AccessError
            As ``Caller.require``; or the token does not hold any more.
        """
        account = self.account
        if account is None:
            access.require_there(tx, user_id)
            return
        if right != "see":
            account = self._account_now(tx)
        access.require(tx, account, user_id, right)

    def require_still(self, tx: Transaction, user_id: int) -> None:
        """Refuse to go on sending what was allowed when the request came; errors as ``require``."""
        account = None if self.account is None else self._account_now(tx)
        if account is None:
            access.require_there(tx, user_id)
        else:
            access.require(tx, account, user_id)

    def _account_now(self, tx: Transaction) -> Account:
        grant = api_tokens.find_grant(tx, self.token, is_use=False)
        if grant is None:
            raise AccessError("this token has been revoked or has expired; make another in the app")
        return grant.account
