"""LibEMG folders: a file ``C_<class>_R_<repetition>.csv`` for each repetition, rows of samples without a header.

Names of the classes stand in ``collection_details.json`` beside them, as LibEMG's own collection of data writes it.
https://libemg.github.io/libemg/
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semg.errors import RecordingError
from semg.formats.described import KEY, read_object
from semg.formats.labelling import index_of
from semg.formats.neutral import (
    DEFAULTS,
    About,
    Label,
    NeutralRecording,
    ReadOptions,
    Written,
    even_times_us,
    in_memory,
    no_samples,
    require_size,
)
from semg.wire import csv_cells

DETAILS = "collection_details.json"
APART_US = 1_000_000
"""Between two files whose times are not known."""
MAX_FILES, MAX_COLUMNS = 100_000, 64
MAX_BYTES, _MAX_JSON = 2 << 30, 32 << 20
_FILE = re.compile(
    r"(?P<head>(?:.*[^A-Za-z0-9])?)(?:C_(?P<c>\d{1,6})_R_(?P<r>\d{1,6})|R_(?P<r2>\d{1,6})_C_(?P<c2>\d{1,6}))"
    r"(?P<tail>(?:[^A-Za-z0-9].*)?)\.(?:csv|txt)",
    re.IGNORECASE,
)


Run = tuple[int, int, bool]


@dataclass(slots=True)
class _File:
    """A repetition's file while it is written.

    ``runs``: the first row, and each behind a gap, with its time and whether a run of samples starts there.
    """

    label: Label
    path: Path
    class_: int
    n_rows: int = 0
    runs: list[Run] = field(default_factory=list)


def write(recording: NeutralRecording, target: Path) -> Written:
    """Write the labelled samples of a recording into a folder, with one portion in memory.

    Raises
    ------
    RecordingError
        No sample of it belongs to a repetition that is not left out of training.
    """
    target.mkdir(parents=True, exist_ok=True)
    kept = [one for one in recording.labels if not one.excluded]
    classes = list(dict.fromkeys(sorted((one.gesture for one in kept), key=lambda name: (name != "rest", name))))
    counted: Counter[str] = Counter()
    files: list[_File] = []
    for label in kept:
        class_ = classes.index(label.gesture)
        name = f"C_{class_}_R_{counted[label.gesture]}.csv"
        counted[label.gesture] += 1
        files.append(_File(label, target / name, class_))
    n_left = 0
    for portion in recording.portions():
        live = ~portion.late
        times_us, samples, begins = portion.times_us[live], portion.samples[live], portion.starts_run[live]
        owner = index_of(times_us, kept)
        n_left += int((owner < 0).sum())
        for at, until in _runs(owner, begins):
            if owner[at] >= 0:
                _append(files[owner[at]], samples[at:until], int(times_us[at]), bool(begins[at]))
    files = [one for one in files if one.n_rows]
    if not files:
        raise no_samples(recording.about.name)
    details = target / DETAILS
    details.write_text(json.dumps(_details(recording, classes, files), ensure_ascii=False, indent=1), encoding="utf-8")
    return Written((*(one.path for one in files), details), (*recording.notes, *_notes(recording, n_left)))


def _runs(owner: NDArray[np.int32], begins: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield the runs of samples of one label without a gap in them."""
    if len(owner):
        firsts = np.flatnonzero(np.append(True, (owner[1:] != owner[:-1]) | begins[1:]))
        yield from zip(firsts.tolist(), np.append(firsts[1:], len(owner)).tolist(), strict=True)


def _append(file: _File, samples: NDArray[np.float32], time_us: int, begins: bool) -> None:
    if begins or not file.n_rows:
        file.runs.append((file.n_rows, time_us, begins))
    with file.path.open("a" if file.n_rows else "w", newline="", encoding="ascii") as out:
        csv_cells.Writer(out).write_numbers(np.char.mod("%.9g", samples).tolist())
    file.n_rows += len(samples)


