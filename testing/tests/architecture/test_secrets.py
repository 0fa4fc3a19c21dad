"""No tracked file carries a secret."""

from __future__ import annotations

import math
import re
import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest

from semg.settings import PROJECT_DIR

SHAPES = {
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "cloud key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "token of a code host": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|glpat-[\w-]{20,}|xox[abpr]-[\w-]{10,})"),
    "signed token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}"),
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


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT_DIR, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("no git checkout: its tracked files cannot be listed")
    return listed.stdout.splitlines()


def bits_a_character(text: str) -> float:
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def secrets_in(text: str) -> Iterator[str]:
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


def test_no_tracked_file_carries_a_secret() -> None:
    found = []
    for name in tracked():
        path = PROJECT_DIR / name
        if name in KNOWN or name.endswith(NOT_TEXT) or "/fuzz/seeds/" in name or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [
            f"{name}: {secret}" for secret in secrets_in(text) if name != "testing/tests/architecture/test_secrets.py"
        ]
    assert found == []


def test_settings_with_secrets_are_never_tracked() -> None:
    names = [name.rsplit("/", 1)[-1] for name in tracked()]
    assert [name for name in names if name == ".env" or name.endswith((".pem", ".key", ".p12", ".kdbx"))] == []


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        "aws = AKIA" + "ABCDEFGHIJKLMNOP",
        "ghp_" + "a1B2" * 9,
        'SECRET_KEY = "' + "q8Zr2LkP0vXw7TtYc5Nb" + '"',
        "postgres://semg:" + "hunter2@db.example/sensordb",
        "$argon2id$v=19$" + "m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2g",
    ],
)
def test_secret_is_seen(text: str) -> None:
    assert list(secrets_in(text))


@pytest.mark.parametrize(
    "text",
    ["POSTGRES_PASSWORD=", 'password = "k" * 48', "secret_key: SecretStr", "token=hunter2", "http://localhost:8000/"],
)
def test_harmless_text_is_not(text: str) -> None:
    assert list(secrets_in(text)) == []
