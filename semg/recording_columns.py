"""The rows of a recording as columns, read in portions, each of them bounded."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semg.domain import MAX_CHANNELS
from semg.errors import RecordingError
from semg.recording_text import PIECE_BYTES, BoundedText
from semg.signals.dataset import Stretch
from semg.wire import csv_cells

MAX_HEADER_BYTES = 4096
MAX_ABSOLUTE_VALUE = 1e9
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


def tables(path: Path, text: BoundedText) -> Iterator[pd.DataFrame]:
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
class Reader:
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


def joined(pieces: list[NDArray[Any]]) -> NDArray[Any]:
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
