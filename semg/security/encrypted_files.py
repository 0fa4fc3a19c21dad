"""Files encrypted at rest with random-access reading and writing.

A header (magic, version, the number of the key, 16 random bytes that name the file), then chunks of 16 KiB, each with a
nonce and a tag of its own: AES-256-GCM under a key that HKDF-SHA-256 derives from one of the installation's keys
(``semg.security.keys``) and the file's random bytes. Version 1 has no number: every key is tried. Authenticated with
each chunk are what the file is for, the chunk's number, and whether it is the last one, so that chunks cannot be
changed, moved, cut off, or brought from another file. A chunk that is written again gets a new nonce. What a crash cut
off is at most the chunk that was being written; such a file has no last chunk and says so (``complete``).

16 KiB cost 0.2 % of space, and a range request decrypts little more than it asks for
(``testing/benchmarks/sealed.py`` measures both). ``docs/encrypted-files.md`` is the specification, with test vectors.
"""

from __future__ import annotations

import io
import os
import secrets
import struct
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from semg.errors import EncryptedFileError, SettingsError
from semg.security.keys import ID_BYTES, KeyRing, Secret, derive

_EARLIER, MAGIC = b"SEMGSEAL\x01", b"SEMGSEAL\x02"
_FILE_BYTES, _NONCE_BYTES, _TAG_BYTES = 16, 12, 16
HEADER_BYTES = len(MAGIC) + ID_BYTES + _FILE_BYTES
CHUNK_BYTES = 16 << 10
_STORED_BYTES = CHUNK_BYTES + _NONCE_BYTES + _TAG_BYTES
_PURPOSE = b"semg files, version 1"


class Vault:
    """Creates and opens encrypted files with the keys of this installation.

    Parameters
    ----------
    keys
        The installation's keys; files are written with the current one.

    Raises
    ------
    SettingsError
        ``SECRET_KEY`` is empty.
    """

    def __init__(self, keys: Secret) -> None:
        self._keys = KeyRing.of(keys)
        if not self._keys.current:
            raise SettingsError("SECRET_KEY is empty: set it, or let start_all.sh make one, before files are written")

    def create(self, path: Path, purpose: str) -> EncryptedWriter:
        """Begin a file, readable by this user only, instead of any that is there.

        Parameters
        ----------
        purpose
            Purpose of the file, as in ``video 12``, which is authenticated.
        """
        file_id = secrets.token_bytes(_FILE_BYTES)
        raw = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "r+b", buffering=0)
        raw.write(MAGIC + self._keys.current_id + file_id)
        return EncryptedWriter(raw, _cipher(self._keys.current, file_id), purpose.encode())

    def open(self, path: Path, purpose: str) -> EncryptedReader:
        """Open a file for reading.

        Raises
        ------
        SealError
            It is no such file, was written with another ``SECRET_KEY`` or for another purpose, or was modified.
        OSError
            It cannot be read.
        """
        raw = path.open("rb", buffering=0)
        try:
            header = raw.read(HEADER_BYTES)
            if header.startswith(_EARLIER):
                return self._open_earlier(raw, header, purpose, path.name)
            if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
                raise EncryptedFileError(f"{path.name} is no encrypted file of this platform")
            root = self._keys.find(header[len(MAGIC) : -_FILE_BYTES])
            if root is None:
                raise EncryptedFileError(
                    f"{path.name} was made with a key that is neither SECRET_KEY nor in SECRET_KEYS_OLD"
                )
            cipher = _cipher(root, header[-_FILE_BYTES:])
            return EncryptedReader(raw, cipher, purpose.encode(), path.name, HEADER_BYTES)
        except BaseException:
            raw.close()
            raise

    def is_current(self, path: Path) -> bool:
        """Return whether a file is of the current key and format.

        Raises
        ------
        OSError
            It cannot be read.
        """
        wanted = MAGIC + self._keys.current_id
        with path.open("rb") as file:
            return file.read(len(wanted)) == wanted

    def _open_earlier(self, raw: io.RawIOBase, header: bytes, purpose: str, name: str) -> EncryptedReader:
        """Open a file from before keys had numbers, with the first key that fits."""
        at = len(_EARLIER) + _FILE_BYTES
        if len(header) < at:
            raise EncryptedFileError(f"{name} is no encrypted file of this platform")
        for root in self._keys:
            try:
                return EncryptedReader(raw, _cipher(root, header[len(_EARLIER) : at]), purpose.encode(), name, at)
            except EncryptedFileError as exc:
                refused = exc
        raise refused


