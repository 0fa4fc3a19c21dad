"""Write a recording as BDF+C: 24 bits a sample, on an even grid, with labels and gaps as annotations.

Never BDF+D, whose gaps MNE reads as if they were not there: gaps are filled, and covered by ``BAD_gap``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semg.domain import utc_from_us
from semg.formats import edf_annotations
from semg.formats.edf_annotations import Annotation
from semg.formats.edf_header import Header, Signal, ascii_text, number_text, plus_date, to_bytes
from semg.formats.grid import Span, Survey, dropped_note, iterate_filled, survey
from semg.formats.neutral import GAP, LATE, About, NeutralRecording, Written

DIGITAL_LOW, DIGITAL_HIGH = -(1 << 23), (1 << 23) - 1
_RECORD_S = tuple(range(1, 11))
_RATE_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class RecordShape:
    """How long a data record is: ``n`` samples of each channel in ``seconds``."""

    n: int
    seconds: float

    @property
    def rate_hz(self) -> float:
        """The rate that a reader finds."""
        return self.n / self.seconds


def record_shape(rate_hz: float) -> RecordShape:
    """Return a length of records that gives a rate exactly, or as nearly as eight characters of text can."""
    best = RecordShape(0, 1.0)
    for seconds in _RECORD_S:
        n = max(1, round(rate_hz * seconds))
        shape = RecordShape(n, float(number_text(n / rate_hz)))
        if best.n == 0 or abs(shape.rate_hz / rate_hz - 1) < abs(best.rate_hz / rate_hz - 1) - _RATE_TOLERANCE:
            best = shape
    return best


def write(recording: NeutralRecording, target: Path) -> Written:
    """Write a recording as one file, with one record in memory.

    Raises
    ------
    RecordingError
        It has no samples, gaps too long to be filled, or values that the header cannot hold.
    """
    found, about = survey(recording), recording.about
    shape = record_shape(about.rate_hz)
    n_records = math.ceil(found.n_grid / shape.n)
    names = channel_labels(about.channels)
    signals = [_signal(about, name, index, found, shape.n) for index, name in enumerate(names)]
    start = utc_from_us(found.start_us) if about.dated else None
    first_s = found.start_us % 1_000_000 / 1e6 if about.dated else 0.0
    lists = [edf_annotations.encode(one) for one in annotated(found, shape, first_s, n_records)]
    longest = (
        len(edf_annotations.keeping(first_s + n_records * shape.seconds)) + 7
    )  # decimals that later records may have
    size = edf_annotations.record_size(lists, n_records, longest)
    size += -size % 3
    header = Header(
        width=3,
        patient=f"{_word(about.person)} X X X",
        recording=f"Startdate {plus_date(start)} {_word(about.name)} X sEMG_platform",
        started_at=start,
        plus="BDF+C",
        n_records=n_records,
        record_s=shape.seconds,
        signals=(*signals, Signal(label="BDF Annotations", per_record=size // 3)),
    )
    with target.open("wb") as file:
        file.write(to_bytes(header))
        texts = edf_annotations.pack(lists, first_s, shape.seconds, n_records, size)
        for samples, text in zip(iterate_filled(recording, shape.n), texts, strict=True):
            file.write(_digital(samples, signals, shape.n))
            file.write(text)
    cut = ("Channel names are written as 16 letters of ASCII: " + ", ".join(names) + ".",)
    notes = cut if names != about.channels else ()
    return Written((target,), (*recording.notes, *notes, *dropped_note(recording, found)))


def channel_labels(channels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of channels as the header holds them: 16 letters of ASCII, each another one."""
    made: list[str] = []
    for index, name in enumerate(channels):
        text = ascii_text(name, 16)
        made.append(text if text not in made and text.strip() == text != "" else f"{text[:12].strip()}_{index}")
    return tuple(made)


def annotated(found: Survey, shape: RecordShape, first_s: float, n_records: int) -> list[Annotation]:
    """Return the annotations of a recording in the order of their time; the filled end of the last record is a gap."""

    def at(span: Span, texts: tuple[str, ...]) -> Annotation:
        return Annotation(first_s + span.first / shape.rate_hz, (span.end - span.first) / shape.rate_hz, texts)

    made = [at(span, (GAP,)) for span in found.gaps]
    made += [at(span, (LATE,)) for span in found.late]
    if found.n_grid < n_records * shape.n:
        made.append(at(Span(found.n_grid, n_records * shape.n), (GAP,)))
    made += [
        at(span, edf_annotations.texts_of(label.gesture, label.number, label.excluded, label.reason))
        for label, span in found.labels
    ]
    return sorted(made, key=lambda one: one.onset_s)


def _signal(about: About, name: str, index: int, found: Survey, per_record: int) -> Signal:
    """Return a channel with the range of its device, where its values lie in it.

    Whole numbers within 24 bits are stored as they are: digital and physical value are the same.
    """
    low, high = float(found.low[index]), float(found.high[index])
    if about.value_min is not None and about.value_max is not None:
        low, high = min(low, about.value_min), max(high, about.value_max)
    low_text, high_text = number_text(low, up=False), number_text(high, up=True)
    if float(low_text) >= float(high_text):
        high_text = number_text(float(low_text) + 1, up=True)
    digital_low, digital_high = DIGITAL_LOW, DIGITAL_HIGH
    if found.whole and float(low_text) >= DIGITAL_LOW and float(high_text) <= DIGITAL_HIGH:
        digital_low, digital_high = math.floor(float(low_text)), math.ceil(float(high_text))
        low_text, high_text = str(digital_low), str(digital_high)
    return Signal(
        label=name,
        transducer=f"sEMG {about.sensor}",
        unit=about.unit,
        low=float(low_text),
        high=float(high_text),
        digital_low=digital_low,
        digital_high=digital_high,
        per_record=per_record,
    )


def _digital(samples: NDArray[np.float32], signals: list[Signal], n: int) -> bytes:
    """Return a record's samples, channel by channel, three bytes each; the last record is filled."""
    if len(samples) < n:
        samples = np.concatenate([samples, np.repeat(samples[-1:], n - len(samples), axis=0)])
    low = np.array([one.low for one in signals])
    step = np.array([one.step for one in signals])
    least = np.array([one.digital_low for one in signals])
    most = np.array([one.digital_high for one in signals])
    digital = np.clip(np.rint((samples.astype(np.float64) - low) / step) + least, least, most).astype("<i4")
    return np.ascontiguousarray(digital.T).view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def _word(text: str) -> str:
    """Return a text as one word of a header of EDF+, whose words are parted by blanks."""
    return text.replace(" ", "_") or "X"
