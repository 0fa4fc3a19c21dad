"""Share a profile with a login entered by its owner.

Nobody but admins sees a list of accounts. Who types a colleague's login has to learn whether it is right: a profile
that seems to be shared, and is not, is worse than what the answer tells. So the answer is plain, the same for a login
that nobody has, one that is disabled, and an admin's (who sees every profile anyway), and an account has ``TRIES``
wrong ones in ``WITHIN_S``: guessing names is slow, and each try is an entry of the audit log.
"""

from __future__ import annotations

from semg.errors import AccessError, InvalidValueError
from semg.store import access, accounts, audit, checks
from semg.store.accounts import Account
from semg.store.audit import Actor
from semg.store.pool import Transaction, execute, one

TRIES = 10
WITHIN_S = 3600.0


def share_with(tx: Transaction, sharer: Account, user_id: int, login: str) -> Account | None:
    """Share a profile with the account of a login; the caller checks the sharer's right beforehand.

    Returns
    -------
    Account or None
        None: nobody has this login, or nothing can be shared with it. That is noted; the transaction must be kept.

    Raises
    ------
    InvalidValueError
        The login is empty, the profile's own account, or one that sees the profile already.
    AccessError
        The sharer has tried too many wrong logins.
    """
    login = checks.name("login", login, 100, is_login=True)
    # Simultaneous attempts of one account are serialised here, and counted.
    execute(tx, "SELECT 1 FROM accounts WHERE account_id = %s FOR UPDATE", (sharer.account_id,))
    if _count_wrong(tx, sharer) >= TRIES:
        limit = f"at most {TRIES} wrong logins are allowed in {WITHIN_S / 3600:g} h"
        raise AccessError(f"ask the person how the login is spelled, and try again later: {limit}")
    found = accounts.find_account(tx, login)
    if found is not None and found.account_id == access.find_owner(tx, user_id):
        raise InvalidValueError("login", f"enter another login: {login!r} already owns this profile")
    if found is not None and found.account_id in access.list_shares(tx, user_id):
        raise InvalidValueError("login", f"enter another login: {login!r} already sees this profile")
    if found is None or found.disabled_at is not None or found.role == "admin":
        audit.record(tx, Actor(sharer.login), "profile.share_refused", user_id)
        return None
    access.add_share(tx, user_id, found.account_id)
    audit.record(tx, Actor(sharer.login), "profile.shared", user_id, account=found.account_id)
    return found


def end_share(tx: Transaction, sharer: Account, user_id: int, account_id: int) -> None:
    """End a share; one that has ended is no error."""
    if access.remove_share(tx, user_id, account_id):
        audit.record(tx, Actor(sharer.login), "profile.unshared", user_id, account=account_id)


def _count_wrong(tx: Transaction, sharer: Account) -> int:
    found = one(
        tx,
        """
        SELECT count(*) AS n FROM audit_entries
        WHERE at > now() - make_interval(secs => %s) AND account_id = %s AND action = 'profile.share_refused'
        """,
        (WITHIN_S, sharer.account_id),
    )
    return 0 if found is None else int(found.n)
