"""What secrets look like: for the test of tracked files, and for the audit of their history."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

SHAPES = {
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "cloud key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "token of a code host": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|glpat-[\w-]{20,}|xox[abpr]-[\w-]{10,})"),
    "signed token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}"),
    "private key of age": re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]{20,}"),
    "password hash": re.compile(r"\$argon2id\$v=\d+\$[^\s\"'{}]{20,}"),
    "address with a password": re.compile(r"\b\w+://[^\s/:@\"'{}<>$]+:[^\s/:@\"'{}<>$]+@"),
}
ASSIGNED = re.compile(
    r"(?i)\b\w*(?:password|passwd|secret|api_?key|token)\w*[\"']?\s*[=:]\s*[\"']?([A-Za-z0-9+/=_-]{20,})"
)
MIN_BITS_A_CHARACTER = 3.6
"""Words and repeated letters have less, what a generator makes has more."""

KNOWN = {"testing/tests/golden/v2.json": "keys of boards that do not exist, shared by server and sketch"}
NOT_TEXT = (".png", ".svg", ".gif", ".mp4", ".ico")


SHAPES_THEMSELVES = ("testing/secret_shapes.py", "testing/tests/architecture/test_secrets.py")


def is_searched(name: str) -> bool:
    """Return whether a tracked file can have a secret in it that is none of those known."""
    return not (name in KNOWN or name in SHAPES_THEMSELVES or name.endswith(NOT_TEXT) or "/fuzz/seeds/" in name)


def bits_a_character(text: str) -> float:
    """Return the entropy of a text's characters."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def secrets_in(text: str) -> Iterator[str]:
    """Return what looks like a secret, by its kind and its beginning."""
    for kind, shape in SHAPES.items():
        yield from (f"{kind}: {found.group()[:12]}…" for found in shape.finditer(text))
    for found in ASSIGNED.finditer(text):
        value = found.group(1)
        if (
            bits_a_character(value) >= MIN_BITS_A_CHARACTER
            and re.search(r"\d", value)
            and re.search(r"[A-Za-z]", value)
        ):
            yield f"assigned: {value[:6]}…"
