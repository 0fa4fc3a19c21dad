"""Normalise the lines of a file of samples to UTF-8, without comments and incomplete lines, each with all its fields.

A CSV reader would put values of a line with more or fewer fields than the header into wrong columns, so fields are
counted before. They are measured too: what makes a number of a text takes a time that grows with the square of its
digits, and lets no other thread run meanwhile.
"""

from __future__ import annotations

import codecs
import io
import re
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semg.errors import RecordingError
from semg.recordings.encoded_text import MAX_LINE_BYTES, BoundedText
from semg.words import counted

MAX_LEFT_OUT = 10_000
"""Comments and empty lines of one file."""
_COMMENT = re.compile(rb"[ \t]*(?:[%#]|$)")
_SHOWN = 40


class Lines(io.BufferedIOBase):
    """A stream of whole lines, UTF-8, each of as many fields as the first one.

    Parameters
    ----------
    text
        The file's bytes.
    encoding
        A codec of Python that knows where it begins (``utf-8-sig``, ``utf-16``).
    separator
        One ASCII character, or a blank for any number of blanks and tabs.
    most
        How many bytes each field may have: one number for each field of a line.
    n_skipped
        So many lines at the beginning are left out: they were read before.
    has_header
        The first line that is left names the columns; its fields may be longer.

    Attributes
    ----------
    cut_line
        Number and text of a last line that was cut off, and left out; None when there is none.
    """

    def __init__(
        self,
        text: BoundedText,
        encoding: str,
        separator: str,
        most: Sequence[int],
        n_skipped: int = 0,
        *,
        has_header: bool,
    ) -> None:
        super().__init__()
        self._text = text
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._encoding, self._separator, self._n_fields = encoding, separator.encode(), len(most)
        self._most = np.array(most, np.int64)
        self._n_skipped, self._has_header = n_skipped, has_header
        self._rest, self._ahead = b"", b""
        self._n_lines = self._n_kept = 0
        self._left_out: list[int] = []
        self._ended = False
        self.cut_line: tuple[int, str] | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def read1(self, size: int = -1, /) -> bytes:
        """Return the next lines; empty at the end.

        Raises
        ------
        RecordingError
            As ``BoundedText.read1``; a byte that is not of the encoding; a line of another number of fields.
        """
        while not self._ahead and not self._ended:
            self._ahead = self._next()
        chunk, self._ahead = self._ahead, b""
        if 0 <= size < len(chunk):
            chunk, self._ahead = chunk[:size], chunk[size:]
        return chunk

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next lines, as ``read1``: never the whole file."""
        return self.read1(-1 if size is None else size)

    def line_of(self, row: int) -> int:
        """Return the line number in the file, from 1, of a returned row; rows count from 0."""
        line = row + 1
        while (above := row + 1 + bisect_right(self._left_out, line)) != line:
            line = above
        return line

    def _next(self) -> bytes:
        raw = self._text.read1()
        self._ended = not raw
        try:
            decoded = self._decoder.decode(raw, final=self._ended)
        except UnicodeDecodeError as exc:
            wrong = exc.object[exc.start]
            raise RecordingError(
                f"{self._text.name} is not valid {self._encoding.removesuffix('-sig')} text: it contains the byte "
                f"0x{wrong:02x}. Save it as UTF-8."
            ) from exc
        if len(self._rest) > 2 * MAX_LINE_BYTES:  # an encoding in which the byte of a line feed is no line feed
            raise RecordingError(
                f"{self._text.name} has a line of more than {MAX_LINE_BYTES} bytes; expected one line for each sample."
            )
        chunk = self._rest + decoded.encode("utf-8", "replace")
        if b"\x00" in chunk:
            raise RecordingError(f"{self._text.name} is not a text file: it contains NUL bytes. Expected CSV.")
        if b"\r" in chunk:
            whole = chunk if self._ended or not chunk.endswith(b"\r") else chunk[:-1]
            chunk = whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + chunk[len(whole) :]
        if self._ended:
            lines, self._rest = self._without_cut(chunk.rstrip(b"\n")), b""
        else:
            end = chunk.rfind(b"\n", 0, max(0, chunk.rfind(b"\n"))) + 1  # one line waits: it may be the last
            lines, self._rest = chunk[:end], chunk[end:]
        return self._checked(lines)

    def _without_cut(self, lines: bytes) -> bytes:
        """Return the file's last lines without the very last, if that was cut off."""
        before, end, last = lines.rpartition(b"\n")
        is_first = not end and not self._n_lines
        if not is_first and _COMMENT.match(last) is None and self._fields(last + b"\n")[0][0] < self._n_fields:
            self.cut_line = (self._n_lines + before.count(b"\n") + len(end) + 1, last.decode(errors="replace")[:_SHOWN])
            return before + end
        return lines + b"\n" if lines else b""

    def _checked(self, lines: bytes) -> bytes:
        """Return the lines with samples, and count all lines."""
        first = self._n_lines
        self._n_lines += lines.count(b"\n")
        if first < self._n_skipped or b"#" in lines or b"%" in lines:
            lines = self._without_comments(lines, first)
            counts, widths = self._fields(lines)
        else:
            counts, widths = self._fields(lines)
            if (counts != self._n_fields).any():  # empty lines, perhaps
                lines = self._without_comments(lines, first)
                counts, widths = self._fields(lines)
        wrong = np.flatnonzero(counts != self._n_fields)
        if len(wrong):
            at = int(wrong[0])
            text = lines.split(b"\n", at + 1)[at].decode(errors="replace")
            raise RecordingError(
                f"{self._text.name}: line {self.line_of(self._n_kept + at):,} has {counted(int(counts[at]), 'field')}, "
                f"but the first line has {self._n_fields}: “{repr(text[:_SHOWN])[1:-1]}”. Correct the line, or choose "
                "the right separator."
            )
        self._check_widths(widths.reshape(-1, self._n_fields))
        self._n_kept += len(counts)
        return lines

    def _check_widths(self, widths: NDArray[np.int64]) -> None:
        """Refuse a field, of widths ``(n_lines, n_fields)``, that is longer than it may be."""
        begin = int(self._has_header and not self._n_kept)
        wide = np.argwhere(widths[begin:] > self._most)
        if len(wide):
            row, index = int(wide[0][0]) + begin, int(wide[0][1])
            raise RecordingError(
                f"{self._text.name}: field {index + 1} of line {self.line_of(self._n_kept + row):,} has "
                f"{int(widths[row, index]):,} bytes; expected at most {int(self._most[index]):,}. Correct the line, or "
                "choose other columns."
            )

    def _without_comments(self, lines: bytes, first: int) -> bytes:
        kept = []
        for number, line in enumerate(lines.split(b"\n")[:-1], first + 1):
            if number <= self._n_skipped or _COMMENT.match(line):
                self._left_out.append(number)
            else:
                kept.append(line)
        if len(self._left_out) > MAX_LEFT_OUT:
            raise RecordingError(
                f"{self._text.name} has more than {MAX_LEFT_OUT:,} comments and empty lines; expected a line for each "
                "sample."
            )
        return b"".join(line + b"\n" for line in kept)

    def _fields(self, lines: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return how many fields each line has, int64 ``(n_lines,)``, and the bytes of each field, one after another.

        Separators in quoted texts do not count.
        """
        if self._separator == b" ":
            split = [line.split() for line in lines.split(b"\n")[:-1]]
            return np.array(list(map(len, split)), np.int64), np.array(
                [len(one) for row in split for one in row], np.int64
            )
        data = np.frombuffer(lines, np.uint8)
        at = np.flatnonzero((data == self._separator[0]) | (data == ord("\n")))
        ends_line = data[at] == ord("\n")
        if b'"' in lines:
            marks = np.flatnonzero(data == ord('"'))
            kept = ends_line | (np.searchsorted(marks, at) % 2 == 0)  # texts are closed in their line: see BoundedText
            at, ends_line = at[kept], ends_line[kept]
        return np.diff(np.flatnonzero(ends_line), prepend=-1), np.diff(at, prepend=-1) - 1
