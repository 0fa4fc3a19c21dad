"""Second factors and alternatives to a password: codes of an authenticator app, and passkeys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from semg.errors import ConflictError, InvalidValueError, NotFoundError
from semg.store import accounts, checks
from semg.store.pool import Transaction, execute, one, rows

MAX_PASSKEYS = 20
_COLUMNS = "passkey_id, account_id, name, rp_id, credential_id, public_key, sign_count, added_at, used_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A WebAuthn credential of an account."""

    passkey_id: int
    account_id: int
    name: str
    rp_id: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    added_at: datetime
    used_at: datetime | None


def find_totp(tx: Transaction, account_id: int) -> bytes | None:
    """Return the encrypted secret of an account's authenticator app, or None."""
    row = one(tx, "SELECT secret FROM totp_factors WHERE account_id = %s", (account_id,))
    return None if row is None else bytes(row.secret)


def list_totp(tx: Transaction) -> list[tuple[int, bytes]]:
    """Return the encrypted secrets of all authenticator apps, each with its account."""
    found = rows(tx, "SELECT account_id, secret FROM totp_factors ORDER BY account_id")
    return [(row.account_id, bytes(row.secret)) for row in found]


def replace_encrypted(tx: Transaction, account_id: int, before: bytes, after: bytes) -> bool:
    """Store a secret that was re-encrypted, if it is still what was read; return whether it was."""
    query = "UPDATE totp_factors SET secret = %s WHERE account_id = %s AND secret = %s"
    return execute(tx, query, (after, account_id, before)) > 0


def insert_totp(
    tx: Transaction, account_id: int, secret: bytes, last_step: int, recovery_hashes: Sequence[bytes]
) -> None:
    """Store an authenticator app with the codes that replace it; an earlier one of the account is replaced.

    Parameters
    ----------
    secret
        Encrypted.
    last_step
        The time step of the code that proved that the app works.
    """
    delete_totp(tx, account_id)
    execute(
        tx,
        "INSERT INTO totp_factors (account_id, secret, last_step) VALUES (%s, %s, %s)",
        (account_id, secret, last_step),
    )
    for code_hash in recovery_hashes:
        execute(tx, "INSERT INTO recovery_codes (account_id, code_hash) VALUES (%s, %s)", (account_id, code_hash))


def record_wrong_code(tx: Transaction, account_id: int, now: datetime) -> bool:
    """Count a code as wrong before it is checked; return False when codes of the account are locked.

    A lock lasts as one after wrong passwords does (``accounts.lock_s``); ``forget_wrong_codes`` undoes it.
    """
    row = one(tx, "SELECT wrong_codes, locked_until FROM totp_factors WHERE account_id = %s FOR UPDATE", (account_id,))
    if row is None:
        return True
    if row.locked_until is not None and row.locked_until > now:
        return False
    lock_s = accounts.lock_s(row.wrong_codes)
    until = now + timedelta(seconds=lock_s) if lock_s else None
    statement = "UPDATE totp_factors SET wrong_codes = wrong_codes + 1, locked_until = %s WHERE account_id = %s"
    execute(tx, statement, (until, account_id))
    return True


def forget_wrong_codes(tx: Transaction, account_id: int) -> None:
    """Forget the wrong codes of an account."""
    execute(tx, "UPDATE totp_factors SET wrong_codes = 0, locked_until = NULL WHERE account_id = %s", (account_id,))


def use_totp_step(tx: Transaction, account_id: int, step: int) -> bool:
    """Use up a time step; return whether no code of it or of a later one was used before."""
    query = "UPDATE totp_factors SET last_step = %s WHERE account_id = %s AND last_step < %s"
    return execute(tx, query, (step, account_id, step)) > 0


def use_recovery_code(tx: Transaction, account_id: int, code_hash: bytes) -> bool:
    """Use up a recovery code; return whether there was such a one."""
    query = "DELETE FROM recovery_codes WHERE account_id = %s AND code_hash = %s"
    return execute(tx, query, (account_id, code_hash)) > 0


