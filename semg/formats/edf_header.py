"""The header of EDF, EDF+, BDF and BDF+ files: fields of ASCII text at fixed positions.

EDF: Kemp et al., Electroenceph. Clin. Neurophysiol. 82 (1992) 391. EDF+: Kemp and Olivan, Clin. Neurophysiol. 114
(2003) 1755, www.edfplus.info. BDF is EDF with three bytes a sample, BDF+ is EDF+ likewise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from semg.errors import RecordingError

BDF_MARK, EDF_MARK = b"\xffBIOSEMI", b"0       "
MAX_SIGNALS = 512
MAX_RECORD_BYTES = 15 << 20
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_FIXED = (8, 80, 80, 8, 8, 8, 44, 8, 8, 4)
_PER_SIGNAL = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One signal of a file.

    Attributes
    ----------
    per_record
        Samples in a data record.
    """

    label: str
    transducer: str = ""
    unit: str = ""
    low: float = -1.0
    high: float = 1.0
    digital_low: int = -(1 << 23)
    digital_high: int = (1 << 23) - 1
    per_record: int

    @property
    def is_annotation(self) -> bool:
        """Whether it holds annotations in place of samples."""
        return self.label in ("BDF Annotations", "EDF Annotations")

    @property
    def step(self) -> float:
        """Physical value of one digital step."""
        return (self.high - self.low) / (self.digital_high - self.digital_low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A file's header; ``plus`` is ``EDF+C``, ``BDF+D`` or empty, ``width`` the bytes of a sample."""

    width: int
    patient: str
    recording: str
    started_at: datetime | None
    plus: str
    n_records: int
    record_s: float
    signals: tuple[Signal, ...]

    @property
    def n_bytes(self) -> int:
        """Size of the header."""
        return 256 * (1 + len(self.signals))

    @property
    def record_bytes(self) -> int:
        """Size of a data record."""
        return self.width * sum(signal.per_record for signal in self.signals)


def number_text(value: float, *, up: bool | None = None) -> str:
    """Return a number in at most eight characters, rounded up or down where that is asked for.

    Raises
    ------
    RecordingError
        It has too many digits before the point.
    """
    for digits in range(7, -1, -1):
        scaled = value * 10**digits
        rounded = round(scaled) if up is None else math.ceil(scaled) if up else math.floor(scaled)
        text = f"{rounded / 10**digits:.{digits}f}"
        if len(text) <= 8 and math.isfinite(value):
            return text
    raise RecordingError(f"a header of BDF has eight characters for a number; {value:g} does not fit")


def ascii_text(text: str, length: int) -> str:
    """Return a text in printable ASCII, cut to a length; other letters become ``_``."""
    return "".join(letter if " " <= letter <= "~" else "_" for letter in text)[:length]


def to_bytes(header: Header) -> bytes:
    """Return a header as a file holds it; its start is that of whole seconds."""
    at = header.started_at or datetime(1985, 1, 1, tzinfo=UTC)
    year = at.year if 1985 <= at.year <= 2084 else 1985
    fields: list[str] = [
        ascii_text(header.patient, 80),
        ascii_text(header.recording, 80),
        f"{at.day:02d}.{at.month:02d}.{year % 100:02d}",
        f"{at:%H.%M.%S}",
        str(header.n_bytes),
        header.plus,
        str(header.n_records),
        number_text(header.record_s),
        str(len(header.signals)),
    ]
    out = [BDF_MARK if header.width == 3 else EDF_MARK]
    out += [_field(text, length) for text, length in zip(fields, _FIXED[1:], strict=True)]
    columns = [
        [
            ascii_text(one.label, 16), ascii_text(one.transducer, 80), ascii_text(one.unit, 8),
            number_text(one.low), number_text(one.high), str(one.digital_low), str(one.digital_high),
            "", str(one.per_record), "",
        ]
        for one in header.signals
    ]  # fmt: skip
    for index, length in enumerate(_PER_SIGNAL):
        out += [_field(column[index], length) for column in columns]
    return b"".join(out)


def _field(text: str, length: int) -> bytes:
    if len(text) > length:
        raise RecordingError(f"a header of BDF has {length} characters for “{text}”")
    return text.encode("ascii").ljust(length)


def plus_date(at: datetime | None) -> str:
    """Return a date as EDF+ writes it within a text: ``05-JAN-2026``, or ``X``."""
    return "X" if at is None else f"{at.day:02d}-{_MONTHS[at.month - 1]}-{at.year:04d}"


def read(file: BinaryIO, path: Path) -> Header:
    """Return the header at the beginning of a file, which is checked against the file's own size.

    Raises
    ------
    RecordingError
        It is no such file, or its header contradicts itself or the file.
    """
    size = path.stat().st_size
    head = file.read(256)
    width = {BDF_MARK: 3, EDF_MARK: 2}.get(head[:8])
    if width is None or len(head) < 256:
        raise RecordingError(f"{path.name} is no EDF or BDF file: it does not begin as one. Choose another --format.")
    fields = _cut(head, _FIXED)
    n = _whole(path, "number of signals", fields[9], 1, MAX_SIGNALS)
    if _whole(path, "size of the header", fields[5], 0, 1 << 20) != 256 * (1 + n):
        raise RecordingError(f"{path.name} is damaged: its header says {fields[5]} bytes, expected {256 * (1 + n)}")
    rest = file.read(256 * n)
    if len(rest) < 256 * n:
        raise RecordingError(f"{path.name} is cut off within its header of {256 * (1 + n):,} bytes")
    columns, at = [], 0
    for length in _PER_SIGNAL:
        columns.append(_cut(rest[at : at + length * n], (length,) * n))
        at += length * n
    signals = tuple(_signal(path, width, [column[index] for column in columns]) for index in range(n))
    header = Header(
        width=width,
        patient=fields[1],
        recording=fields[2],
        started_at=_start(fields[3], fields[4], fields[2]),
        plus=fields[6][:5] if fields[6][:4] in ("EDF+", "BDF+") else "",
        n_records=_whole(path, "number of data records", fields[7], -1, 10**8),
        record_s=_number(path, "duration of a data record", fields[8]),
        signals=signals,
    )
    return _checked(header, path, size)


def _checked(header: Header, path: Path, size: int) -> Header:
    if not 0 < header.record_bytes <= MAX_RECORD_BYTES:
        raise RecordingError(
            f"{path.name} says that a data record has {header.record_bytes:,} bytes; expected 1 to {MAX_RECORD_BYTES:,}"
        )
    held = (size - header.n_bytes) // header.record_bytes
    if header.n_records == -1:  # it was being written when it ended
        return replace(header, n_records=held)
    if held < header.n_records:
        raise RecordingError(
            f"{path.name} is cut off, or its header lies: it says {header.n_records:,} data records of "
            f"{header.record_bytes:,} bytes, and the file has room for {held:,}. Copy the file again."
        )
    return header


def _signal(path: Path, width: int, texts: list[str]) -> Signal:
    label = texts[0]
    reach = 1 << (8 * width - 1)
    made = Signal(
        label=label,
        transducer=texts[1],
        unit=texts[2],
        low=_number(path, f"smallest value of “{label}”", texts[3]),
        high=_number(path, f"largest value of “{label}”", texts[4]),
        digital_low=_whole(path, f"digital range of “{label}”", texts[5], -reach, reach - 1),
        digital_high=_whole(path, f"digital range of “{label}”", texts[6], -reach, reach - 1),
        per_record=_whole(path, f"samples of “{label}” in a record", texts[8], 0, MAX_RECORD_BYTES),
    )
    if not made.is_annotation and (made.digital_high <= made.digital_low or made.high == made.low):
        raise RecordingError(
            f"{path.name}: the range of “{label}” is empty ({texts[3]} to {texts[4]}, {texts[5]} to {texts[6]})"
        )
    return made


def _cut(raw: bytes, lengths: tuple[int, ...]) -> list[str]:
    texts, at = [], 0
    for length in lengths:
        texts.append(raw[at : at + length].decode("latin-1").strip(" \x00"))
        at += length
    return texts


def _number(path: Path, what: str, text: str) -> float:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RecordingError(f"{path.name} is damaged: the {what} in its header is “{text}”, expected a number")
    return value


def _whole(path: Path, what: str, text: str, least: int, most: int) -> int:
    value = _number(path, what, text)
    if value != int(value) or not least <= value <= most:
        raise RecordingError(
            f"{path.name} is damaged: the {what} in its header is “{text}”, expected {least:,} to {most:,}"
        )
    return int(value)


def _start(date: str, time: str, recording: str) -> datetime | None:
    """Return when a file begins; the century of its two digits is that of EDF, unless the text beside it says it."""
    try:
        day, month, year = (int(part) for part in date.split("."))
        hour, minute, second = (int(part) for part in time.split("."))
        said = recording.split(" ")
        whole = year + (1900 if year >= 85 else 2000)
        if len(said) > 1 and said[0] == "Startdate":
            if said[1] == "X":
                return None
            whole = int(said[1].rpartition("-")[2])
        return datetime(whole, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
