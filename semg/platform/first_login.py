"""The first account of a new installation."""

from __future__ import annotations

from semg.security.passwords import generate_password, hash_password
from semg.settings import Settings
from semg.store import accounts, api_tokens, audit, second_factors
from semg.store.pool import Pool

LOGIN = "admin"
START = audit.Actor(service="start")


def ensure_admin(settings: Settings, *, reset: bool = False) -> str | None:
    """Create the first admin if there is no account at all.

    Parameters
    ----------
    reset
        Set a new password for ``admin`` in any case, and revoke its API tokens; the account is created if missing.

    Returns
    -------
    str or None
        The password, shown once and stored only as a hash; None if nothing was changed.

    Raises
    ------
    StoreError
        The database does not answer.
    """
    pool = Pool(settings, size=1, name="start")
    try:
        with pool.transaction() as tx:
            if accounts.count_accounts(tx) > 0 and not reset:
                return None
            password = generate_password()
            account = accounts.find_account(tx, LOGIN)
            if account is None:
                accounts.insert_account(tx, LOGIN, hash_password(password), "admin")
            else:
                accounts.update_password(tx, account.account_id, hash_password(password))
                audit.record(tx, START, "account.password_changed", account=account.account_id)
                api_tokens.revoke_tokens(tx, account.account_id, START)
                second_factors.delete_all(tx, account.account_id)
            return password
    finally:
        pool.close()
