"""Encrypted files: what is written comes back, and nothing that was changed does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semg.errors import EncryptedFileError, SettingsError
from semg.security.encrypted_files import CHUNK_BYTES, HEADER_BYTES, Vault, is_sealed

STORED_BYTES = CHUNK_BYTES + 28
vault = Vault("k" * 48)


def written(path: Path, content: bytes, purpose: str = "video 1") -> Path:
    with vault.create(path, purpose) as file:
        file.write(content)
    return path


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 3 * CHUNK_BYTES), st.integers(1, 2 * CHUNK_BYTES)), min_size=1, max_size=8),
    st.booleans(),
)
def test_file_written_anywhere_equals_one_in_memory(
    tmp_path_factory, places: list[tuple[int, int]], flush: bool
) -> None:
    path = tmp_path_factory.mktemp("sealed") / "file"
    expected = bytearray()
    with vault.create(path, "p") as file:
        for number, (at, n) in enumerate(places):
            expected.extend(bytes(max(0, at - len(expected))))
            piece = bytes([number + 1]) * n
            file.seek(at)
            file.write(piece)
            expected[at : at + n] = piece
            if flush:
                file.flush()
        assert file.seek(0, os.SEEK_END) == len(expected)
    with vault.open(path, "p") as file:
        assert (file.complete, file.size) == (True, len(expected))
        assert file.read() == bytes(expected)
        for at, n in places:
            file.seek(at)
            assert file.read(n) == bytes(expected[at : at + n])
    assert path.stat().st_size == HEADER_BYTES + len(expected) + 28 * -(-len(expected) // CHUNK_BYTES)


def test_file_shows_nothing_of_its_content_and_only_to_its_owner(tmp_path: Path) -> None:
    path = written(tmp_path / "file", b"a very distinctive text" * 5000)
    assert b"distinctive" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    assert is_sealed(path)


@pytest.mark.parametrize("damage", ["bit", "swapped", "cut at a chunk", "cut in a chunk", "other file"])
def test_changed_file_is_refused_and_gives_no_other_bytes(tmp_path: Path, damage: str) -> None:
    content = os.urandom(3 * CHUNK_BYTES + 100)
    path = written(tmp_path / "file", content)
    stored = bytearray(path.read_bytes())
    first, second = HEADER_BYTES, HEADER_BYTES + STORED_BYTES
    if damage == "bit":
        stored[second + 500] ^= 1
    elif damage == "swapped":
        stored[first:second], stored[second : second + STORED_BYTES] = (
            stored[second : second + STORED_BYTES], stored[first:second],
        )  # fmt: skip
    elif damage == "other file":
        other = written(tmp_path / "other", content).read_bytes()
        stored[second : second + STORED_BYTES] = other[second : second + STORED_BYTES]
    elif damage == "cut at a chunk":
        del stored[HEADER_BYTES + 2 * STORED_BYTES :]
    else:
        del stored[HEADER_BYTES + 2 * STORED_BYTES + 1000 :]
    path.write_bytes(stored)
    with vault.open(path, "video 1") as file:
        if damage.startswith("cut"):
            assert not file.complete
            assert file.read() == content[: 2 * CHUNK_BYTES]
        else:
            with pytest.raises(EncryptedFileError, match="changed"):
                file.read()


def test_other_key_purpose_and_file_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "file", b"content")
    with pytest.raises(EncryptedFileError, match="SECRET_KEY"):
        Vault("another").open(path, "video 1")
    with pytest.raises(EncryptedFileError, match="SECRET_KEY"):
        vault.open(path, "video 2")
    (tmp_path / "plain").write_bytes(b"plain" * 100)
    with pytest.raises(EncryptedFileError, match="no encrypted file"):
        vault.open(tmp_path / "plain", "video 1")
    with pytest.raises(SettingsError, match="SECRET_KEY"):
        Vault("")


def test_what_was_flushed_is_there_though_the_writer_died(tmp_path: Path) -> None:
    content = os.urandom(CHUNK_BYTES + 500)
    writer = vault.create(tmp_path / "file", "video 1")
    writer.write(content)
    writer.flush()
    writer.write(b"lost")
    with vault.open(tmp_path / "file", "video 1") as file:
        assert (file.complete, file.read()) == (False, content)
    writer.close()
    with vault.open(tmp_path / "file", "video 1") as file:
        assert (file.complete, file.read()) == (True, content + b"lost")
