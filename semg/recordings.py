"""Recordings as files: gzip (or plain) CSV ``millis,a0,…,aN,gesture,repetition`` in time order.

A change of (gesture, repetition) is an edge; repetition numbers may start again, so a stretch is a run of equal
pairs. Nothing else in ``semg`` reads or writes this layout.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semg.domain import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ, Sensor
from semg.errors import RecordingError
from semg.recording_text import PIECE_BYTES, BoundedText, open_text
from semg.signals.dataset import LabelledSamples, Stretch
from semg.wire import csv_cells

MAX_FILE_BYTES = 512 * 2**20
MAX_HEADER_BYTES = 4096
MAX_ABSOLUTE_VALUE = 1e9
MAX_IN_A_MS = 4
"""Samples of one millisecond: two at ``MAX_RATE_HZ``, and as many again when the clock jumps."""
CHUNK_ROWS = 50_000
_LABEL_COLUMNS = ("gesture", "repetition")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a file is read; more is refused as soon as it is seen, not when all is in memory.

    Attributes
    ----------
    text_bytes
        Of the text, unpacked.
    values
        Samples times channels: four bytes of memory each.
    stretches
        Runs of rows of one gesture and repetition.
    gaps
        Where ``millis`` leaves out samples.
    """

    text_bytes: int
    rows: int
    values: int
    stretches: int
    gaps: int


TOOL = Limits(text_bytes=2 << 30, rows=20_000_000, values=640_000_000, stretches=100_000, gaps=1_000_000)
"""Of a file that an operator names on the command line."""
UPLOAD = Limits(text_bytes=256 << 20, rows=8_000_000, values=64_000_000, stretches=5_000, gaps=20_000)
"""Of a file that somebody uploads: two hours of 16 channels at 500 Hz, half a GB of memory at the most."""


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
    read = _Reader(path, limits)
    with open_text(path, MAX_FILE_BYTES, limits.text_bytes) as text:
        for table in _tables(path, text):
            read.take(table)
    channels, device_ms = read.channels, _spread(_joined(read.millis))
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
    stretch, stretches = _joined(read.stretch), tuple(read.stretches)
    samples = _joined(read.samples)
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


def _tables(path: Path, text: BoundedText) -> Iterator[pd.DataFrame]:
    """Yield the rows in portions; the first one has the header's columns even when there are no rows."""
    # Looked at before pandas makes a column of every comma.
    header = text.peek(MAX_HEADER_BYTES + 1).split(b"\n", 1)[0]
    if len(header) > MAX_HEADER_BYTES or header.count(b",") >= MAX_CHANNELS + 1 + len(_LABEL_COLUMNS):
        raise RecordingError(
            f"{path.name} begins with a line of more than {MAX_CHANNELS + 3} columns or {MAX_HEADER_BYTES} bytes; "
            "expected the header millis,a0,…,aN,gesture,repetition."
        )
    lines = io.TextIOWrapper(text, "utf-8", newline="")  # type: ignore[type-var]
    lines._CHUNK_SIZE = PIECE_BYTES  # type: ignore[attr-defined]
    try:
        yield from pd.read_csv(
            lines, keep_default_na=False, na_values=[""], dtype={"gesture": str}, chunksize=CHUNK_ROWS
        )
    except (ValueError, UnicodeDecodeError) as exc:
        raise RecordingError(
            f"{path.name} is not a CSV with the header millis,a0,…,aN,gesture,repetition ({exc})."
        ) from exc


