"""Decompress the text of a recording as a stream, with at most a chunk of it in memory.

An untrusted file can decompress to any size and have lines of any length, so both are bounded here, before a CSV reader
parses them.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from semg.errors import DecoderError, RecordingError
from semg.process import confined

MAX_LINE_BYTES = 8192
"""More than 32 values with 17 digits each, a gesture of 100 characters and a repetition."""
PIECE_BYTES = 1 << 18
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
PARQUET_DECODER = Path(__file__).with_name("parquet_decoder.py")
PARQUET = confined.Confinement(memory_bytes=3 << 30, cpu_s=120, answer_bytes=256 << 20, wall_s=180.0)
MAX_PARQUET_ROWS = 8_000_000
MAX_PARQUET_BYTES = 128 << 20


@contextmanager
def open_text(path: Path, max_file_bytes: int, max_text_bytes: int, name: str = "") -> Iterator[BoundedText]:
    """Open a gzip or plain text file, distinguished by its first bytes.

    Parameters
    ----------
    name
        Name of the file in messages; that of the path by default.

    Raises
    ------
    RecordingError
        It is not there, is too large, or promises gzip by its name only; and from each read on, what
        ``BoundedText.read1`` raises.
    """
    name = name or path.name
    try:
        size = path.stat().st_size
        if size > max_file_bytes:
            raise RecordingError(
                f"{name} has {size:,} bytes; at most {max_file_bytes:,} are read. Split the recording."
            )
        with path.open("rb") as file:
            if file.read(4) == _PARQUET:
                yield BoundedText(name, io.BytesIO(_from_parquet(path, name, max_text_bytes)), max_text_bytes)
                return
            file.seek(0)
            is_gzip = file.read(2) == _GZIP
            file.seek(0)
            if path.suffix.lower() == ".gz" and not is_gzip:
                raise RecordingError(f"{name} ends in .gz but is not a gzip file. Compress it again with gzip.")
            if not is_gzip:
                yield BoundedText(name, file, max_text_bytes)
                return
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield BoundedText(name, unpacked, max_text_bytes)
    except OSError as exc:
        raise RecordingError(f"{path} cannot be read: {exc.strerror or exc}.") from exc


def _from_parquet(path: Path, name: str, max_text_bytes: int) -> bytes:
    """Return a Parquet file as CSV, converted in a sandboxed process.

    Raises
    ------
    RecordingError
        It is too large, or cannot be converted.
    ConflictError
        Too many files are being converted: it says nothing of this one.
    """
    n_bytes = path.stat().st_size
    if n_bytes > MAX_PARQUET_BYTES:
        raise RecordingError(
            f"{name} has {n_bytes:,} bytes; at most {MAX_PARQUET_BYTES:,} are read of a Parquet file. Split the "
            "recording."
        )
    may = replace(PARQUET, answer_bytes=max_text_bytes)
    try:
        return confined.convert(PARQUET_DECODER, path.read_bytes(), {"max_rows": MAX_PARQUET_ROWS}, may)
    except DecoderError as exc:
        raise RecordingError(f"{name} cannot be read: {exc}.") from exc


class BoundedText(io.BufferedIOBase):
    """A stream of bytes that refuses to continue when it grows too long, or when one of its lines does.

    Parameters
    ----------
    name
        Original name of the file, for messages.
    """

    def __init__(self, name: str, source: IO[bytes] | gzip.GzipFile, max_bytes: int) -> None:
        super().__init__()
        self.name, self._source, self._max_bytes = name, source, max_bytes
        self._ahead = b""
        self._n_bytes, self._line_bytes, self._quotes = 0, 0, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def peek(self, size: int) -> bytes:
        """Return the next bytes, at most ``size``, without consuming them."""
        while len(self._ahead) < size and (chunk := self._next()):
            self._ahead += chunk
        return self._ahead[:size]

    def read1(self, size: int = -1, /) -> bytes:
        """Return the next chunk; empty at the end.

        Raises
        ------
        RecordingError
            The file is damaged or cut off, unpacks to more than ``max_bytes``, has a line of more than
            ``MAX_LINE_BYTES``, or a quoted text that goes over several lines.
        """
        chunk, self._ahead = self._ahead or self._next(), b""
        if 0 <= size < len(chunk):
            chunk, self._ahead = chunk[:size], chunk[size:]
        return chunk

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next chunk, as ``read1``: never the whole file."""
        return self.read1(PIECE_BYTES if size is None or size < 0 else size)

    def _next(self) -> bytes:
        try:
            chunk = self._source.read(PIECE_BYTES)
        except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
            raise RecordingError(f"{self.name} is a damaged or cut-off gzip file ({exc}). Copy it again.") from exc
        self._n_bytes += len(chunk)
        if self._n_bytes > self._max_bytes:
            raise RecordingError(f"{self.name} unpacks to more than {self._max_bytes:,} bytes. Split the recording.")
        self._check_lines(np.frombuffer(chunk, np.uint8))
        return chunk

    def _check_lines(self, chunk: NDArray[np.uint8]) -> None:
        """Refuse long lines, and an odd number of quotation marks in one: a reader would take all that follows."""
        ends = np.flatnonzero(chunk == ord("\n"))
        edges = np.concatenate([[-1 - self._line_bytes], ends, [len(chunk)]])
        if int(np.diff(edges).max()) - 1 > MAX_LINE_BYTES:
            raise RecordingError(
                f"{self.name} has a line of more than {MAX_LINE_BYTES} bytes; expected one line for each sample."
            )
        self._line_bytes = len(chunk) - 1 - int(edges[-2])
        marks = np.flatnonzero(chunk == ord('"'))
        of_line = np.bincount(np.searchsorted(ends, marks), minlength=len(ends) + 1)
        of_line[0] += self._quotes
        if (of_line[:-1] % 2).any():
            raise RecordingError(f'{self.name} has a line with an odd number of quotation marks ("); close each text.')
        self._quotes = int(of_line[-1]) % 2
