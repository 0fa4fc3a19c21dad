"""Read and write recordings as files: gzip (or plain) CSV ``millis,a0,…,aN,gesture,repetition`` in time order.

A change of (gesture, repetition) is an edge; repetition numbers may start again, so a stretch is a run of equal
pairs. Other layouts are read as well (``file_layout``). Nothing else in ``semg`` reads or writes these files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semg.domain import MAX_RATE_HZ, MIN_RATE_HZ, REST, Sensor
from semg.errors import RecordingError
from semg.names.normal_form import is_like_rest
from semg.recordings.columns import CHUNK_BYTES, TOOL, UPLOAD, Limits, Reader, joined, longest, tables
from semg.recordings.encoded_text import open_text
from semg.recordings.layout_guess import HEAD_BYTES, guess
from semg.recordings.lines import Lines
from semg.signals.dataset import LabelledSamples
from semg.signals.gaps import gap_step_us
from semg.signals.packet_times import spread
from semg.wire.file_layout import NO_ANSWERS, UNIT_MS, Layout, LayoutAnswers, LayoutGuess, TimeUnit, checked

__all__ = [
    "CHUNK_BYTES", "NO_ANSWERS", "TOOL", "UPLOAD", "LayoutAnswers", "LayoutGuess", "Layout", "Limits", "Recording",
    "guess_layout", "load_recording", "read_recording", "settled",
]  # fmt: skip
MAX_FILE_BYTES = 512 * 2**20
FITS = 1.5
"""Factor by which the measured rate may differ from a given one: beyond, a unit is wrong."""
_UNITS: dict[TimeUnit, str] = {"ms": "milliseconds", "s": "seconds", "us": "microseconds", "samples": "samples"}


@dataclass(frozen=True, slots=True)
class Recording:
    """Content of a file.

    Attributes
    ----------
    labelled
        The samples with their stretches.
    device_ms
        Float64 ``(n,)``: times of the samples in milliseconds; those of one time stamp are spread
        (``semg.signals.packet_times``).
    notes
        Notes for the person who imports the file, as sentences.
    """

    labelled: LabelledSamples
    device_ms: NDArray[np.float64]
    path: Path
    notes: tuple[str, ...] = ()


def guess_layout(
    path: str | Path, *, answers: LayoutAnswers = NO_ANSWERS, limits: Limits = TOOL, name: str = ""
) -> LayoutGuess:
    """Guess the layout of a file from its first lines.

    Raises
    ------
    RecordingError
        It is not there, or its first lines are no table of numbers.
    """
    path = Path(path)
    with open_text(path, MAX_FILE_BYTES, limits.text_bytes, name) as text:
        return guess(text.name, text.peek(HEAD_BYTES), answers.separator).answered(answers)


def load_recording(
    path: str | Path,
    *,
    layout: Layout | None = None,
    answers: LayoutAnswers = NO_ANSWERS,
    rate_hz: float | None = None,
    sensor: Sensor = "raw",
    mains_hz: float = 50.0,
    limits: Limits = TOOL,
    name: str = "",
) -> Recording:
    """Return a recording with the times of its samples.

    The file is read in chunks: beside the samples themselves, ``CHUNK_BYTES`` of text are in memory.

    Parameters
    ----------
    path
        A gzip or plain text file, distinguished by its first bytes.
    layout
        Its columns. Guessed from its first lines by default; the answers must settle open questions.
    answers
        Known properties of the columns.
    rate_hz
        Nominal sampling rate; by default that of the layout, or estimated from the times.
    sensor, mains_hz
        What the file does not say about the device.
    limits
        A file that holds more is refused.
    name
        Name of the file, for messages and the session; that of the path by default.

    Raises
    ------
    RecordingError
        When the file is not there, is no such table, is cut off, is too large, or holds values that no device
        sends; the sentence names the file and the first bad line. Also when its first lines leave a question open.
    """
    path, name = Path(path), name or Path(path).name
    if layout is None:
        layout = settled(name, guess_layout(path, answers=answers, limits=limits, name=name), rate_hz)
    layout = checked(name, replace(layout, rate_hz=rate_hz or layout.rate_hz))
    with open_text(path, MAX_FILE_BYTES, limits.text_bytes, name) as text:
        most, skipped = longest(layout), layout.n_skipped
        lines = Lines(text, layout.encoding, layout.separator, most, skipped, has_header=layout.has_header)
        read = Reader(name, layout, limits, lines.line_of)
        for table in tables(name, lines, layout):
            read.take(table)
    samples = joined(read.samples)
    if len(samples) < 2:
        raise RecordingError(f"{name} has {len(samples)} samples; a recording needs at least two.")
    device_ms, rate = _times(name, layout, joined(read.times) if read.times else None, len(samples), read)
    starts_run = np.concatenate([[True], 1000.0 * np.diff(device_ms) >= gap_step_us(1e6 / rate)])
    if int(starts_run.sum()) > limits.gaps + 1:
        raise RecordingError(
            f"{name} has {int(starts_run.sum()) - 1:,} gaps in {layout.time}; at most {limits.gaps:,} are read. "
            "Choose the right time unit (--time-unit on the command line), or split the recording."
        )
    stretch, stretches = joined(read.stretch), tuple(read.stretches)
    labelled = LabelledSamples(samples, starts_run, stretch, stretches, layout.names, rate, sensor, mains_hz)
    return Recording(labelled, device_ms, path, _notes(name, lines, labelled))


def settled(name: str, guessed: LayoutGuess, rate_hz: float | None = None) -> Layout:
    """Return a guessed layout, which must leave no question open.

    Raises
    ------
    RecordingError
        It leaves one open; the sentence says which, and how it is answered.
    """
    layout, open_ = guessed.layout, set(guessed.questions)
    if rate_hz is not None:
        open_.discard("rate_hz")
    if open_ & {"label", "time", "channels"}:
        missing = [one for one in ("millis", "gesture") if one not in layout.header]
        raise RecordingError(
            f"{name} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; expected the header "
            f"millis,a0,…,aN,gesture,repetition and found {','.join(layout.header)[:200]}. Say which columns are the "
            "time, the channels and the label (--time, --channels, --label)."
            if missing
            else f"{name} has columns that are neither numbers nor gesture or repetition. Say which are channels "
            "(--channels)."
        )
    if "time_unit" in open_:
        raise RecordingError(
            f"{name}: the steps of {layout.time} look like {_UNITS[layout.time_unit]}. Confirm with --time-unit "
            f"{layout.time_unit}, or give another unit (ms, us, s, samples)."
        )
    if "rate_hz" in open_:
        raise RecordingError(f"{name} does not state its sampling rate: give it with --rate-hz.")
    if "rest" in open_ and layout.is_own:
        return replace(layout, rest="")  # in the platform's own files rest is called rest
    if "rest" in open_:
        raise RecordingError(
            f"{name} has no label “rest”, but “{layout.rest}” may mean rest. If it does, add --rest {layout.rest!r}; "
            "if no label means rest, add --rest ''."
        )
    return layout


def read_recording(
    path: str | Path, *, rate_hz: float | None = None, sensor: Sensor = "raw", mains_hz: float = 50.0
) -> LabelledSamples:
    """Return a recording's labelled samples; parameters and errors as ``load_recording``."""
    return load_recording(path, rate_hz=rate_hz, sensor=sensor, mains_hz=mains_hz).labelled


