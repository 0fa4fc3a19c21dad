"""Recordings as files: gzip (or plain) CSV ``millis,a0,…,aN,gesture,repetition`` in time order.

A change of (gesture, repetition) is an edge; repetition numbers may start again, so a stretch is a run of equal
pairs. Nothing else in ``semg`` reads or writes this layout.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semg.domain import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ, Sensor
from semg.errors import RecordingError
from semg.signals.dataset import LabelledSamples, Stretch, number_stretches

MAX_FILE_BYTES = 512 * 2**20
MAX_TEXT_BYTES = 2 * 2**30
UPLOAD_TEXT_BYTES = 256 * 2**20
"""Of a file that somebody uploads, unpacked: two hours of 16 channels at 500 Hz."""
MAX_HEADER_BYTES = 4096
MAX_ROWS = 20_000_000
MAX_ABSOLUTE_VALUE = 1e9
MAX_IN_A_MS = 4
"""Samples of one millisecond: two at ``MAX_RATE_HZ``, and as many again when the clock jumps."""
_LABEL_COLUMNS = ("gesture", "repetition")


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
    max_text_bytes: int | None = None,
) -> Recording:
    """Give a recording with its raw time column.

    Parameters
    ----------
    path
        A gzip or plain CSV file; told apart by its first bytes.
    rate_hz
        Nominal sampling rate; found from the median step of ``millis`` when not given.
    sensor, mains_hz
        What the file does not say about the device.
    max_text_bytes
        A file that unpacks to more is refused before it is all in memory; ``MAX_TEXT_BYTES`` when not given.

    Raises
    ------
    RecordingError
        When the file is not there, is not such a CSV, is cut off, is too large, or holds values that no device
        sends; the sentence names the file and the first bad row.
    """
    path = Path(path)
    table = _parse(path, _read_text(path, MAX_TEXT_BYTES if max_text_bytes is None else max_text_bytes))
    channels = _channel_names(path, table)
    device_ms = _spread(_numbers(path, table, "millis"))
    if len(device_ms) < 2:
        raise RecordingError(f"{path.name} has {len(device_ms)} samples; a recording needs at least two.")
    backwards = np.flatnonzero(np.diff(device_ms) <= 0)
    if len(backwards):
        row = int(backwards[0]) + 1
        raise RecordingError(
            f"{path.name}: millis must grow from row to row, but row {row + 2} has {device_ms[row]:g} after "
            f"{device_ms[row - 1]:g}. Sort the file by time, or split it where the device was restarted."
        )
    samples = np.stack([_numbers(path, table, name) for name in channels], axis=1).astype(np.float32)
    rate = _rate(path, device_ms) if rate_hz is None else float(rate_hz)
    if not MIN_RATE_HZ <= rate <= MAX_RATE_HZ:
        raise RecordingError(
            f"{path.name}: a rate of {rate:g} Hz was found or given; it must lie between {MIN_RATE_HZ:g} and "
            f"{MAX_RATE_HZ:g} Hz. Give rate_hz if millis is not in milliseconds."
        )
    stretch, stretches = _stretches(path, table)
    starts_run = np.concatenate([[True], np.diff(device_ms) > 1500.0 / rate + 1.0])
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
    columns["gesture"], columns["repetition"] = gestures, repetitions
    text = pd.DataFrame(columns).to_csv(index=False).encode()
    # mtime 0: the same samples give the same file.
    path.write_bytes(gzip.compress(text, 6, mtime=0) if path.suffix == ".gz" else text)


def _read_text(path: Path, max_text_bytes: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise RecordingError(
                f"{path.name} has {size:,} bytes; at most {MAX_FILE_BYTES:,} are read. Split the recording."
            )
        data = path.read_bytes()
    except OSError as exc:
        raise RecordingError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
    if data[:2] != b"\x1f\x8b":
        if path.suffix == ".gz":
            raise RecordingError(f"{path.name} ends in .gz but is not a gzip file. Compress it again with gzip.")
        return _bounded(path, data, max_text_bytes)
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as unpacked:
            text = unpacked.read(max_text_bytes + 1)
    except (OSError, EOFError, zlib.error) as exc:
        raise RecordingError(f"{path.name} is a damaged or cut-off gzip file ({exc}). Copy it again.") from exc
    return _bounded(path, text, max_text_bytes)


def _bounded(path: Path, text: bytes, max_text_bytes: int) -> bytes:
    if len(text) > max_text_bytes:
        raise RecordingError(f"{path.name} unpacks to more than {max_text_bytes:,} bytes. Split the recording.")
    return text


def _parse(path: Path, text: bytes) -> pd.DataFrame:
    # Looked at before pandas makes a column of every comma.
    header = text[: MAX_HEADER_BYTES + 1].split(b"\n", 1)[0]
    if len(header) > MAX_HEADER_BYTES or header.count(b",") >= MAX_CHANNELS + 1 + len(_LABEL_COLUMNS):
        raise RecordingError(
            f"{path.name} begins with a line of more than {MAX_CHANNELS + 3} columns or {MAX_HEADER_BYTES} bytes; "
            "expected the header millis,a0,…,aN,gesture,repetition."
        )
    try:
        table = pd.read_csv(
            io.BytesIO(text), keep_default_na=False, na_values=[""], dtype={"gesture": str}, nrows=MAX_ROWS + 1
        )
    except (ValueError, UnicodeDecodeError) as exc:
        raise RecordingError(
            f"{path.name} is not a CSV with the header millis,a0,…,aN,gesture,repetition ({exc})."
        ) from exc
    if len(table) > MAX_ROWS:
        raise RecordingError(f"{path.name} has more than {MAX_ROWS:,} rows. Split the recording.")
    return table


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


def _numbers(path: Path, table: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """Give a column as finite numbers, or name the first row that holds none."""
    column = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(column) | (np.abs(column) > (MAX_ABSOLUTE_VALUE if name != "millis" else 2**53)))
    if len(bad):
        row = int(bad[0])
        raise RecordingError(
            f"{path.name}: column {name} must hold finite numbers, but row {row + 2} has "
            f"{str(table[name].iloc[row])[:40]!r} ({len(bad)} such rows)."
        )
    return column


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


def _stretches(path: Path, table: pd.DataFrame) -> tuple[NDArray[np.int32], tuple[Stretch, ...]]:
    """Number the runs of equal (gesture, repetition); rows without a gesture belong to none."""
    gestures = table["gesture"].fillna("").to_numpy(dtype=object)
    labelled = gestures != ""
    repetitions = np.zeros(len(table), np.int64)
    if labelled.any():
        repetitions[labelled] = _numbers(path, table[labelled].reset_index(drop=True), "repetition").astype(np.int64)
    return number_stretches(gestures, repetitions, path.name.removesuffix(".gz").removesuffix(".csv"))
