"""Recordings as files: gzip (or plain) CSV ``millis,a0,…,aN,gesture,repetition`` in time order.

A change of (gesture, repetition) is an edge; repetition numbers may start again, so a stretch is a run of equal
pairs. Nothing else in ``semg`` reads or writes this layout.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semg.domain import MAX_RATE_HZ, MIN_RATE_HZ, Sensor
from semg.errors import RecordingError
from semg.recording_columns import CHUNK_ROWS, TOOL, UPLOAD, Limits, Reader, joined, tables
from semg.recording_text import open_text
from semg.signals.dataset import LabelledSamples
from semg.wire import csv_cells

__all__ = [
    "CHUNK_ROWS", "TOOL", "UPLOAD", "Limits", "Recording", "load_recording", "read_recording", "write_recording",
]  # fmt: skip
MAX_FILE_BYTES = 512 * 2**20
MAX_IN_A_MS = 4
"""Samples of one millisecond: two at ``MAX_RATE_HZ``, and as many again when the clock jumps."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A file's content.

    Attributes
    ----------
    labelled
        The samples with their stretches.
    device_ms
        Float64 ``(n,)``: the column ``millis``; samples of one whole millisecond stand evenly in it.
    """

    labelled: LabelledSamples
    device_ms: NDArray[np.float64]
    path: Path


def load_recording(
    path: str | Path,
    *,
    rate_hz: float | None = None,
    sensor: Sensor = "raw",
    mains_hz: float = 50.0,
    limits: Limits = TOOL,
) -> Recording:
    """Return a recording with its raw time column.

    The file is read in pieces: beside the samples themselves, ``CHUNK_ROWS`` rows of text are in memory.

    Parameters
    ----------
    path
        A gzip or plain CSV file; told apart by its first bytes.
    rate_hz
        Nominal sampling rate; found from the median step of ``millis`` when not given.
    sensor, mains_hz
        What the file does not say about the device.
    limits
        A file that holds more is refused.

    Raises
    ------
    RecordingError
        When the file is not there, is not such a CSV, is cut off, is too large, or holds values that no device
        sends; the sentence names the file and the first bad row.
    """
    path = Path(path)
    read = Reader(path, limits)
    with open_text(path, MAX_FILE_BYTES, limits.text_bytes) as text:
        for table in tables(path, text):
            read.take(table)
    channels, device_ms = read.channels, _spread(joined(read.millis))
    if len(device_ms) < 2:
        raise RecordingError(f"{path.name} has {len(device_ms)} samples; a recording needs at least two.")
    backwards = np.flatnonzero(np.diff(device_ms) <= 0)
    if len(backwards):
        row = int(backwards[0]) + 1
        raise RecordingError(
            f"{path.name}: millis must grow from row to row, but row {row + 2} has {device_ms[row]:g} after "
            f"{device_ms[row - 1]:g}. Sort the file by time, or split it where the device was restarted."
        )
    rate = _rate(path, device_ms) if rate_hz is None else float(rate_hz)
    if not MIN_RATE_HZ <= rate <= MAX_RATE_HZ:
        raise RecordingError(
            f"{path.name}: a rate of {rate:g} Hz was found or given; it must lie between {MIN_RATE_HZ:g} and "
            f"{MAX_RATE_HZ:g} Hz. Give rate_hz if millis is not in milliseconds."
        )
    starts_run = np.concatenate([[True], np.diff(device_ms) > 1500.0 / rate + 1.0])
    if int(starts_run.sum()) > limits.gaps + 1:
        raise RecordingError(
            f"{path.name} has {int(starts_run.sum()) - 1:,} gaps in millis; at most {limits.gaps:,} are read. "
            "Give rate_hz if millis is not in milliseconds, or split the recording."
        )
    stretch, stretches = joined(read.stretch), tuple(read.stretches)
    samples = joined(read.samples)
    labelled = LabelledSamples(samples, starts_run, stretch, stretches, channels, rate, sensor, mains_hz)
    return Recording(labelled, device_ms, path)


def read_recording(
    path: str | Path, *, rate_hz: float | None = None, sensor: Sensor = "raw", mains_hz: float = 50.0
) -> LabelledSamples:
    """Give a recording's labelled samples; parameters and errors as ``load_recording``."""
    return load_recording(path, rate_hz=rate_hz, sensor=sensor, mains_hz=mains_hz).labelled


def write_recording(
    path: str | Path,
    samples: NDArray[Any],
    device_ms: NDArray[Any],
    gestures: Sequence[str],
    repetitions: NDArray[Any],
    channels: Sequence[str] | None = None,
) -> None:
    """Write a recording that ``read_recording`` reads back; gzip when the name ends in ``.gz``.

    Parameters
    ----------
    samples
        ``(n, C)``; whole numbers are written as such.
    device_ms
        ``(n,)``, growing, in milliseconds.
    gestures, repetitions
        One per sample; an empty gesture means unlabelled.
    channels
        Names of the columns; ``a0, a1, …`` when not given.
    """
    path = Path(path)
    names = list(channels) if channels is not None else [f"a{index}" for index in range(samples.shape[1])]
    whole = bool(np.all(np.asarray(samples) == np.rint(samples)))
    columns: dict[str, Any] = {"millis": device_ms}
    for index, name in enumerate(names):
        columns[name] = samples[:, index].astype(np.int64) if whole else samples[:, index]
    columns["gesture"], columns["repetition"] = [csv_cells.neutral(gesture) for gesture in gestures], repetitions
    text = pd.DataFrame(columns).to_csv(index=False).encode()
    # mtime 0: the same samples give the same file.
    path.write_bytes(gzip.compress(text, 6, mtime=0) if path.suffix == ".gz" else text)


def _spread(device_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give times in which the samples of one whole millisecond stand evenly.

    Above 1 kHz a clock in milliseconds tells no more. More than ``MAX_IN_A_MS`` equal times, or equal ones in a slower
    recording, are no such clock: they stay, and are refused.
    """
    first = np.flatnonzero(np.append(True, np.diff(device_ms) != 0)[: len(device_ms)])
    counts = np.diff(np.append(first, len(device_ms)))
    usual = counts.max(initial=1) == 1 or counts.max() > MAX_IN_A_MS or (device_ms != np.rint(device_ms)).any()
    if usual or len(first) == 1 or np.median(np.diff(device_ms[first])) != 1:
        return device_ms
    place = np.arange(len(device_ms)) - np.repeat(first, counts)
    return device_ms + place / np.repeat(counts, counts)


def _rate(path: Path, device_ms: NDArray[np.float64]) -> float:
    """Give the rate that ``millis`` shows.

    Whole milliseconds cannot show a period of 3.3 ms in one step, so the rate is the mean over all steps that
    are no gap, rounded to whole hertz when that is within half a percent.
    """
    steps = np.diff(device_ms)
    usual = steps[steps <= 1.5 * float(np.median(steps)) + 1.0]
    rate = 1000.0 / float(usual.mean())
    return float(round(rate)) if abs(rate - round(rate)) <= 0.005 * rate else rate
