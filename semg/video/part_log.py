"""Log of a part's times: when frames arrived, and the reports of the browser's clock.

A row is four int64, little-endian. ``frame``: kind 0, media time of the frame (1/90,000 s), arrival, 0.
``report``: kind 1, media time, the browser's clock at that media time, arrival. Times in microseconds since the epoch.
Nothing is computed during recording: the complete rows allow a better estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import RawIOBase

import numpy as np
from numpy.typing import NDArray

FRAME, REPORT = 0, 1
ROW_BYTES = 32
CLOCK_HZ = 90_000
"""RTP's clock of video (RFC 3551), and the time base of the files."""
MAX_TIME = 1 << 53
"""Beyond this no number of microseconds or ticks is exact as float64; the epoch has 1.8e15 µs by now."""
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLog:
    """The rows of one connection to a webcam.

    Attributes
    ----------
    media, arrival_us
        Of each frame: int64 ``(n,)``.
    report_media, report_clock_us, report_arrival_us
        Of each report: int64 ``(m,)``.
    """

    media: Int64
    arrival_us: Int64
    report_media: Int64
    report_clock_us: Int64
    report_arrival_us: Int64


class LogWriter:
    """Appends rows to a file; what was flushed survives a crash."""

    def __init__(self, file: RawIOBase) -> None:
        self._file = file
        self._n_rows = 0

    @property
    def stored_bytes(self) -> int:
        """Bytes that were written."""
        return self._n_rows * ROW_BYTES

    def add_frame(self, media: int, arrival_us: int) -> None:
        """Append a frame."""
        self._write(FRAME, media, arrival_us, 0)

    def add_report(self, media: int, clock_us: int, arrival_us: int) -> None:
        """Append a report of the browser's clock."""
        self._write(REPORT, media, clock_us, arrival_us)

    def flush(self) -> None:
        """Flush to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, *row: int) -> None:
        self._file.write(np.array(row, "<i8").tobytes())
        self._n_rows += 1


def read_log(file: RawIOBase) -> FrameLog:
    """Return the rows of a log, without a truncated last row and rows with impossible times."""
    content = file.read() or b""
    values = np.frombuffer(content[: len(content) // ROW_BYTES * ROW_BYTES], "<i8").reshape(-1, 4).astype(np.int64)
    values = values[((values > -MAX_TIME) & (values < MAX_TIME)).all(axis=1)]
    frames, reports = values[values[:, 0] == FRAME], values[values[:, 0] == REPORT]
    return FrameLog(
        media=frames[:, 1],
        arrival_us=frames[:, 2],
        report_media=reports[:, 1],
        report_clock_us=reports[:, 2],
        report_arrival_us=reports[:, 3],
    )
