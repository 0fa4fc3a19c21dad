"""XDF, out: samples, late samples and labels as streams of one file.

XDF 1.0, https://github.com/sccn/xdf/wiki/Specifications. No package writes it; pyxdf reads it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.sax.saxutils import escape

import numpy as np

from semg.formats.neutral import About, Label, NeutralRecording, Portion, Written, no_samples

MAGIC = b"XDF:"
FILE_HEADER, STREAM_HEADER, SAMPLES, CLOCK_OFFSET, BOUNDARY, STREAM_FOOTER = range(1, 7)
BOUNDARY_ID = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")
SIGNAL, MARKERS, LATE = 1, 2, 3
LABEL_FIELDS = ("gesture", "edge", "repetition", "excluded", "reason")
START, END, RUN = "start", "end", "run"
"""What the field ``edge`` says: a repetition starts or ends, or a run of samples starts behind a gap."""


def varlen(n: int) -> bytes:
    """Return a length as XDF writes it: how many bytes it has, and the bytes."""
    if n < 1 << 8:
        return b"\x01" + struct.pack("<B", n)
    if n < 1 << 32:
        return b"\x04" + struct.pack("<I", n)
    return b"\x08" + struct.pack("<Q", n)


def chunk(tag: int, content: bytes) -> bytes:
    """Return a chunk of a file."""
    return varlen(len(content) + 2) + struct.pack("<H", tag) + content


@dataclass(slots=True)
class _Stream:
    """A stream while it is written."""

    number: int
    header: str
    first_s: float = 0.0
    last_s: float = 0.0
    n: int = 0

    def begin(self, file: BinaryIO, clock_s: float) -> None:
        """Write its header, and that its clock is the file's."""
        file.write(chunk(STREAM_HEADER, struct.pack("<I", self.number) + self.header.encode()))
        file.write(chunk(CLOCK_OFFSET, struct.pack("<Idd", self.number, clock_s, 0.0)))

    def add(self, file: BinaryIO, content: bytes, n: int, first_s: float, last_s: float) -> None:
        """Write some samples."""
        file.write(chunk(SAMPLES, struct.pack("<I", self.number) + varlen(n) + content))
        self.first_s = self.first_s if self.n else first_s
        self.last_s, self.n = last_s, self.n + n

    def end(self, file: BinaryIO) -> None:
        """Write its footer."""
        file.write(chunk(CLOCK_OFFSET, struct.pack("<Idd", self.number, self.last_s, 0.0)))
        footer = (
            f'<?xml version="1.0"?><info><first_timestamp>{self.first_s:.6f}</first_timestamp>'
            f"<last_timestamp>{self.last_s:.6f}</last_timestamp><sample_count>{self.n}</sample_count></info>"
        )
        file.write(chunk(STREAM_FOOTER, struct.pack("<I", self.number) + footer.encode()))


def write(recording: NeutralRecording, target: Path) -> Written:
    """Write a recording with one portion in memory.

    Raises
    ------
    RecordingError
        It has no samples.
    """
    about = recording.about
    first = next(iter(recording.portions()), None)
    if first is None:
        raise no_samples(about.name)
    clock_s = int(first.times_us[0]) / 1e6
    signal = _Stream(SIGNAL, _signal_header(about, f"{about.name} EMG", "EMG"))
    markers = _Stream(MARKERS, _markers_header(about))
    late = _Stream(LATE, _signal_header(about, f"{about.name} late", "EMG-late"))
    runs: list[int] = []
    with target.open("wb") as file:
        file.write(MAGIC + chunk(FILE_HEADER, b'<?xml version="1.0"?><info><version>1.0</version></info>'))
        signal.begin(file, clock_s)
        markers.begin(file, clock_s)
        for portion in recording.portions():
            live = ~portion.late
            _add(file, signal, portion, live)
            runs += portion.times_us[live & portion.starts_run].tolist()
            if portion.late.any():
                if not late.n:
                    late.begin(file, clock_s)
                _add(file, late, portion, portion.late)
            file.write(chunk(BOUNDARY, BOUNDARY_ID))
        edges = _edges(recording.labels, runs)
        if edges:
            content = b"".join(_marker(time_us, said) for time_us, said in edges)
            markers.add(file, content, len(edges), edges[0][0] / 1e6, edges[-1][0] / 1e6)
        for stream in (signal, markers, late):
            if stream.n:
                stream.end(file)
    return Written((target,), recording.notes)


def _add(file: BinaryIO, stream: _Stream, portion: Portion, chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
    times_s, samples = portion.times_us[chosen] / 1e6, portion.samples[chosen]
    if not len(times_s):
        return
    rows = np.empty(len(times_s), sample_dtype("<f4", samples.shape[1], stamped=True))
    rows["bytes"], rows["time"], rows["values"] = 8, times_s, samples
    stream.add(file, rows.tobytes(), len(rows), float(times_s[0]), float(times_s[-1]))


def sample_dtype(values: str, channels: int, *, stamped: bool) -> np.dtype[np.void]:
    """Return a sample as a file holds it: how many bytes its time has, the time, and the values."""
    time = [("time", "<f8")] if stamped else []
    return np.dtype([("bytes", "u1"), *time, ("values", values, (channels,))])


def _edges(labels: Sequence[Label], runs: Sequence[int]) -> list[tuple[int, tuple[str, ...]]]:
    """Return the markers in the order of their times."""
    found: list[tuple[int, tuple[str, ...]]] = [(at, ("", RUN, "", "", "")) for at in runs]
    for one in labels:
        about = (str(one.number), str(int(one.excluded)), one.reason)
        found += [(one.start_us, (one.gesture, START, *about)), (one.end_us, (one.gesture, END, *about))]
    # At one time a repetition ends before another starts.
    return sorted(found, key=lambda edge: (edge[0], edge[1][1] == START))


def _marker(time_us: int, said: tuple[str, ...]) -> bytes:
    texts = [text.encode() for text in said]
    return b"\x08" + struct.pack("<d", time_us / 1e6) + b"".join(varlen(len(text)) + text for text in texts)


def _header(name: str, kind: str, channels: int, rate_hz: float, form: str, source: str, desc: str) -> str:
    return (
        f'<?xml version="1.0"?><info><name>{escape(name)}</name><type>{kind}</type>'
        f"<channel_count>{channels}</channel_count><nominal_srate>{rate_hz!r}</nominal_srate>"
        f"<channel_format>{form}</channel_format><source_id>{escape(source)}</source_id>"
        f"<created_at>0</created_at><desc>{desc}</desc></info>"
    )


def _signal_header(about: About, name: str, kind: str) -> str:
    channels = "".join(
        f"<channel><label>{escape(one)}</label><unit>{escape(about.unit)}</unit><type>EMG</type></channel>"
        for one in about.channels
    )
    desc = (
        f"<channels>{channels}</channels><session>{escape(about.name)}</session><sensor>{about.sensor}</sensor>"
        f"<mains_hz>{about.mains_hz:g}</mains_hz>"
    )
    return _header(name, kind, len(about.channels), about.rate_hz, "float32", f"semg-{about.person}", desc)


def _markers_header(about: About) -> str:
    fields = "".join(f"<channel><label>{name}</label></channel>" for name in LABEL_FIELDS)
    desc = f"<channels>{fields}</channels>"
    name, source = f"{about.name} labels", f"semg-{about.person}"
    return _header(name, "Markers", len(LABEL_FIELDS), 0.0, "string", source, desc)
