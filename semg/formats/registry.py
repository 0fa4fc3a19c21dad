"""Which formats there are, how a file is recognised, and the module of each, loaded when it is used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, Protocol, cast

from semg.errors import RecordingError
from semg.formats.neutral import DEFAULTS, NeutralRecording, ReadOptions, Written

OutKind = Literal["bids", "bdf", "xdf", "parquet", "hdf5", "libemg"]
InKind = Literal["bids", "bdf", "edf", "xdf", "parquet", "hdf5", "libemg", "ninapro", "mne", "csv"]
DECISIONS, VIDEO_TIMES = "decisions.tsv", "video_times.tsv"
"""How names end of what an export puts beside its recordings; no import takes them for one."""
MAX_FOUND = 10_000
_SUFFIXES: dict[str, InKind] = {
    ".bdf": "bdf", ".edf": "edf", ".xdf": "xdf", ".parquet": "parquet", ".h5": "hdf5", ".hdf5": "hdf5",
    ".mat": "ninapro", ".fif": "mne", ".csv": "csv", ".gz": "csv", ".tsv": "csv", ".txt": "csv",
}  # fmt: skip
_WRITERS: dict[str, tuple[str, str]] = {
    "bdf": ("bdf_writer", ".bdf"), "xdf": ("xdf", ".xdf"), "parquet": ("parquet", ".parquet"), "hdf5": ("hdf5", ".h5"),
    "libemg": ("libemg", ""),
}  # fmt: skip
_READERS = {
    "bids": "bids_reader", "bdf": "edf_reader", "edf": "edf_reader", "xdf": "xdf_reader", "parquet": "parquet",
    "hdf5": "hdf5", "libemg": "libemg", "ninapro": "ninapro", "mne": "mne_raw",
}  # fmt: skip


class _Writes(Protocol):
    def write(self, recording: NeutralRecording, target: Path) -> Written: ...


class _Reads(Protocol):
    def read(self, path: Path, options: ReadOptions = DEFAULTS) -> Iterator[NeutralRecording]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A file, or a folder, with its format."""

    path: Path
    kind: InKind


def suffix_of(kind: OutKind) -> str:
    """Return the ending of a session's file; empty for a folder."""
    return _WRITERS[kind][1]


def write(kind: OutKind, recording: NeutralRecording, target: Path) -> Written:
    """Write a recording in a format of one file or folder a session, which BIDS is not.

    Raises
    ------
    RecordingError
        The format cannot hold it; the sentence says why.
    """
    return cast(_Writes, import_module(f"semg.formats.{_WRITERS[kind][0]}")).write(recording, target)


def read(found: Found, options: ReadOptions = DEFAULTS) -> Iterator[NeutralRecording]:
    """Yield the recordings of a file or folder; CSV has a reader of its own (``semg.recordings.csv_format``).

    Raises
    ------
    RecordingError
        It is damaged, too large, or leaves something open.
    """
    return cast(_Reads, import_module(f"semg.formats.{_READERS[found.kind]}")).read(found.path, options)


def find(path: Path, kind: InKind | None = None) -> list[Found]:
    """Return what a path holds: itself, or the files of a folder that is no data set.

    Raises
    ------
    RecordingError
        It is not there, or is of no known format.
    """
    if path.is_file():
        return [Found(path, kind or _kind_of(path))]
    if not path.is_dir():
        raise RecordingError(f"{path} is not there: expected a file or a folder")
    from semg.formats import bids_reader, libemg

    if kind in ("bids", "libemg"):
        return [Found(path, kind)]
    if kind is None and bids_reader.is_dataset(path):
        return [Found(path, "bids")]
    if kind is None and libemg.holds_files(path):
        return [Found(path, "libemg")]
    files = [
        Found(one, kind or _kind_of(one))
        for one in sorted(path.rglob("*"))
        if one.is_file()
        and not one.name.endswith((DECISIONS, VIDEO_TIMES))
        and (known := _SUFFIXES.get(one.suffix.lower())) is not None
        and kind in (None, known)
    ]
    if not files:
        raise RecordingError(f"{path} holds no file of a known format: {', '.join(sorted(set(_READERS) | {'csv'}))}")
    if len(files) > MAX_FOUND:
        raise RecordingError(f"{path} holds {len(files):,} files; at most {MAX_FOUND:,} are read at once")
    return files


def _kind_of(path: Path) -> InKind:
    """Return the format that a file begins as, or else that of its ending."""
    with path.open("rb") as file:
        head = file.read(520)
    if head[1:8] == b"BIOSEMI":
        return "bdf"
    if head[:4] == b"XDF:":
        return "xdf"
    if head[:4] == b"PAR1":
        return "parquet"
    if head[:6] == b"MATLAB":
        return "ninapro"
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return "ninapro" if path.suffix.lower() == ".mat" else "hdf5"
    known = _SUFFIXES.get(path.suffix.lower())
    if known is None or (known not in ("csv", "edf", "mne")):
        raise RecordingError(
            f"{path.name} is of no known format: it neither begins nor ends as one of "
            f"{', '.join(sorted(set(_READERS) | {'csv'}))}. Say which with --format."
        )
    return known