@dataclass(slots=True)
class _Reader:
    """What has been read of a file, as columns in pieces."""

    path: Path
    limits: Limits
    channels: tuple[str, ...] = ()
    millis: list[NDArray[np.float64]] = field(default_factory=list)
    samples: list[NDArray[np.float32]] = field(default_factory=list)
    stretch: list[NDArray[np.int32]] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)
    n_rows: int = 0
    last: tuple[str, int] | None = None

    def take(self, table: pd.DataFrame) -> None:
        """Add some rows."""
        self.channels = self.channels or _channel_names(self.path, table)
        n_rows = self.n_rows + len(table)
        if n_rows > self.limits.rows or n_rows * len(self.channels) > self.limits.values:
            most = min(self.limits.rows, self.limits.values // len(self.channels))
            raise RecordingError(f"{self.path.name} has more than {most:,} rows. Split the recording.")
        self.millis.append(self._numbers(table, "millis"))
        columns = [self._numbers(table, name) for name in self.channels]
        self.samples.append(np.stack(columns, axis=1).astype(np.float32))
        self._number_stretches(table)
        self.n_rows = n_rows

    def _number_stretches(self, table: pd.DataFrame) -> None:
        """Number the runs of equal (gesture, repetition) on; rows without a gesture belong to none."""
        gestures = table["gesture"].fillna("").to_numpy(dtype=object)
        labelled = gestures != ""
        repetitions = np.zeros(len(table), np.int64)
        if labelled.any():
            repetitions = np.where(labelled, self._numbers(table, "repetition", labelled), 0).astype(np.int64)
        differs = (gestures[1:] != gestures[:-1]) | (repetitions[1:] != repetitions[:-1])
        begins = np.concatenate([[True], differs])[: len(table)]
        if len(table):
            begins[0] = (gestures[0], int(repetitions[0])) != self.last
            self.last = (gestures[-1], int(repetitions[-1]))
        firsts = np.flatnonzero(begins & labelled)
        if len(self.stretches) + len(firsts) > self.limits.stretches:
            raise RecordingError(
                f"{self.path.name} has more than {self.limits.stretches:,} stretches of one gesture and repetition. "
                "Label whole repetitions and not single rows, or split the recording."
            )
        numbers = len(self.stretches) - 1 + np.cumsum(begins & labelled)
        self.stretch.append(np.where(labelled, numbers, -1).astype(np.int32))
        session = self.path.name.removesuffix(".gz").removesuffix(".csv")
        for first in firsts:
            label = csv_cells.restored(str(gestures[first]))
            self.stretches.append(Stretch(label, int(repetitions[first]), session))

    def _numbers(self, table: pd.DataFrame, name: str, needed: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """Return a column as finite numbers, or name the first row that needs one and holds none."""
        column = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)
        most = MAX_ABSOLUTE_VALUE if name != "millis" else 2**53
        bad = np.flatnonzero((~np.isfinite(column) | (np.abs(column) > most)) & (True if needed is None else needed))
        if len(bad):
            row = int(bad[0])
            raise RecordingError(
                f"{self.path.name}: column {name} must hold finite numbers, but row {self.n_rows + row + 2} has "
                f"{str(table[name].iloc[row])[:40]!r}."
            )
        return column


def _joined(pieces: list[NDArray[Any]]) -> NDArray[Any]:
    """Return the pieces as one array; each is let go when it has been copied, so that no more than one stands twice."""
    made = np.empty((sum(map(len, pieces)), *pieces[0].shape[1:]), pieces[0].dtype)
    filled = 0
    for index, piece in enumerate(pieces):
        made[filled : filled + len(piece)] = piece
        filled += len(piece)
        pieces[index] = piece[:0].copy()
        del piece
    return made


def _channel_names(path: Path, table: pd.DataFrame) -> tuple[str, ...]:
    names = [str(name) for name in table.columns]
    missing = [name for name in ("millis", *_LABEL_COLUMNS) if name not in names]
    if missing:
        raise RecordingError(
            f"{path.name} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; expected the "
            f"header millis,a0,…,aN,gesture,repetition and found {','.join(names)[:200]}."
        )
    channels = tuple(name for name in names if name not in ("millis", *_LABEL_COLUMNS))
    if not 1 <= len(channels) <= MAX_CHANNELS:
        raise RecordingError(
            f"{path.name} has {len(channels)} channel columns between millis and gesture; expected 1 to {MAX_CHANNELS}."
        )
    return channels


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
