"""The installation's keys: each purpose has its own, what is made names its key, and what was made before is read."""

from __future__ import annotations

import base64
import json
import os
import secrets
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from semg.errors import EncryptedFileError, SettingsError, WireError
from semg.security import tokens
from semg.security.encrypted_files import Vault
from semg.security.field_encryption import decrypt, encrypt, is_current
from semg.security.keys import KeyRing, derive, key_id, ring_of
from semg.settings import PROJECT_DIR, Settings

FIRST, SECOND, THIRD = "a" * 43, "b" * 43, "c" * 43
BEFORE = KeyRing(FIRST)
PREPARED = KeyRing(FIRST, (SECOND,))
ROTATED = KeyRing(SECOND, (FIRST,))
AFTER = KeyRing(SECOND)
NOW = time.time()


def test_purposes_and_numbers_share_no_key() -> None:
    made = {derive(FIRST, purpose) for purpose in (b"a", b"b", b"a ")} | {
        derive(SECOND, b"a"),
        derive(FIRST, b"a", b"s"),
    }
    assert len(made) == 5
    assert not any(key_id(FIRST) in key for key in made)
    assert key_id(FIRST) != key_id(SECOND)


def test_ring_of_the_settings_has_the_earlier_keys_and_shows_none(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, secret_key=SecretStr(SECOND), secret_keys_old=SecretStr(f" {FIRST}, {THIRD},"))
    ring = ring_of(settings)
    assert list(ring) == [SECOND, FIRST, THIRD]
    assert ring.find(key_id(THIRD)) == THIRD
    assert ring.find(b"12345678") is None
    assert FIRST not in repr(ring) + repr(settings)
    assert SECOND not in repr(ring) + repr(settings)


def token_of(ring: KeyRing, purpose: str = tokens.LIVE) -> str:
    return tokens.make_token(ring, purpose, "21", 600, login=tokens.Login(7, 8))


@pytest.mark.parametrize(
    ("made_with", "read_with"),
    [(BEFORE, PREPARED), (PREPARED, BEFORE), (PREPARED, ROTATED), (ROTATED, PREPARED), (BEFORE, ROTATED)],
)
def test_every_step_of_a_rotation_reads_what_its_neighbours_made(
    tmp_path: Path, made_with: KeyRing, read_with: KeyRing
) -> None:
    """Services that were started again and those that were not work side by side."""
    assert tokens.read_login_of(read_with, tokens.LIVE, token_of(made_with), "21") == tokens.Login(7, 8)
    assert decrypt(read_with, b"p", b"row 1", encrypt(made_with, b"p", b"row 1", b"plain")) == b"plain"
    with Vault(made_with).create(tmp_path / "file", "video 1") as file:
        file.write(b"content")
    with Vault(read_with).open(tmp_path / "file", "video 1") as read:
        assert (read.complete, read.read()) == (True, b"content")


def test_a_key_that_is_gone_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(WireError, match="SECRET_KEYS_OLD"):
        tokens.read_login_of(AFTER, tokens.LIVE, token_of(BEFORE), "21")
    with pytest.raises(EncryptedFileError, match="another SECRET_KEY"):
        decrypt(AFTER, b"p", b"row 1", encrypt(BEFORE, b"p", b"row 1", b"plain"))
    with Vault(BEFORE).create(tmp_path / "file", "video 1") as file:
        file.write(b"content")
    with pytest.raises(EncryptedFileError, match="neither SECRET_KEY nor in SECRET_KEYS_OLD"):
        Vault(AFTER).open(tmp_path / "file", "video 1")


def test_what_is_made_names_the_current_key(tmp_path: Path) -> None:
    assert jwt.get_unverified_header(token_of(ROTATED))["kid"] == key_id(SECOND).hex()
    stored = encrypt(ROTATED, b"p", b"row", b"plain")
    assert is_current(ROTATED, stored)
    assert is_current(AFTER, stored)
    assert not is_current(PREPARED, stored)
    Vault(ROTATED).create(tmp_path / "file", "p").close()
    assert Vault(AFTER).is_current(tmp_path / "file")
    assert not Vault(PREPARED).is_current(tmp_path / "file")


def test_each_kind_of_token_is_signed_with_a_key_of_its_own() -> None:
    live = token_of(BEFORE)
    parts = live.split(".")
    claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
    forged = jwt.encode(
        claims | {"aud": tokens.VIDEO}, derive(FIRST, b"semg tokens, version 2: semg-live"), "HS256",
        headers={"kid": key_id(FIRST).hex()},
    )  # fmt: skip
    with pytest.raises(WireError, match="Signature"):
        tokens.read_login_of(BEFORE, tokens.VIDEO, forged, "21")