def _times(
    name: str, layout: Layout, stamps: NDArray[np.float64] | None, n_samples: int, read: Reader
) -> tuple[NDArray[np.float64], float]:
    """Return the times of the samples in milliseconds, and the rate."""
    if stamps is None:
        assert layout.rate_hz is not None
        even_ms = np.arange(n_samples, dtype=np.float64) * (1000.0 / layout.rate_hz)
        return even_ms, layout.rate_hz
    falls = np.flatnonzero(np.diff(stamps) < 0)
    if len(falls):
        row = int(falls[0]) + 1
        raise RecordingError(
            f"{name}: {layout.time} must not go backwards, but line {read.line_of(layout.has_header + row):,} has "
            f"{stamps[row]:g} after {stamps[row - 1]:g}. Sort the file by time, or split it where the device restarted."
        )
    if layout.time_unit == "samples":
        assert layout.rate_hz is not None
        stamps_ms = (stamps - stamps[0]) * (1000.0 / layout.rate_hz)
    else:
        stamps_ms = stamps * UNIT_MS[layout.time_unit]
    shown = _rate(stamps_ms)
    rate = shown if layout.rate_hz is None else layout.rate_hz
    if not MIN_RATE_HZ <= rate <= MAX_RATE_HZ or not rate / FITS <= shown <= rate * FITS:
        expected = f"{MIN_RATE_HZ:g} to {MAX_RATE_HZ:g}" if layout.rate_hz is None else f"about the {rate:g} given"
        raise RecordingError(
            f"{name}: {layout.time}, read in {_UNITS[layout.time_unit]}, gives {shown:g} samples/s; expected "
            f"{expected}. Choose the right time unit (--time-unit) or rate (--rate-hz)."
        )
    try:
        times_us = spread(np.rint(stamps_ms * 1000).astype(np.int64), 1e6 / rate)
    except ValueError as exc:
        raise RecordingError(
            f"{name}: {layout.time} stays the same for more than one second's worth of samples. Choose the right time "
            "column or time unit."
        ) from exc
    times_ms: NDArray[np.float64] = times_us / 1000.0
    return times_ms, rate


def _rate(stamps_ms: NDArray[np.float64]) -> float:
    """Estimate the rate from the times.

    Whole milliseconds cannot show a period of 3.3 ms in one step, so the rate is the mean over all steps that are no
    gap, times the samples that share a time; rounded to whole hertz when that is within half a percent.
    """
    steps = np.diff(stamps_ms)
    positive_steps = steps[steps > 0]
    if not len(positive_steps):
        return float("inf")
    usual = positive_steps[1000.0 * positive_steps < gap_step_us(1000.0 * float(np.median(positive_steps)))]
    rate = 1000.0 / float(usual.mean()) * (len(stamps_ms) / (len(positive_steps) + 1))
    return float(round(rate)) if abs(rate - round(rate)) <= 0.005 * rate else rate


def _notes(name: str, lines: Lines, labelled: LabelledSamples) -> tuple[str, ...]:
    """Return the notes for the person who imports a recording, as sentences."""
    notes = []
    if lines.cut_line is not None:
        number, text = lines.cut_line
        kept = f"The {len(labelled.samples):,} samples before it are kept."
        notes.append(f"{name} is cut off: its last line ({number:,}) is incomplete (“{text}”) and is left out. {kept}")
    labels = dict.fromkeys(stretch.label for stretch in labelled.stretches)
    rest_like = [label for label in labels if is_like_rest(label)]
    if rest_like and REST not in labels:
        notes.append(
            f"{name} has no label “rest”: “{rest_like[0]}”, which may mean rest, will be imported as a gesture. If it "
            "means rest, choose it as “Label that means rest” (--rest)."
        )
    return tuple(notes)
