"""No tracked file carries a secret."""

from __future__ import annotations

import subprocess

import pytest
from secret_shapes import is_searched, secrets_in

from semg.settings import PROJECT_DIR


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT_DIR, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("no git checkout: its tracked files cannot be listed")
    return listed.stdout.splitlines()


def test_no_tracked_file_carries_a_secret() -> None:
    found = []
    for name in tracked():
        path = PROJECT_DIR / name
        if not is_searched(name) or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{name}: {secret}" for secret in secrets_in(text)]
    assert found == []


def test_settings_with_secrets_are_never_tracked() -> None:
    names = [name.rsplit("/", 1)[-1] for name in tracked()]
    assert [name for name in names if name == ".env" or name.endswith((".pem", ".key", ".p12", ".kdbx"))] == []


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        "AGE-SECRET-KEY-1" + "QPZRY9X8GF2TVDW0S3JN54",
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