def count_recovery_codes(tx: Transaction, account_id: int) -> int:
    """Return how many recovery codes are left."""
    row = one(tx, "SELECT count(*) AS n FROM recovery_codes WHERE account_id = %s", (account_id,))
    return 0 if row is None else int(row.n)


def delete_totp(tx: Transaction, account_id: int) -> bool:
    """Remove the authenticator app of an account with its recovery codes; return whether there was one."""
    execute(tx, "DELETE FROM recovery_codes WHERE account_id = %s", (account_id,))
    return execute(tx, "DELETE FROM totp_factors WHERE account_id = %s", (account_id,)) > 0


def insert_passkey(
    tx: Transaction,
    account_id: int,
    name: str,
    *,
    rp_id: str,
    credential_id: bytes,
    public_key: bytes,
    sign_count: int,
) -> int:
    """Store a passkey, and return its number.

    Raises
    ------
    InvalidValueError
        The name does not fit, or there are too many.
    ConflictError
        Somebody has this passkey.
    """
    name = checks.name("name", name, 100)
    if len(list_passkeys(tx, account_id)) >= MAX_PASSKEYS:
        raise InvalidValueError("name", f"remove a passkey first: an account has at most {MAX_PASSKEYS}")
    made = one(
        tx,
        """
        INSERT INTO passkeys (account_id, name, rp_id, credential_id, public_key, sign_count)
        VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (credential_id) DO NOTHING RETURNING passkey_id
        """,
        (account_id, name, rp_id, credential_id, public_key, sign_count),
    )
    if made is None:
        raise ConflictError("this passkey has already been added")
    return int(made.passkey_id)


def list_passkeys(tx: Transaction, account_id: int) -> list[Passkey]:
    """Return the passkeys of an account in the order in which they were added."""
    query = f"SELECT {_COLUMNS} FROM passkeys WHERE account_id = %s ORDER BY passkey_id"  # noqa: S608
    return [_passkey(row) for row in rows(tx, query, (account_id,))]


def find_passkey(tx: Transaction, credential_id: bytes) -> Passkey | None:
    """Return a passkey by its credential id, locked until the transaction ends, or None."""
    query = f"SELECT {_COLUMNS} FROM passkeys WHERE credential_id = %s FOR UPDATE"  # noqa: S608
    row = one(tx, query, (credential_id,))
    return None if row is None else _passkey(row)


def update_passkey_used(tx: Transaction, passkey_id: int, sign_count: int) -> None:
    """Record the use of a passkey, and its signature counter."""
    query = "UPDATE passkeys SET sign_count = %s, used_at = clock_timestamp() WHERE passkey_id = %s"
    execute(tx, query, (sign_count, passkey_id))


def delete_passkey(tx: Transaction, account_id: int, passkey_id: int) -> None:
    """Remove a passkey of an account.

    Raises
    ------
    NotFoundError
        The account has no such passkey.
    """
    if execute(tx, "DELETE FROM passkeys WHERE account_id = %s AND passkey_id = %s", (account_id, passkey_id)) == 0:
        raise NotFoundError("this passkey has already been removed")


def delete_all(tx: Transaction, account_id: int) -> None:
    """Remove every second factor of an account, when its owner has lost them."""
    delete_totp(tx, account_id)
    execute(tx, "DELETE FROM passkeys WHERE account_id = %s", (account_id,))


def _passkey(row: Any) -> Passkey:
    return Passkey(
        passkey_id=row.passkey_id,
        account_id=row.account_id,
        name=row.name,
        rp_id=row.rp_id,
        credential_id=bytes(row.credential_id),
        public_key=bytes(row.public_key),
        sign_count=row.sign_count,
        added_at=row.added_at,
        used_at=row.used_at,
    )
