"""The chunks of an XDF file, read within bounds: what a length claims is compared with what the file still holds."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from semg.errors import RecordingError
from semg.formats.neutral import ReadLimits
from semg.formats.xdf import CLOCK_OFFSET, MAGIC, SAMPLES, STREAM_HEADER, sample_dtype

MAX_HEADER_BYTES, MAX_STREAMS, MAX_CHANNELS = 1 << 20, 1000, 4096
MAX_CHUNK_BYTES = 256 << 20
MAX_TEXT_BYTES = 1 << 16
_NUMBERS = {"float32": "<f4", "double64": "<f8", "int8": "i1", "int16": "<i2", "int32": "<i4", "int64": "<i8"}


@dataclass(slots=True)
class Stream:
    """A stream as far as it has been read.

    Attributes
    ----------
    info
        The header's XML.
    times_s, values
        Of the samples, in chunks; texts of a stream of strings, one tuple a sample, are in ``texts``.
    offsets
        Collection time and offset of the clock, in seconds.
    """

    number: int
    info: ET.Element
    name: str
    kind: str
    channels: int
    rate_hz: float
    form: str
    times_s: list[NDArray[np.float64]] = field(default_factory=list)
    values: list[NDArray[np.float32]] = field(default_factory=list)
    texts: list[tuple[str, ...]] = field(default_factory=list)
    offsets: list[tuple[float, float]] = field(default_factory=list)
    n: int = 0
    last_s: float = 0.0

    def described(self, path: str) -> str:
        """Return a text within the header's ``desc``, empty where there is none."""
        return (self.info.findtext(f"desc/{path}") or "").strip()

    def clocked_s(self) -> NDArray[np.float64]:
        """Return the times of all samples on the recorder's clock.

        The offset of the stream's clock goes on evenly: a line through all that were measured.
        """
        times_s = np.concatenate(self.times_s) if self.times_s else np.empty(0)
        if not any(offset for _, offset in self.offsets):
            return times_s
        at, offset = np.array(self.offsets).T
        if len(at) < 2 or np.ptp(at) <= 0:
            return np.asarray(times_s + np.median(offset), np.float64)
        slope, start = np.polyfit(at - at[0], offset, 1)
        return np.asarray(times_s + start + slope * (times_s - at[0]), np.float64)


def read(path: Path, limits: ReadLimits) -> list[Stream]:
    """Return the streams of a file.

    Raises
    ------
    RecordingError
        It is no such file, is damaged, or has more than the limits allow.
    """
    streams: dict[int, Stream] = {}
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            raise RecordingError(f"{path.name} is no XDF file: it does not begin as one. Choose another --format.")
        for tag, content in _chunks(file, path):
            if tag == STREAM_HEADER:
                if len(streams) >= MAX_STREAMS:
                    raise RecordingError(f"{path.name} has more than {MAX_STREAMS:,} streams")
                stream = _stream(content, path)
                streams[stream.number] = stream
            elif tag in (SAMPLES, CLOCK_OFFSET):
                known = streams.get(int.from_bytes(content[:4], "little"))
                if known is None:
                    raise RecordingError(f"{path.name} is damaged: samples of a stream that has no header")
                if tag == SAMPLES:
                    _samples(known, content, path, limits)
                elif len(content) == 20:
                    at_s, offset_s = struct.unpack("<dd", content[4:])
                    if np.isfinite(at_s) and np.isfinite(offset_s):
                        known.offsets.append((at_s, offset_s))
    return list(streams.values())


