"""Codes of an authenticator app (TOTP, RFC 6238: SHA-1, 30 s, six digits), and single-use recovery codes."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime

import pyotp

from semg.errors import LoginError
from semg.security import field_encryption
from semg.security.keys import Secret
from semg.store import second_factors
from semg.store.pool import Pool, Transaction

STEP_S = 30
STEPS_ASIDE = 1
"""A code is taken one step before and after its own: clocks differ (RFC 6238, section 5.2)."""
RECOVERY_CODES = 10
ISSUER = "sEMG gestures"
WRONG = "The code is wrong or was used before. Wait for your app to show the next one, and enter that."
LOCKED = "There were too many wrong codes. Wait 15 minutes, then log in again."
_PURPOSE = b"semg totp secret"
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_CODE = re.compile(r"[0-9]{6}")


def new_secret() -> str:
    """Return a new random secret of 160 bits, in base 32."""
    return pyotp.random_base32()


def address_of(secret: str, login: str) -> str:
    """Return the ``otpauth:`` address that an authenticator app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)


def add(tx: Transaction, keys: Secret, account_id: int, secret: str, code: str, now: datetime) -> list[str]:
    """Store an authenticator app after a correct code, and return the recovery codes, which are not shown again.

    Raises
    ------
    LoginError
        The code is wrong.
    """
    step = _matching_step(secret, code, now)
    if step is None:
        raise LoginError(WRONG)
    codes = ["-".join(_group() for _ in range(3)) for _ in range(RECOVERY_CODES)]
    stored = field_encryption.encrypt(keys, _PURPOSE, _owner(account_id), secret.encode())
    second_factors.insert_totp(tx, account_id, stored, step, [_hash(code) for code in codes])
    return codes


def check(pool: Pool, keys: Secret, account_id: int, code: str, now: datetime) -> None:
    """Verify a code of the app, or a recovery code, of an account that has an app. Each is accepted once.

    Wrong codes are counted separately from wrong passwords: nobody without the password can lock them.

    Raises
    ------
    LoginError
        It is wrong, or was used before; or there were too many wrong ones.
    """
    with pool.transaction() as tx:
        if not second_factors.record_wrong_code(tx, account_id, now):
            raise LoginError(LOCKED)
    with pool.transaction() as tx:
        _take(tx, keys, account_id, code, now)
        second_factors.forget_wrong_codes(tx, account_id)


def _take(tx: Transaction, keys: Secret, account_id: int, code: str, now: datetime) -> None:
    stored = second_factors.find_totp(tx, account_id)
    if stored is not None:
        secret = field_encryption.decrypt(keys, _PURPOSE, _owner(account_id), stored).decode()
        step = _matching_step(secret, code, now)
        if step is not None and second_factors.use_totp_step(tx, account_id, step):
            return
        if second_factors.use_recovery_code(tx, account_id, _hash(code)):
            return
    raise LoginError(WRONG)


def reencrypt_secret(keys: Secret, account_id: int, stored: bytes) -> bytes:
    """Re-encrypt the stored secret of an app with the current key."""
    plain = field_encryption.decrypt(keys, _PURPOSE, _owner(account_id), stored)
    return field_encryption.encrypt(keys, _PURPOSE, _owner(account_id), plain)


def _matching_step(secret: str, code: str, now: datetime) -> int | None:
    """Return the time step of a code, or None if it is wrong."""
    digits = code.replace(" ", "")
    if not _CODE.fullmatch(digits):
        return None
    here, made = int(now.timestamp()) // STEP_S, pyotp.TOTP(secret)
    for step in range(here - STEPS_ASIDE, here + STEPS_ASIDE + 1):
        if secrets.compare_digest(made.generate_otp(step), digits):
            return step
    return None


def _group() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(5))


def _hash(code: str) -> bytes:
    """Return the hash of a recovery code, which has 74 random bits; attempts are throttled."""
    plain = re.sub(r"[\s-]", "", code).lower()
    return hashlib.sha256(plain.encode("utf-8", "replace")).digest()


def _owner(account_id: int) -> bytes:
    return b"account %d" % account_id