def claims_of(purpose: str) -> dict[str, object]:
    return {"aud": purpose, "sub": "21", "iat": NOW, "exp": NOW + 600, "account": 7, "login": 8}


@pytest.mark.parametrize(
    "headers",
    [None, {"kid": ""}, {"kid": key_id(THIRD).hex()}, {"kid": "../../etc/passwd"}, {"kid": key_id(SECOND).hex()}],
)
def test_token_without_the_number_of_its_key_is_refused(headers: dict[str, str] | None) -> None:
    """Nothing is signed with SECRET_KEY itself any more; nor does the header choose a key that did not sign."""
    for key in (FIRST.encode(), derive(FIRST, b"semg tokens, version 2: semg-live")):
        forged = jwt.encode(claims_of(tokens.LIVE), key, "HS256", headers=headers)
        with pytest.raises(WireError, match="token"):
            tokens.read_login_of(PREPARED, tokens.LIVE, forged, "21")


def test_algorithm_is_not_chosen_by_the_token() -> None:
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": key_id(FIRST).hex()}).encode()).rstrip(b"=")
    body = base64.urlsafe_b64encode(json.dumps(claims_of(tokens.LIVE)).encode()).rstrip(b"=")
    with pytest.raises(WireError):
        tokens.read_login_of(BEFORE, tokens.LIVE, f"{head.decode()}.{body.decode()}.", "21")


def earlier(root: str, purpose: bytes, bound_to: bytes, plain: bytes) -> bytes:
    """A secret as it was stored before keys had numbers."""
    key = HKDF(SHA256(), 32, salt=None, info=purpose).derive(root.encode())
    nonce = secrets.token_bytes(12)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound_to)


def test_secret_from_before_is_read_with_any_key_of_the_ring() -> None:
    stored = earlier(FIRST, b"p", b"row 1", b"plain")
    for ring in (BEFORE, PREPARED, ROTATED):
        assert decrypt(ring, b"p", b"row 1", stored) == b"plain"
        assert not is_current(ring, stored)
    for ring, purpose, row in ((AFTER, b"p", b"row 1"), (BEFORE, b"q", b"row 1"), (BEFORE, b"p", b"row 2")):
        with pytest.raises(EncryptedFileError):
            decrypt(ring, purpose, row, stored)


def test_secret_from_before_that_begins_like_a_new_one_is_read() -> None:
    key = HKDF(SHA256(), 32, salt=None, info=b"p").derive(FIRST.encode())
    nonce = b"SEK2" + key_id(FIRST)
    assert decrypt(BEFORE, b"p", b"row", nonce + AESGCM(key).encrypt(nonce, b"plain", b"row")) == b"plain"


def test_number_of_the_key_cannot_be_changed() -> None:
    stored = encrypt(ROTATED, b"p", b"row", b"plain")
    for number in (key_id(FIRST), key_id(THIRD), bytes(8)):
        with pytest.raises(EncryptedFileError):
            decrypt(ROTATED, b"p", b"row", stored[:4] + number + stored[12:])


def test_file_from_before_is_read_with_any_key_of_the_ring() -> None:
    path = PROJECT_DIR / "testing/fuzz/seeds/sealed_file/sealed_file-good-0"  # written by an earlier version
    assert path.read_bytes().startswith(b"SEMGSEAL\x01")
    for ring in (KeyRing("f" * 48), KeyRing(FIRST, ("f" * 48,)), KeyRing("f" * 48, (FIRST,))):
        with Vault(ring).open(path, "fuzz") as file:
            assert file.complete
            assert len(file.read()) == file.size > 0
        assert not Vault(ring).is_current(path)
    with pytest.raises(EncryptedFileError, match="SECRET_KEY"):
        Vault(AFTER).open(path, "fuzz")


@pytest.mark.parametrize("n", range(0, 40, 3))
def test_file_that_is_cut_in_its_head_is_refused(tmp_path: Path, n: int) -> None:
    for start in (b"SEMGSEAL\x01", b"SEMGSEAL\x02"):
        (tmp_path / "file").write_bytes((start + os.urandom(40))[:n])
        with pytest.raises(EncryptedFileError):
            with Vault(BEFORE).open(tmp_path / "file", "p") as file:
                raise EncryptedFileError("empty" if file.size == 0 else "")


def test_nothing_is_made_without_a_key() -> None:
    with pytest.raises(SettingsError, match="SECRET_KEY is empty"):
        encrypt(KeyRing("", (FIRST,)), b"p", b"row", b"plain")
    with pytest.raises(WireError, match="32 characters"):
        tokens.make_token(KeyRing("", (FIRST,)), tokens.LIVE, "21", 60, tokens.Login(7, 8))