def _details(recording: NeutralRecording, classes: list[str], files: list[_File]) -> dict[str, Any]:
    about = recording.about
    return {
        "num_motions": len(classes),
        "num_reps": max(Counter(one.class_ for one in files).values()),
        "classes": classes,
        "class_map": dict(enumerate(classes)),
        KEY: {
            "channels": about.channels,
            "rate_hz": about.rate_hz,
            "sensor": about.sensor,
            "mains_hz": about.mains_hz,
            "unit": about.unit,
            "session": about.name,
            "files": {one.path.name: {"number": one.label.number, "runs": one.runs} for one in files},
        },
    }


def _notes(recording: NeutralRecording, n_left: int) -> Iterator[str]:
    n_excluded = sum(one.excluded for one in recording.labels)
    if n_excluded:
        yield f"{n_excluded} repetitions that were left out of training are not in it: LibEMG has no word for them."
    if n_left:
        yield f"{n_left:,} samples outside of repetitions are not in it: LibEMG holds repetitions only."


def holds_files(path: Path) -> bool:
    """Return whether a folder, or a folder in it, holds a file that is named as LibEMG names them."""
    return any(_FILE.fullmatch(one.name) for one in path.rglob("*_*"))


def read(path: Path, options: ReadOptions = DEFAULTS) -> Iterator[NeutralRecording]:
    """Yield a recording for each folder, and for each beginning and ending of the files' names within it.

    Raises
    ------
    RecordingError
        No file is named so, one is no table of numbers, they differ in their channels, or the rate is not known.
    """
    groups: dict[tuple[Path, str, str], list[tuple[int, int, Path]]] = {}
    for one in sorted(path.rglob("*_*")):
        if (found := _FILE.fullmatch(one.name)) and one.is_file():
            key = (one.parent, found["head"], found["tail"])
            groups.setdefault(key, []).append((int(found["r"] or found["r2"]), int(found["c"] or found["c2"]), one))
    if not groups:
        raise RecordingError(f"{path.name} holds no C_<class>_R_<repetition>.csv; expected a folder of LibEMG")
    n_files, n_bytes = sum(map(len, groups.values())), sum(
        one.stat().st_size for files in groups.values() for *_, one in files
    )  # fmt: skip
    if n_files > MAX_FILES or n_bytes > MAX_BYTES:
        raise RecordingError(
            f"{path.name} holds {n_files:,} files of {n_bytes >> 20:,} MB; at most {MAX_FILES:,} files of "
            f"{MAX_BYTES >> 20:,} MB are read"
        )
    for (folder, head, tail), files in groups.items():
        yield _read(folder, f"{head}{tail}".strip("_- ") or folder.name, sorted(files), options)


def _read(folder: Path, name: str, files: list[tuple[int, int, Path]], options: ReadOptions) -> NeutralRecording:
    details = read_object(folder / DETAILS, _MAX_JSON)
    own = details.get(KEY) if isinstance(details.get(KEY), dict) else {}
    assert isinstance(own, dict)
    rate_hz = options.rate_hz or own.get("rate_hz")
    if not isinstance(rate_hz, int | float) or not 0 < rate_hz < 1e6:
        raise RecordingError(f"{folder.name}: files of LibEMG do not say their sampling rate; give it with --rate-hz")
    tables: list[tuple[int, int, Path, NDArray[np.float32]]] = []
    n_rows = 0
    for repetition, class_, path in files:
        samples = _table(path)
        n_rows += len(samples)
        if tables and samples.shape[1] != tables[0][3].shape[1]:
            raise RecordingError(
                f"{path.name} has {samples.shape[1]} columns, {files[0][2].name} has {tables[0][3].shape[1]}"
            )
        require_size(path, n_rows, samples.shape[1], options.limits)
        tables.append((repetition, class_, path, samples))
    return _joined(name, tables, float(rate_hz), details, own, options)


