"""The specification of encrypted files (``docs/encrypted-files.md``): vectors, and a reader that follows it alone."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from semg.errors import EncryptedFileError
from semg.security import encrypted_files
from semg.security.encrypted_files import Vault

VECTORS = json.loads((Path(__file__).parents[1] / "golden" / "encrypted_files.json").read_text())
WRITTEN = [vector for vector in VECTORS if vector["version"] == 2]


def name(vector: dict) -> str:
    return vector["name"]


def plain_of(vector: dict) -> bytes:
    """Return what the writes of a vector give; what lies between them is zeros."""
    content = bytearray()
    for at, plain in vector["writes"]:
        piece = bytes.fromhex(plain)
        content.extend(bytes(max(0, at + len(piece) - len(content))))
        content[at : at + len(piece)] = piece
    return bytes(content)


def read_by_the_specification(stored: bytes, secret: str, purpose: str) -> tuple[bytes, bool]:
    """Return the plain text and whether the file is complete; raises ``InvalidTag``. None of the platform's code."""

    def derive(n: int, info: bytes, salt: bytes | None) -> bytes:
        return HKDF(SHA256(), n, salt=salt, info=info).derive(secret.encode())

    magic, version = stored[:8], stored[8]
    assert magic == b"SEMGSEAL"
    at = 9
    if version == 2:
        assert stored[at : at + 8] == derive(8, b"semg key number, version 1", None), "made with another key"
        at += 8
    file_id, at = stored[at : at + 16], at + 16
    cipher = AESGCM(derive(32, b"semg files, version 1", file_id))
    body = stored[at:]
    chunks = [body[start : start + 16_412] for start in range(0, len(body), 16_412)]
    plain, complete = b"", False
    for index, chunk in enumerate(chunks):
        last = index == len(chunks) - 1
        if last and len(chunk) < 28:
            break
        for flag in (1, 0) if last else (0,):
            try:
                plain += cipher.decrypt(chunk[:12], chunk[12:], struct.pack("<QB", index, flag) + purpose.encode())
            except InvalidTag:
                continue
            complete = bool(flag)
            break
        else:
            if not last or index == 0:
                raise InvalidTag
    return plain, complete


@pytest.mark.parametrize("vector", WRITTEN, ids=name)
def test_writes_of_a_vector_give_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vector: dict) -> None:
    random = iter(map(bytes.fromhex, vector["random"]))
    monkeypatch.setattr(encrypted_files.secrets, "token_bytes", lambda n: next(random))
    path = tmp_path / "file"
    file = Vault(vector["key"]).create(path, vector["purpose"])
    for at, plain in vector["writes"]:
        file.seek(at)
        file.write(bytes.fromhex(plain))
    if vector["complete"]:
        file.close()
    else:
        file.flush()  # and then its process was killed
    assert path.read_bytes().hex() == vector["stored"]
    assert next(random, None) is None


@pytest.mark.parametrize("vector", VECTORS, ids=name)
def test_bytes_of_a_vector_are_read_as_its_plain_text(tmp_path: Path, vector: dict) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes.fromhex(vector["stored"]))
    with Vault(vector["key"]).open(path, vector["purpose"]) as file:
        assert (file.read(), file.complete) == (plain_of(vector), vector["complete"])


@pytest.mark.parametrize("vector", VECTORS, ids=name)
def test_reader_that_follows_the_specification_alone_reads_the_same(vector: dict) -> None:
    stored = bytes.fromhex(vector["stored"])
    plain, complete = read_by_the_specification(stored, vector["key"], vector["purpose"])
    assert (plain, complete) == (plain_of(vector), vector["complete"])
    with pytest.raises(InvalidTag):
        read_by_the_specification(stored, vector["key"], "something else")


def test_reader_that_follows_the_specification_reads_what_is_written_now(tmp_path: Path) -> None:
    path, content = tmp_path / "file", bytes(range(256)) * 200
    with Vault("k" * 48).create(path, "video 1") as file:
        file.write(content)
    assert read_by_the_specification(path.read_bytes(), "k" * 48, "video 1") == (content, True)


@pytest.mark.parametrize("n_left", [33, 40, 61, 5000, 33 + 16_412, 33 + 16_412 + 20, 33 + 16_412 + 500])
def test_both_readers_make_the_same_of_a_file_that_was_cut_off(tmp_path: Path, n_left: int) -> None:
    path, vault = tmp_path / "file", Vault("k" * 48)
    with vault.create(path, "video 1") as file:
        file.write(bytes(range(256)) * 100)
    path.write_bytes(path.read_bytes()[:n_left])
    try:
        wanted = read_by_the_specification(path.read_bytes(), "k" * 48, "video 1")
    except InvalidTag:
        with pytest.raises(EncryptedFileError):
            vault.open(path, "video 1")
        return
    with vault.open(path, "video 1") as file:
        assert (file.read(), file.complete) == wanted
