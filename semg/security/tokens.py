"""Short-lived tokens that a browser presents to the API, for the WebSocket, a video or an archive.

Signed with keys that are derived from ``SECRET_KEY``, one for each purpose (JWT, HS256); ``kid`` in the header names
the root key (``semg.security.keys``). A token serves one purpose, its ``aud``; one made for the WebSocket of a profile
opens nothing else. A token names the login that it was issued for, and ends with it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import jwt

from semg.errors import WireError
from semg.security.keys import KeyRing, Secret, derive, key_id

LIVE, VIDEO, EXPORT, FILE, WEBCAM = "semg-live", "semg-video", "semg-export", "semg-file", "semg-webcam"
SUBPROTOCOL = "semg.v1"
TOKEN_PROTOCOL_PREFIX = "semg.token."  # noqa: S105 - a prefix, not a secret


@dataclass(frozen=True, slots=True)
class Login:
    """One login of an account in one browser, by its number in the table ``logins``."""

    account_id: int
    login_id: int


def make_token(
    secret: Secret, purpose: str, subject: str, life_s: float, login: Login, now_s: float | None = None
) -> str:
    """Return a token for a purpose.

    Its subject is a userid (``LIVE``), a session (``VIDEO``), an archive's name (``EXPORT``), a file's (``FILE``), or
    an account (``WEBCAM``).

    Parameters
    ----------
    login
        Login of the token, which ends with it.
    """
    now = time.time() if now_s is None else now_s
    claims: dict[str, Any] = {
        "aud": purpose,
        "sub": subject,
        "iat": now,
        "exp": now + life_s,
        "account": login.account_id,
        "login": login.login_id,
    }
    ring = KeyRing.of(secret)
    return jwt.encode(claims, _key(ring.current, purpose), "HS256", headers={"kid": ring.current_id.hex()})


def read_login_of(secret: Secret, purpose: str, token: str, subject: str) -> Login:
    """Return the login that a token of a subject was issued for.

    Raises
    ------
    WireError
        With reason ``token``: expired, forged, or issued for another purpose, for another subject, or for no login.
    """
    claims = _claims(secret, purpose, token)
    account_id, login_id = claims.get("account"), claims.get("login")
    if claims["sub"] != subject or type(account_id) is not int or type(login_id) is not int:
        raise WireError("token", f"expected a {purpose} token of a login for this one thing")
    return Login(account_id, login_id)


def is_ours(secret: Secret, purpose: str, token: str) -> bool:
    """Return whether this installation has made a token for a purpose, also one that has expired since."""
    try:
        _claims(secret, purpose, token, may_be_old=True)
    except WireError:
        return False
    return True


def _claims(secret: Secret, purpose: str, token: str, *, may_be_old: bool = False) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _key_of(KeyRing.of(secret), purpose, token),
            ["HS256"],
            audience=purpose,
            options={"require": ["exp", "iat", "sub", "aud"], "verify_exp": not may_be_old},
        )
    except jwt.InvalidTokenError as exc:
        raise WireError("token", f"expected a valid {purpose} token: {exc}") from exc
    return claims


def _key_of(ring: KeyRing, purpose: str, token: str) -> bytes:
    """Return the key that a token names in its header; nothing else of it is used before verification."""
    number = jwt.get_unverified_header(token).get("kid")
    root = next((one for one in ring if key_id(one).hex() == number), None)
    if root is None:
        raise jwt.InvalidTokenError("its key is neither SECRET_KEY nor in SECRET_KEYS_OLD")
    return _key(root, purpose)


def _key(root: str, purpose: str) -> bytes:
    """Refuse to sign without a key."""
    if len(root) < 32:
        raise WireError("token", "SECRET_KEY must have at least 32 characters; start_all.sh generates one in .env")
    return derive(root, f"semg tokens, version 2: {purpose}".encode())