def _chunks(file: BinaryIO, path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the chunks; what was being written when the recorder ended is left out."""
    size = path.stat().st_size
    while head := file.read(1):
        width = head[0]
        raw = file.read(width) if width in (1, 4, 8) else b""
        if width not in (1, 4, 8):
            raise RecordingError(f"{path.name} is damaged at byte {file.tell():,}: a length of {width} bytes")
        if len(raw) < width:
            return
        length, left = int.from_bytes(raw, "little"), size - file.tell()
        if length > left or length < 2:
            raise RecordingError(
                f"{path.name} is cut off or damaged at byte {file.tell():,}: a chunk says {length:,} bytes, and "
                f"{left:,} follow"
            )
        if length > MAX_CHUNK_BYTES:
            raise RecordingError(
                f"{path.name} has a chunk of {length >> 20:,} MB; at most {MAX_CHUNK_BYTES >> 20} are read"
            )
        content = file.read(length)
        yield int.from_bytes(content[:2], "little"), content[2:]


def _stream(content: bytes, path: Path) -> Stream:
    text = content[4:]
    if len(text) > MAX_HEADER_BYTES or b"<!" in text:
        raise RecordingError(f"{path.name}: the header of a stream is larger than 1 MB, or declares entities")
    try:
        info = ET.fromstring(text)  # noqa: S314 - without declarations there are no entities
        rate_hz, channels = float(info.findtext("nominal_srate") or 0), int(info.findtext("channel_count") or 0)
    except (ET.ParseError, ValueError) as exc:
        raise RecordingError(f"{path.name}: the header of a stream is damaged ({str(exc)[:200]})") from exc
    form = (info.findtext("channel_format") or "").strip()
    if not 1 <= channels <= MAX_CHANNELS or form not in (*_NUMBERS, "string") or not 0 <= rate_hz < 1e6:
        raise RecordingError(f"{path.name}: a stream of {channels} channels of {form!r:.40} at {rate_hz:g} Hz")
    return Stream(
        number=int.from_bytes(content[:4], "little"),
        info=info,
        name=(info.findtext("name") or "").strip(),
        kind=(info.findtext("type") or "").strip(),
        channels=channels,
        rate_hz=rate_hz,
        form=form,
    )


def _samples(stream: Stream, content: bytes, path: Path, limits: ReadLimits) -> None:
    """Add a chunk of samples to its stream."""
    width = content[4] if len(content) > 4 else 0
    n = int.from_bytes(content[5 : 5 + width], "little")
    body = memoryview(content)[5 + width :]
    least = stream.channels * (1 if stream.form == "string" else np.dtype(_NUMBERS[stream.form]).itemsize)
    if width not in (1, 4, 8) or n * (1 + least) > len(body):
        raise RecordingError(f"{path.name} is damaged: a chunk of {len(body):,} bytes says that it holds {n:,} samples")
    if stream.n + n > limits.rows or (stream.n + n) * stream.channels > limits.values:
        raise RecordingError(f"{path.name} has more than {limits.rows:,} samples in a stream. Split the recording.")
    try:
        if stream.form == "string":
            _add_texts(stream, body, n)
        else:
            _add_numbers(stream, body, n)
    except (IndexError, struct.error, ValueError) as exc:
        raise RecordingError(f"{path.name} is damaged: a chunk of samples ends within one") from exc
    stream.n += n


def _add_numbers(stream: Stream, body: memoryview, n: int) -> None:
    """Add samples: runs of those with a time, and of those without one, each at once."""
    form = _NUMBERS[stream.form]
    shapes = {
        8: sample_dtype(form, stream.channels, stamped=True),
        0: sample_dtype(form, stream.channels, stamped=False),
    }
    at = 0
    while n:
        shape = shapes[8] if body[at] == 8 else shapes[0]
        if body[at] not in (0, 8):
            raise ValueError("a time of another length")
        most = min(n, (len(body) - at) // shape.itemsize)
        rows = np.frombuffer(body, shape, most, at)
        differs = np.flatnonzero(rows["bytes"] != body[at])
        rows = rows[: int(differs[0])] if len(differs) else rows
        if not len(rows):
            raise ValueError("no sample")
        if body[at] == 8:
            times_s = rows["time"].copy()
        else:
            times_s = stream.last_s + (1 + np.arange(len(rows))) / (stream.rate_hz or 1.0)
        if not np.isfinite(times_s).all():
            raise ValueError("a time that is none")
        stream.times_s.append(times_s)
        stream.values.append(rows["values"].astype(np.float32))
        stream.last_s = float(times_s[-1])
        at, n = at + len(rows) * shape.itemsize, n - len(rows)


def _add_texts(stream: Stream, body: memoryview, n: int) -> None:
    at, times_s = 0, []
    for _ in range(n):
        if body[at] == 8:
            stream.last_s = struct.unpack_from("<d", body, at + 1)[0]
        elif body[at] != 0 or not np.isfinite(stream.last_s):
            raise ValueError("a time of another length")
        at += 1 + body[at]
        texts = []
        for _ in range(stream.channels):
            width = body[at]
            length = int.from_bytes(body[at + 1 : at + 1 + width], "little")
            at += 1 + width
            if width not in (1, 4, 8) or length > min(MAX_TEXT_BYTES, len(body) - at):
                raise ValueError("a text of another length")
            texts.append(bytes(body[at : at + length]).decode("utf-8", "replace"))
            at += length
        times_s.append(stream.last_s)
        stream.texts.append(tuple(texts))
    stream.times_s.append(np.array(times_s, np.float64))
