"""NinaPro's MATLAB files: ``emg``, and what was performed in ``restimulus`` and ``rerepetition``.

http://ninapro.hevs.ch. Files of version 7.3 are HDF5, and need the extra ``formats``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semg.domain import REST
from semg.errors import RecordingError
from semg.formats import hdf5, mat5
from semg.formats.labelling import from_columns
from semg.formats.neutral import (
    DEFAULTS,
    About,
    NeutralRecording,
    ReadOptions,
    even_times_us,
    in_memory,
    require_size,
)

_LABELS = (("restimulus", "rerepetition"), ("stimulus", "repetition"))
"""Relabelled afterwards, or as it was prompted."""
_SMALL = ("exercise", "frequency", "subject")
_WANTED = ("emg", "restimulus", "rerepetition", "stimulus", "repetition", *_SMALL)
_MAX_CLASS, _MAX_CHANNELS = 10_000, 64


def read(path: Path, options: ReadOptions = DEFAULTS) -> Iterator[NeutralRecording]:
    """Yield the one recording of a file.

    Raises
    ------
    RecordingError
        It is no such file, is damaged or too large, has no ``emg``, or its rate is not known.
    """
    found = _read_hdf5(path, options) if _is_hdf5(path) else _read_5(path, options)
    emg = found.get("emg")
    if emg is None or emg.ndim != 2:
        raise RecordingError(f"{path.name} has no table “emg”; expected a file of NinaPro")
    n, n_channels = emg.shape
    if n_channels > _MAX_CHANNELS:
        raise RecordingError(f"{path.name}: “emg” has {n_channels} columns; at most {_MAX_CHANNELS} are read")
    rate_hz = options.rate_hz or _small(found, "frequency")
    if not rate_hz or not 0 < rate_hz < 1e6:
        raise RecordingError(
            f"{path.name} does not state its sampling rate: give it with --rate-hz (DB1 100, DB2 to DB4, DB6 and DB7 "
            "2000, DB5 200, DB8 1111.11)"
        )
    times_us = even_times_us(np.arange(n), rate_hz)
    samples = np.ascontiguousarray(emg, np.float32)
    if not np.isfinite(samples).all():
        raise RecordingError(f"{path.name}: “emg” holds values that are no numbers")
    gestures, numbers, notes = _columns(found, n, path)
    exercise = _small(found, "exercise")
    head = f"E{exercise:g} " if exercise else ""
    names = [REST, *(f"{head}movement {k}" for k in range(1, 1 + int(gestures.max(initial=0))))]
    about = About(
        channels=tuple(f"a{index}" for index in range(n_channels)),
        rate_hz=rate_hz,
        name=path.stem,
        person=f"{_small(found, 'subject'):g}" if _small(found, "subject") else "",
        sensor=options.sensor,
        mains_hz=options.mains_hz,
        dated=False,
    )
    labels = from_columns(times_us, round(1e6 / rate_hz), gestures, numbers, names)
    yield in_memory(about, labels, times_us, samples, np.arange(n) == 0, notes=notes)


def _columns(
    found: dict[str, NDArray[Any]], n: int, path: Path
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None, tuple[str, ...]]:
    """Return the movement and the repetition of each sample."""
    for label, repetition in _LABELS:
        if label in found:
            columns = [np.ravel(found[name]) for name in (label, repetition) if name in found]
            if any(len(one) != n for one in columns):
                raise RecordingError(f"{path.name}: “{label}” has another length than “emg”; the file is damaged")
            if any(((one < 0) | (one > _MAX_CLASS) | (one != np.rint(one))).any() for one in columns):
                raise RecordingError(f"{path.name}: “{label}” must hold whole numbers from 0 to {_MAX_CLASS:,}")
            whole = [one.astype(np.int64) for one in columns]
            note = (
                () if label == _LABELS[0][0] else (f"{path.name} has no restimulus: labels are those of the prompts.",)
            )
            return whole[0], whole[1] if len(whole) > 1 else None, note
    return np.full(n, -1, np.int64), None, (f"{path.name} has no restimulus and no stimulus: nothing is labelled.",)


def _small(found: dict[str, NDArray[Any]], name: str) -> float:
    value = found.get(name)
    number = float(value.ravel()[0]) if value is not None and value.size and value.dtype.kind in "fiub" else 0.0
    return number if np.isfinite(number) else 0.0


def _check(name: str, shape: tuple[int, ...], path: Path, options: ReadOptions) -> None:
    """Refuse a variable that is larger than what the limits allow, before it is unpacked."""
    size = 1
    for n in shape:
        size *= n
    if name in _SMALL and size > 1000:
        raise RecordingError(f"{path.name}: “{name}” has {size:,} values; expected one")
    if name == "emg" and len(shape) == 2:
        require_size(path, shape[0], max(1, shape[1]), options.limits)
    else:
        require_size(path, size, 1, options.limits)


def _read_5(path: Path, options: ReadOptions) -> dict[str, NDArray[Any]]:
    if not mat5.is_mat(path):
        raise RecordingError(f"{path.name} is no file of MATLAB 5 or 7.3. Choose another --format.")
    wanted = [one for one in mat5.variables_of(path) if one.name in _WANTED and one.numeric]
    for one in wanted:
        _check(one.name, one.shape, path, options)
    return {one.name: mat5.load(path, one) for one in wanted}


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(520)
    return b"\x89HDF\r\n\x1a\n" in (head[:8], head[512:520])


def _read_hdf5(path: Path, options: ReadOptions) -> dict[str, NDArray[Any]]:
    """Return the variables of a file of version 7.3, where rows and columns have changed places."""
    with hdf5.opened(path, "r") as file:
        there = [name for name in _WANTED if name in file]
        tables = {name: hdf5.dataset(file, name, path) for name in there}
        for name, one in tables.items():
            _check(name, one.shape[::-1], path, options)
        return {name: np.asarray(one[()]).T for name, one in tables.items()}
