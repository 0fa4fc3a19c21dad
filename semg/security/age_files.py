"""Files in the open age format (age-encryption.org/v1): encrypted streams of any size for the owner of a private key.

X25519 recipients and ChaCha20-Poly1305 in chunks of 64 KiB, by ``pyrage`` (the Rust implementation). A public key is
enough to write such a file; the private key need not lie on the machine that writes. What was changed or cut off is an
error, never other bytes. The standard ``age`` program opens the same files.

The library pulls from a reader into a writer. Here it does so in a thread behind a pipe, so that ``tarfile``, ``gzip``
and ``psql`` can push and pull as they do with any file, in bounded memory.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

import pyrage
from pyrage import x25519

from semg.errors import EncryptedFileError, SettingsError

MAGIC = b"age-encryption.org/v1\n"
SUFFIX = ".age"
_PIPE_BYTES = 1 << 20

Recipient: TypeAlias = x25519.Recipient
Identity: TypeAlias = x25519.Identity


def make_identity() -> str:
    """Return a new private key (``AGE-SECRET-KEY-1…``)."""
    return str(Identity.generate())


def read_recipients(text: str) -> list[Recipient]:
    """Return the public keys of a setting, comma separated.

    Raises
    ------
    SettingsError
        One is no public key. The message does not repeat it: it could be a private one.
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(Recipient.from_str(part))
        except pyrage.RecipientError as exc:
            hint = "a private key, which does not belong here" if part.upper().startswith("AGE-SECRET-KEY-") else "none"
            raise SettingsError(
                f"BACKUP_RECIPIENT: expected public keys (age1…, as age-keygen prints them), got {hint}; change it in "
                ".env"
            ) from exc
    return found


def read_identities(text: str, source: str) -> list[Identity]:
    """Return the private keys of a text: a setting, or a file as ``age-keygen`` writes it (comments begin with #).

    Parameters
    ----------
    source
        What the text is, for the message: it is never shown itself.

    Raises
    ------
    SettingsError
        A line is no private key, or there is none.
    """
    lines = [line.strip() for line in text.splitlines()]
    try:
        found = [Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except pyrage.IdentityError as exc:
        raise SettingsError(
            f"{source}: expected a private key of age (AGE-SECRET-KEY-1…), got something else; make one with "
            "age-keygen, or leave it empty and let ./start_all.sh make one"
        ) from exc
    if not found:
        raise SettingsError(f"{source}: expected a private key of age (AGE-SECRET-KEY-1…), got none")
    return found


def is_age(path: Path) -> bool:
    """Return whether a file is encrypted in this format."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


@contextmanager
def encrypting(raw: BinaryIO, recipients: Sequence[Recipient]) -> Iterator[BinaryIO]:
    """Yield a writer that encrypts to ``raw``; the file is complete when the block has ended.

    Raises
    ------
    OSError
        ``raw`` could not be written.
    """
    checked = _CheckedWriter(raw)
    read_end, write_end = _pipe()
    worker = _Worker(lambda: pyrage.encrypt_io(read_end, checked, list(recipients)), read_end)
    try:
        with write_end:
            yield write_end
    except BrokenPipeError:
        worker.join()
        raise (checked.failure or worker.failure or OSError("the encryption ended early")) from None
    finally:
        worker.join()
    # The library loses an error of its last write: the writer remembers it.
    failure = checked.failure or worker.failure
    if failure is not None:
        raise failure if isinstance(failure, OSError) else OSError(f"not encrypted: {failure}")


@contextmanager
def decrypting(path: Path, identities: Sequence[Identity]) -> Iterator[BinaryIO]:
    """Yield a reader of an encrypted file's content.

    The reader reports the end only if the file is intact to its end; before that it may have returned content that
    precedes a damage.

    Raises
    ------
    SealError
        None of the keys opens the file, or it was modified or truncated; also while it is read.
    OSError
        It cannot be read.
    """
    with path.open("rb") as raw:
        read_end, write_end = _pipe()
        worker = _Worker(lambda: pyrage.decrypt_io(raw, write_end, list(identities)), write_end)
        reader = _DecryptedReader(read_end, worker, path.name)
        try:
            with io.BufferedReader(reader, _PIPE_BYTES) as buffered:
                yield buffered
        finally:
            read_end.close()
            worker.join()


def _pipe() -> tuple[BinaryIO, BinaryIO]:
    read_fd, write_fd = os.pipe()
    return os.fdopen(read_fd, "rb"), os.fdopen(write_fd, "wb", _PIPE_BYTES)


class _Worker:
    """A thread that runs the library and closes its end of the pipe."""

    def __init__(self, work: Callable[[], None], end: BinaryIO) -> None:
        self.failure: Exception | None = None
        self._work = work
        self._end = end
        self._thread = threading.Thread(target=self._run, name="age")
        self._thread.start()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self._work()
        except Exception as exc:  # raised in the thread that reads or writes
            self.failure = exc
        finally:
            try:
                self._end.close()  # what is left in its buffer goes out now
            except OSError as exc:
                self.failure = self.failure or exc


class _CheckedWriter:
    """A writer that writes everything or fails, and records that it failed."""

    def __init__(self, raw: BinaryIO) -> None:
        self.failure: OSError | None = None
        self._raw = raw

    def write(self, data: bytes) -> int:
        """Write all of it."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._raw.write(view) :]
        except OSError as exc:
            self.failure = exc
            raise
        return len(data)

    def flush(self) -> None:
        """Flush the file."""
        self._raw.flush()


class _DecryptedReader(io.RawIOBase):
    """The reading end of the pipe; its end counts only when the whole file was authentic."""

    def __init__(self, end: BinaryIO, worker: _Worker, name: str) -> None:
        self._end = end
        self._worker = worker
        self._name = name

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill a buffer."""
        n = self._end.readinto1(buffer)  # type: ignore[attr-defined]
        if n == 0:
            self._worker.join()
            self._say_why()
        return int(n)

    def _say_why(self) -> None:
        failure = self._worker.failure
        if failure is None:
            return
        if isinstance(failure, pyrage.DecryptError) and "No matching keys" in str(failure):
            raise EncryptedFileError(
                f"{self._name} is encrypted for another key (or its beginning was changed): name a file with the "
                "private key that belongs to it"
            ) from failure
        if isinstance(failure, pyrage.DecryptError):
            raise EncryptedFileError(f"{self._name} has a damaged beginning: it was changed or cut off") from failure
        if isinstance(failure, OSError) and failure.errno:
            raise failure
        raise EncryptedFileError(f"{self._name} was changed or cut off") from failure