def is_sealed(path: Path) -> bool:
    """Return whether a file is encrypted."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) in (MAGIC, _EARLIER)


def _cipher(root: str, file_id: bytes) -> AESGCM:
    return AESGCM(derive(root, _PURPOSE, file_id))


def _bound(purpose: bytes, index: int, *, last: bool) -> bytes:
    return struct.pack("<Q?", index, last) + purpose


class EncryptedWriter(io.RawIOBase):
    """A file that is being written; ``seek`` may go back to written data. Used by one thread."""

    def __init__(self, raw: io.RawIOBase, cipher: AESGCM, purpose: bytes) -> None:
        self._raw = raw
        self._cipher = cipher
        self._purpose = purpose
        self._at = self._size = 0
        self._index = 0
        self._chunk = bytearray()
        self._changed = False

    @property
    def stored_bytes(self) -> int:
        """Size of the file on disk after everything is written."""
        n_chunks = max(1, -(-self._size // CHUNK_BYTES))
        return HEADER_BYTES + self._size + n_chunks * (_NONCE_BYTES + _TAG_BYTES)

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def seekable(self) -> bool:
        """Return that it can be written anywhere."""
        return True

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position; a gap between the end and a position after it is filled with zeros at the next write."""
        at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if at < 0:
            raise ValueError(f"expected a place in the file, got {at:,}")
        self._at = at
        return at

    def write(self, data: object) -> int:
        """Write bytes at the current position."""
        at, self._at = self._at, min(self._at, self._size)
        while self._at < at:
            self._put_in(memoryview(bytes(min(CHUNK_BYTES, at - self._at))))
        return self._put_in(memoryview(data).cast("B"))  # type: ignore[arg-type]

    def flush(self) -> None:
        """Pass everything to the operating system: a process that is killed afterwards loses nothing."""
        if not self.closed:
            self._put(last=False)

    def close(self) -> None:
        """Write the last chunk, which makes the file complete."""
        if self.closed:
            return
        try:
            last = max(0, (self._size - 1) // CHUNK_BYTES)
            if last != self._index:
                self._load_chunk(last)
            self._changed = True
            self._put(last=True)
        finally:
            self._raw.close()
            super().close()

    def _put_in(self, content: memoryview) -> int:
        done = 0
        while done < len(content):
            index, inside = divmod(self._at, CHUNK_BYTES)
            if index != self._index:
                self._load_chunk(index)
            n = min(len(content) - done, CHUNK_BYTES - inside)
            self._chunk[inside : inside + n] = content[done : done + n]
            self._changed = True
            done += n
            self._at += n
            self._size = max(self._size, self._at)
        return done

    def _load_chunk(self, index: int) -> None:
        self._put(last=False)
        self._index, self._chunk = index, bytearray()
        if index * CHUNK_BYTES < self._size:
            self._raw.seek(HEADER_BYTES + index * _STORED_BYTES)
            stored = self._raw.read(_STORED_BYTES) or b""
            plain = self._cipher.decrypt(
                stored[:_NONCE_BYTES], stored[_NONCE_BYTES:], _bound(self._purpose, index, last=False)
            )
            self._chunk = bytearray(plain)

    def _put(self, *, last: bool) -> None:
        if not self._changed:
            return
        nonce = secrets.token_bytes(_NONCE_BYTES)
        stored = nonce + self._cipher.encrypt(nonce, bytes(self._chunk), _bound(self._purpose, self._index, last=last))
        self._raw.seek(HEADER_BYTES + self._index * _STORED_BYTES)
        if self._raw.write(stored) != len(stored):
            raise OSError("the disk is full: a chunk of an encrypted file was not written")
        self._changed = False


class EncryptedReader(io.RawIOBase):
    """A file with random-access reading; any modification of it is an error, never different bytes.

    Attributes
    ----------
    complete
        Whether it was closed by its writer; else it ends where a crash cut it off.
    size
        How many bytes it holds.
    """

    def __init__(self, raw: io.RawIOBase, cipher: AESGCM, purpose: bytes, name: str, header_bytes: int) -> None:
        self._raw = raw
        self._header_bytes = header_bytes
        self._cipher = cipher
        self._purpose = purpose
        self._name = name
        self._at = 0
        self._index, self._chunk = -1, b""
        stored = raw.seek(0, os.SEEK_END) - header_bytes
        n_chunks = -(-stored // _STORED_BYTES)
        self.complete, self.size = self._measure(n_chunks, stored)

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it can be read anywhere."""
        return True

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position; there is nothing to read after the end."""
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence])
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Return up to a number of bytes from the current position; all that are left by default.

        Raises
        ------
        SealError
            They were modified on the disk.
        """
        left = max(0, self.size - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        parts = []
        while wanted:
            index, inside = divmod(self._at, CHUNK_BYTES)
            if index != self._index:
                self._index, self._chunk = index, self._get(index)
            part = self._chunk[inside : inside + wanted]
            if not part:
                raise EncryptedFileError(f"{self._name} ends in the middle")
            parts.append(part)
            self._at += len(part)
            wanted -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the file."""
        self._raw.close()
        super().close()

    def _measure(self, n_chunks: int, stored: int) -> tuple[bool, int]:
        """Return whether the last chunk is marked as the last, and how many bytes can be read."""
        size = stored - n_chunks * (_NONCE_BYTES + _TAG_BYTES)
        if n_chunks <= 0 or size < (n_chunks - 1) * CHUNK_BYTES:
            return False, max(0, (n_chunks - 1) * CHUNK_BYTES)
        for last in (True, False):
            try:
                self._chunk = self._decrypt(n_chunks - 1, last=last)
            except InvalidTag:
                continue
            self._index = n_chunks - 1
            return last, size
        try:  # a crash tears the last chunk only
            self._decrypt(max(0, n_chunks - 2), last=False)
        except InvalidTag as exc:
            raise EncryptedFileError(
                f"{self._name} cannot be read: set the SECRET_KEY that it was made with, unless it was changed"
            ) from exc
        return False, (n_chunks - 1) * CHUNK_BYTES

    def _get(self, index: int) -> bytes:
        last = self.complete and index == (self.size - 1) // CHUNK_BYTES
        try:
            return self._decrypt(index, last=last)
        except InvalidTag as exc:
            raise EncryptedFileError(f"{self._name} was changed on the disk, or SECRET_KEY is another one") from exc

    def _decrypt(self, index: int, *, last: bool) -> bytes:
        self._raw.seek(self._header_bytes + index * _STORED_BYTES)
        stored = self._raw.read(_STORED_BYTES) or b""
        if len(stored) < _NONCE_BYTES + _TAG_BYTES:
            raise InvalidTag
        return self._cipher.decrypt(
            stored[:_NONCE_BYTES], stored[_NONCE_BYTES:], _bound(self._purpose, index, last=last)
        )
