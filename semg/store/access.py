"""Authorisation: the single module that decides what an account's role and shares allow.

An admin may do everything. A researcher works with the profiles that are the researcher's own or shared with the
researcher; giving one away or erasing it is for its owner. A viewer sees what is shared with the viewer, and changes
nothing: the transactions that a viewer's pages get are read-only (``Pool.read_only``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from semg.domain import Profile
from semg.errors import AccessError, NotFoundError
from semg.store import profiles
from semg.store.accounts import Account
from semg.store.logins import HOLDS
from semg.store.pool import Transaction, execute, one, rows

Right = Literal["see", "work", "own"]
"""``see``: view everything of a profile. ``work``: record, train, change. ``own``: also share and erase."""


def list_visible(tx: Transaction, account: Account) -> list[Profile]:
    """Return the profiles that the account may see, by name, without their notes."""
    if account.role == "admin":
        return profiles.list_profiles(tx)
    return profiles.list_chosen(tx, [row.user_id for row in rows(tx, _VISIBLE, {"account": account.account_id})])


def require(tx: Transaction, account: Account, user_id: int, right: Right = "see") -> None:
    """Refuse what the account may not do with a profile.

    Raises
    ------
    NotFoundError
        There is no such profile, or the account may not know that there is.
    AccessError
        The account sees the profile, and may not do this with it.
    """
    parameters = {"account": account.account_id, "user": user_id, "login": None}
    _judge(one(tx, _STANDING, parameters), account, user_id, right)


def require_there(tx: Transaction, user_id: int) -> None:
    """Refuse a profile that does not exist, for who may do everything.

    Raises
    ------
    NotFoundError
        In the words of ``require``.
    """
    if one(tx, "SELECT 1 FROM profiles WHERE user_id = %s", (user_id,)) is None:
        raise _hidden(user_id)


def require_still(
    tx: Transaction, account: Account, login_id: int, user_id: int | None = None, right: Right = "see"
) -> None:
    """Refuse what an account may not do any more: the caller's copy of it may be outdated.

    One query. Without a profile only the account is checked.

    Parameters
    ----------
    login_id
        The login of the request.

    Raises
    ------
    NotFoundError
        As ``require``.
    AccessError
        The login has ended; the account's role has changed; or as ``require``.
    """
    parameters = {"account": account.account_id, "user": user_id, "login": login_id}
    row = one(tx, _STANDING, parameters)
    if row is None or not row.holds or row.role != account.role:
        raise AccessError("this login has ended, or the account was changed; reload the page")
    if user_id is not None:
        _judge(row, account, user_id, right)


def _judge(row: Any, account: Account, user_id: int, right: Right) -> None:
    is_admin, is_owner = account.role == "admin", row is not None and row.is_owner
    if row is None or not row.is_there or not (is_admin or is_owner or row.shared):
        raise _hidden(user_id)
    if right != "see":
        require_work(account)
    if right == "own" and not (is_admin or is_owner):
        raise AccessError("only a profile's owner or an admin may share or delete it")


def _hidden(user_id: int) -> NotFoundError:
    return NotFoundError(f"there is no profile {user_id} that this account may see")


def require_work(account: Account) -> None:
    """Refuse a viewer.

    Raises
    ------
    AccessError
        The account is read-only.
    """
    if account.role == "viewer":
        raise AccessError("this account has read-only access; an admin can give it the role researcher")


def require_admin(account: Account) -> None:
    """Refuse everybody but an admin.

    Raises
    ------
    AccessError
        The account is no admin.
    """
    if account.role != "admin":
        raise AccessError("only admins may do this; ask one of them")


def set_owner(tx: Transaction, user_id: int, account_id: int | None) -> None:
    """Assign a profile to an account, or to nobody.

    Raises
    ------
    NotFoundError
        There is no such profile.
    """
    if execute(tx, "UPDATE profiles SET owner_id = %s WHERE user_id = %s", (account_id, user_id)) == 0:
        raise NotFoundError(f"there is no profile {user_id}; it may have been deleted")


def find_owner(tx: Transaction, user_id: int) -> int | None:
    """Return the account whose profile this is, or None."""
    row = one(tx, "SELECT owner_id FROM profiles WHERE user_id = %s", (user_id,))
    return None if row is None else row.owner_id


def by_turns_of_owners(tx: Transaction, user_ids: Iterable[int]) -> list[int]:
    """Return those of the profiles that there are: one of each owner, then a second of each, and so on."""
    query = """
        SELECT user_id FROM profiles WHERE user_id = ANY(%s::bigint[])
        ORDER BY row_number() OVER (PARTITION BY owner_id ORDER BY user_id), user_id
    """
    return [row.user_id for row in rows(tx, query, (list(user_ids),))]


def list_shares(tx: Transaction, user_id: int) -> list[int]:
    """Return the accounts that a profile is shared with."""
    query = "SELECT account_id FROM profile_shares WHERE user_id = %s ORDER BY account_id"
    return [row.account_id for row in rows(tx, query, (user_id,))]


def add_share(tx: Transaction, user_id: int, account_id: int) -> None:
    """Share a profile with one more account; one that it is shared with is no error.

    Raises
    ------
    ConflictError
        The profile or the account is gone.
    """
    statement = "INSERT INTO profile_shares (user_id, account_id) VALUES (%s, %s) ON CONFLICT DO NOTHING"
    execute(tx, statement, (user_id, account_id))


def remove_share(tx: Transaction, user_id: int, account_id: int) -> bool:
    """End a share, and return whether there was one."""
    statement = "DELETE FROM profile_shares WHERE user_id = %s AND account_id = %s"
    return execute(tx, statement, (user_id, account_id)) > 0


_STANDING = f"""
    SELECT a.role, p.user_id IS NOT NULL AS is_there, p.owner_id IS NOT DISTINCT FROM a.account_id AS is_owner,
           EXISTS (SELECT FROM profile_shares s WHERE s.user_id = p.user_id AND s.account_id = a.account_id) AS shared,
           EXISTS (SELECT FROM logins l
                   WHERE l.login_id = %(login)s AND l.account_id = a.account_id AND {HOLDS}) AS holds
    FROM accounts a LEFT JOIN profiles p ON p.user_id = %(user)s WHERE a.account_id = %(account)s
"""  # noqa: S608 - a constant
_VISIBLE = """
    SELECT user_id FROM profiles WHERE owner_id = %(account)s
    UNION SELECT user_id FROM profile_shares WHERE account_id = %(account)s
"""