def _joined(
    name: str,
    tables: list[tuple[int, int, Path, NDArray[np.float32]]],
    rate_hz: float,
    details: dict[str, Any],
    own: dict[str, Any],
    options: ReadOptions,
) -> NeutralRecording:
    period_us = 1e6 / rate_hz
    known = own.get("files") if isinstance(own.get("files"), dict) else {}
    parts: list[tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float32], Label]] = []
    next_us = 0
    for repetition, class_, path, samples in tables:
        number, runs = _own_file(known, path.name, len(samples), repetition)
        starts_run = np.zeros(len(samples), bool)
        if runs:
            starts_run[[row for row, _, begins in runs if begins]] = True
            ends = [*(row for row, *_ in runs[1:]), len(samples)]
            times_us = np.concatenate(
                [even_times_us(np.arange(end - row), rate_hz, at) for (row, at, _), end in zip(runs, ends, strict=True)]
            )
        else:
            starts_run[:1] = True
            times_us = even_times_us(np.arange(len(samples)), rate_hz, next_us)
        if not len(samples):
            continue
        end_us = int(times_us[-1]) + round(period_us / 2)
        next_us = end_us + APART_US
        label = Label(
            gesture=_gesture(details, class_), number=number, start_us=int(times_us[0]), end_us=end_us
        )  # fmt: skip
        parts.append((times_us, starts_run, samples, label))
    parts.sort(key=lambda part: int(part[0][0]))
    if not parts:
        raise no_samples(name)
    times_us = np.concatenate([part[0] for part in parts])
    if (np.diff(times_us) <= 0).any():
        raise RecordingError(f"{name}: the times in {DETAILS} overlap; take that file away, and the order is used")
    starts_run = np.concatenate([part[1] for part in parts])
    starts_run[0] = True  # what lay between repetitions is not here: a step in time starts a run too
    starts_run[1:] |= np.diff(times_us) > 1.5 * period_us
    n_channels = parts[0][2].shape[1]
    channels = own.get("channels")
    names = tuple(map(str, channels)) if isinstance(channels, list) and len(channels) == n_channels else None
    about = About(
        channels=names or tuple(f"a{index}" for index in range(n_channels)),
        rate_hz=rate_hz,
        name=str(own.get("session") or name)[:200],
        sensor="envelope" if own.get("sensor", options.sensor) == "envelope" else "raw",
        mains_hz=options.mains_hz,
        unit=str(own.get("unit", ""))[:20],
        dated=bool(known),
    )
    labels = tuple(part[3] for part in parts)
    return in_memory(about, labels, times_us, np.concatenate([part[2] for part in parts]), starts_run)


def _own_file(
    known: Any, name: str, n_rows: int, repetition: int
) -> tuple[int, list[Run]]:  # fmt: skip
    """Return a repetition, and the rows with their times at which a run starts, where the platform wrote them."""
    one: Any = known.get(name) if isinstance(known, dict) else None
    try:
        runs = [(int(row), int(at), begins is True) for row, at, begins in one["runs"]]
        rows = [row for row, *_ in runs]
        if rows[0] == 0 and rows == sorted(set(rows)) and rows[-1] < n_rows:
            return int(one["number"]), runs
    except (TypeError, ValueError, KeyError, IndexError):
        pass
    return repetition, []


def _gesture(details: dict[str, Any], class_: int) -> str:
    names = details.get("class_map")
    name = names.get(str(class_)) if isinstance(names, dict) else None
    return name if isinstance(name, str) and name.strip() else f"class {class_}"


def _table(path: Path) -> NDArray[np.float32]:
    try:
        table = pd.read_csv(path, header=None, dtype=np.float32, sep=None if path.suffix == ".txt" else ",",
                            engine="python" if path.suffix == ".txt" else "c")  # fmt: skip
    except pd.errors.EmptyDataError:
        return np.empty((0, 0), np.float32)
    except (ValueError, UnicodeDecodeError, OverflowError) as exc:
        raise RecordingError(f"{path.name} is no table of numbers without a header ({str(exc)[:200]})") from exc
    if table.shape[1] > MAX_COLUMNS:
        raise RecordingError(f"{path.name} has {table.shape[1]} columns; at most {MAX_COLUMNS} are read")
    samples: NDArray[np.float32] = table.to_numpy(np.float32)
    if not np.isfinite(samples).all():
        raise RecordingError(f"{path.name} has rows of different length, or values that are no numbers")
    return samples
