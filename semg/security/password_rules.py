"""Rules for passwords: short and easily guessed ones are refused (NIST SP 800-63B, 3.1.1.2).

No rule about kinds of characters: they make passwords that are hard to remember and no harder to guess. How many tries
a password takes is estimated by zxcvbn from its lists of common passwords, names and words, keyboard runs, dates and
repeats, which are in the package: no network access is needed.
"""

from __future__ import annotations

import re

from semg.errors import InvalidValueError

MIN_LENGTH = 10
MAX_LENGTH = 1024
MIN_GUESSES = 10**8
"""zxcvbn's score 3: safe from guessing at a throttled login, and not found at once where only the hash is known."""
LOOKED_AT = 24
"""Characters that are estimated: the time rises steeply with the number of symbols that stand for letters. The worst
that random symbols cost is 0.12 s for 20 characters, 0.5 s for 24, 1.7 s for 32."""
PRODUCT_NAMES = ("semg", "gesture", "recognition")
LEFT_OVER = 8
"""Characters that a password must have beside the login and the product's name."""
ADVICE = "Three or four words that have nothing to do with each other are easy to remember and hard to guess."


def check_password(password: str, login: str = "") -> None:
    """Refuse a password that is too short, or easily guessed.

    Parameters
    ----------
    login
        Whose password it is to be.

    Raises
    ------
    InvalidValueError
        The message says what is wrong, and what helps.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        wanted = f"enter a password of {MIN_LENGTH} to {MAX_LENGTH:,} characters (now {len(password):,})"
        raise InvalidValueError("password", wanted if len(password) > MAX_LENGTH else f"{wanted}. {ADVICE}")
    names = _names(login)
    rest = password.casefold()
    for name in sorted(names, key=len, reverse=True):
        rest = rest.replace(name, "")
    if rest != password.casefold() and len(rest) < LEFT_OVER:
        raise InvalidValueError(
            "password", f"choose one that is more than the login or this platform's name. {ADVICE}"
        )  # fmt: skip
    guesses, warning = _estimate(password[:LOOKED_AT], names)
    if guesses < MIN_GUESSES:
        beginning = f"Its first {LOOKED_AT} characters are" if len(password) > LOOKED_AT else "It is"
        reason = warning or f"{beginning} guessed within {MIN_GUESSES:,} tries."
        raise InvalidValueError("password", f"choose one that is harder to guess. {reason} {ADVICE}")


def _names(login: str) -> list[str]:
    """Return the login, its parts and the product's names, in small letters."""
    parts = [login, *re.split(r"[\W\d_]+", login), *PRODUCT_NAMES]
    return [part.casefold() for part in parts if len(part) >= 3]


def _estimate(password: str, names: list[str]) -> tuple[int, str]:
    """Return the estimated number of guesses that a password takes, and the reason when it is low."""
    from zxcvbn import zxcvbn  # 13 MB of lists, for the process that sets passwords

    found = zxcvbn(password, user_inputs=names)
    return int(found["guesses"]), str(found["feedback"]["warning"])
