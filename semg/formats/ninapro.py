"""NinaPro's MATLAB files: ``emg``, and what was performed in ``restimulus`` and ``rerepetition``.

http://ninapro.hevs.ch. Files of version 7.3 are HDF5, and need the extra ``formats``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semg.domain import REST
from semg.errors import RecordingError
from semg.formats import hdf5
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
_HEAD_BYTES = 128
_COMPRESSED, _MATRIX = 15, 14
_MAX_CLASS, _MAX_CHANNELS = 10_000, 64


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a file, as its head says it: ``shape`` as MATLAB has it."""

    name: str
    shape: tuple[int, ...]


def is_mat(path: Path) -> bool:
    """Return whether a file begins as MATLAB's files do."""
    with path.open("rb") as file:
        return file.read(6) == b"MATLAB"


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


def _check(variables: list[Variable], path: Path, options: ReadOptions) -> list[str]:
    """Return which variables to read, when none of them is larger than what the limits allow."""
    wanted = [one for one in variables if one.name in _WANTED]
    for one in wanted:
        size = int(np.prod([float(n) for n in one.shape], dtype=np.float64))
        if one.name in _SMALL and size > 1000:
            raise RecordingError(f"{path.name}: “{one.name}” has {size:,} values; expected one")
        if one.name == "emg":
            require_size(path, max(one.shape, default=0), max(1, min(one.shape, default=0)), options.limits)
        else:
            require_size(path, size, 1, options.limits)
    return [one.name for one in wanted]


def _read_5(path: Path, options: ReadOptions) -> dict[str, NDArray[Any]]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not is_mat(path):
        raise RecordingError(f"{path.name} is no file of MATLAB 5 or 7.3. Choose another --format.")
    names = _check(variables_of(path), path, options)
    try:
        content = loadmat(path, variable_names=names, struct_as_record=True, verify_compressed_data_integrity=True)
    except (MatReadError, ValueError, TypeError, OSError, zlib.error, EOFError, KeyError, struct.error) as exc:
        raise RecordingError(f"{path.name} is damaged ({str(exc)[:200]})") from exc
    found = {name: np.asarray(content[name]) for name in names if name in content}
    return {name: one for name, one in found.items() if one.dtype.kind in "fiub"}


def variables_of(path: Path) -> list[Variable]:
    """Return the variables of a file of MATLAB 5, unpacking no more than the head of each.

    Raises
    ------
    RecordingError
        It is damaged, or says lengths that it does not have.
    """
    size = path.stat().st_size
    found: list[Variable] = []
    with path.open("rb") as file:
        order = ">" if file.read(_HEAD_BYTES)[126:128] == b"MI" else "<"
        while len(tag := file.read(8)) == 8:
            kind, length = struct.unpack(order + "II", tag)
            at = file.tell()
            if length > size - at or len(found) >= 10_000:
                raise RecordingError(f"{path.name} is damaged or cut off: a variable says {length:,} bytes")
            head = file.read(min(length, 4096))
            if kind == _COMPRESSED:
                try:
                    head = zlib.decompressobj().decompress(head, 1024)
                except zlib.error as exc:
                    raise RecordingError(f"{path.name} is damaged: a variable cannot be unpacked") from exc
                kind, head = struct.unpack_from(order + "I", head.ljust(8, b"\0"))[0], head[8:]
            if kind == _MATRIX:
                found.append(_variable(head, order, path))
            file.seek(at + length)
    return found


def _variable(head: bytes, order: str, path: Path) -> Variable:
    """Return the name and the shape at the beginning of a matrix."""
    try:
        n_dims = struct.unpack_from(order + "II", head, 16)[1] // 4
        shape = struct.unpack_from(f"{order}{min(n_dims, 8)}i", head, 24)
        at = 24 + 8 * ((n_dims + 1) // 2)
        words = struct.unpack_from(order + "HH", head, at)
        length = words[1] if order == "<" else words[0]
        if length:  # a short name stands in the tag itself
            return Variable(head[at + 4 : at + 4 + length].decode("latin-1"), shape)
        length = struct.unpack_from(order + "I", head, at + 4)[0]
        return Variable(head[at + 8 : at + 8 + min(length, 64)].decode("latin-1"), shape)
    except (struct.error, UnicodeDecodeError) as exc:
        raise RecordingError(f"{path.name} is damaged: the head of a variable is none") from exc


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(520)
    return b"\x89HDF\r\n\x1a\n" in (head[:8], head[512:520])


def _read_hdf5(path: Path, options: ReadOptions) -> dict[str, NDArray[Any]]:
    """Return the variables of a file of version 7.3, where rows and columns have changed places."""
    with hdf5.opened(path, "r") as file:
        there = [name for name in _WANTED if name in file]
        tables = {name: hdf5.dataset(file, name, path) for name in there}
        _check([Variable(name, one.shape[::-1]) for name, one in tables.items()], path, options)
        return {name: np.asarray(one[()]).T for name, one in tables.items()}
