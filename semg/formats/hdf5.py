"""HDF5: samples, times, starts of runs and late samples as data sets, all else as JSON in an attribute.

h5py is in the extra ``formats``; it is loaded by whoever writes or reads such a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from semg.errors import RecordingError
from semg.formats.described import KEY, MAX_BYTES, from_json, to_json
from semg.formats.neutral import (
    DEFAULTS,
    NeutralRecording,
    ReadOptions,
    Written,
    in_memory,
    no_samples,
    require_size,
)

SAMPLES, TIMES, STARTS, LATE = "samples", "times_us", "starts_run", "late"
_CHUNK_ROWS = 4096
_MAX_CHUNK_BYTES = 64 << 20
_FILTERS = {1, 2, 3, 32000}
"""gzip, shuffle, Fletcher's checksum, LZF: those that h5py itself brings; others would load a plugin."""


def write(recording: NeutralRecording, target: Path) -> Written:
    """Write a recording with one portion in memory.

    Raises
    ------
    RecordingError
        It has no samples, or h5py is not installed.
    """
    n_channels = len(recording.about.channels)
    with opened(target, "w") as file:
        for name, dtype, shape in (
            (SAMPLES, "<f4", (0, n_channels)), (TIMES, "<i8", (0,)), (STARTS, "?", (0,)), (LATE, "?", (0,))
        ):  # fmt: skip
            file.create_dataset(
                name, shape, dtype, maxshape=(None, *shape[1:]), chunks=(_CHUNK_ROWS, *shape[1:]), compression="gzip",
                compression_opts=4, shuffle=True,
            )  # fmt: skip
        n = 0
        for portion in recording.portions():
            until = n + len(portion.times_us)
            columns = {SAMPLES: portion.samples, TIMES: portion.times_us, STARTS: portion.starts_run,
                       LATE: portion.late}  # fmt: skip
            for name, values in columns.items():
                file[name].resize(until, axis=0)
                file[name][n:until] = values
            n = until
        if not n:
            raise no_samples(recording.about.name)
        # As an array: an attribute of text has at most 64 kB.
        text = np.frombuffer(to_json(recording.about, recording.labels).encode(), np.uint8)
        file.create_dataset(KEY, data=text, compression="gzip")
    return Written((target,), recording.notes)


def read(path: Path, options: ReadOptions = DEFAULTS) -> Iterator[NeutralRecording]:
    """Yield the one recording of a file that the platform wrote.

    Raises
    ------
    RecordingError
        It is no such file, is damaged, or says that it has more than the limits allow; or h5py is not installed.
    """
    with opened(path, "r") as file:
        samples = dataset(file, SAMPLES, path)
        if samples.ndim != 2:
            raise RecordingError(f"{path.name}: “{SAMPLES}” has {samples.ndim} dimensions; expected samples × channels")
        n, n_channels = samples.shape
        require_size(path, n, n_channels, options.limits)
        text = dataset(file, KEY, path)
        if text.ndim != 1 or text.dtype != np.uint8 or len(text) > MAX_BYTES:
            raise RecordingError(f"{path.name}: “{KEY}” is no description")
        known = from_json(text[:].tobytes(), path.name)
        others = [dataset(file, name, path) for name in (TIMES, STARTS, LATE)]
        if [one.shape for one in others] != [(n,)] * 3 or len(known.about.channels) != n_channels:
            raise RecordingError(f"{path.name} is damaged: its data sets differ in length")
        times_us, starts_run, late = (one[:] for one in others)
        values = np.empty((n, n_channels), np.float32)
        for first in range(0, n, _CHUNK_ROWS * 16):
            until = min(first + _CHUNK_ROWS * 16, n)
            values[first:until] = samples[first:until]
    if times_us.dtype.kind != "i" or (np.diff(times_us) <= 0).any():
        raise RecordingError(f"{path.name}: “{TIMES}” must be whole numbers that grow")
    yield in_memory(
        known.about, known.labels, times_us.astype(np.int64), values, starts_run.astype(bool), late.astype(bool)
    )


def dataset(file: Any, name: str, path: Path) -> Any:
    """Return a data set of numbers that lies in the file itself, in chunks of a size that may be unpacked.

    Raises
    ------
    RecordingError
        It is not there, lies in another file, or is made so that reading a part of it takes much memory.
    """
    import h5py

    link = file.get(name, getlink=True)
    found = file.get(name) if isinstance(link, h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset):
        raise RecordingError(f"{path.name} has no data set “{name}”; it has {', '.join(list(file)[:20])}")
    plist = found.id.get_create_plist()
    filters = {plist.get_filter(index)[0] for index in range(plist.get_nfilters())}
    size = int(np.prod(found.chunks)) * found.dtype.itemsize if found.chunks else 0
    if found.external or found.is_virtual or not filters <= _FILTERS or found.dtype.kind not in "fiub":
        raise RecordingError(
            f"{path.name}: “{name}” lies in another file, is no numbers, or is packed in a strange way"
        )
    if size > _MAX_CHUNK_BYTES:
        raise RecordingError(f"{path.name}: “{name}” is packed in pieces of {size >> 20:,} MB; expected at most 64")
    return found


@contextmanager
def opened(path: Path, mode: str) -> Iterator[Any]:
    """Open a file; what h5py raises becomes a sentence."""
    try:
        import h5py
    except ImportError as exc:
        raise RecordingError("HDF5 needs h5py: pip install 'semg[formats]'") from exc
    try:
        with h5py.File(path, mode) as file:
            yield file
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as exc:
        raise RecordingError(f"{path.name} is no readable HDF5 file ({str(exc)[:200]})") from exc
