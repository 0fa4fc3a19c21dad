"""Identities from an OpenID Connect provider, and their accounts.

Only issuer and subject count: names and addresses of mail change, and are given to other people.
"""

from __future__ import annotations

from semg.names.characters import hides
from semg.store import accounts, checks
from semg.store.accounts import Account
from semg.store.pool import Transaction, execute, one

MAX_LOGIN = 90
"""Of a login that is made from what the provider says; room is left for a number behind it."""


def find_account(tx: Transaction, issuer: str, subject: str) -> Account | None:
    """Return the account of an identity, or None."""
    row = one(tx, "SELECT account_id FROM account_identities WHERE issuer = %s AND subject = %s", (issuer, subject))
    return None if row is None else accounts.find_account_by_id(tx, row.account_id)


def insert_account(tx: Transaction, issuer: str, subject: str, login: str) -> Account:
    """Create the account of an identity: a viewer without a password and without shares.

    Parameters
    ----------
    login
        What the provider calls the person; characters that do not show are left out, and when another account has
        this login, a number is added.
    """
    wanted = _fitting(login) or "guest"
    number, chosen = 1, wanted
    while accounts.find_account(tx, chosen) is not None:
        number += 1
        chosen = f"{wanted}-{number}"
    account_id = accounts.insert_account(tx, chosen, "", "viewer")
    # There is no password: a login that began before the account was made, at the provider, holds.
    execute(tx, "UPDATE accounts SET password_changed_at = 'epoch' WHERE account_id = %s", (account_id,))
    execute(
        tx,
        "INSERT INTO account_identities (issuer, subject, account_id) VALUES (%s, %s, %s)",
        (issuer, subject, account_id),
    )
    account = accounts.find_account_by_id(tx, account_id)
    assert account is not None
    return account


def _fitting(login: str) -> str:
    """Return as much of a text as can be a login; a provider's names are not the person's to mend here."""
    printable = "".join(letter for letter in checks.normalised(login) if letter.isprintable() and not hides(letter))
    cut = printable[:MAX_LOGIN].strip()
    return "" if hides(cut) else cut
