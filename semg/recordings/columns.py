"""Read the rows of a recording into columns, in chunks of bounded size."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semg.domain import REST
from semg.errors import RecordingError
from semg.names import normal_form
from semg.recordings.encoded_text import MAX_LINE_BYTES
from semg.recordings.layout_guess import MAX_NUMBER
from semg.recordings.lines import Lines
from semg.signals.dataset import Stretch
from semg.wire import csv_cells
from semg.wire.file_layout import Layout

MAX_ABSOLUTE_VALUE = 1e9
CHUNK_BYTES = 1 << 20
"""Of text that is parsed at once: rows may be long, and no other thread runs while pandas makes texts or numbers."""
MAX_LABEL_BYTES = 4 * normal_form.LONGEST
_FORMATS = re.compile(r"\.(csv|tsv|txt|dat|parquet)?(\.gz)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a file; excess is refused as soon as it is read, not when all is in memory.

    Attributes
    ----------
    text_bytes
        Size of the text, decompressed.
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
"""Of a file that somebody uploads: two hours of 16 channels at 500 Hz, 0.8 GB of memory at the most."""


def longest(layout: Layout) -> list[int]:
    """Return how many bytes each field of a line may have: a number few, a label more; others are not read."""
    numbers = {layout.time, layout.repetition, *layout.channels}
    return [
        MAX_NUMBER if name in numbers else MAX_LABEL_BYTES if name == layout.label else MAX_LINE_BYTES
        for name in layout.header
    ]


def tables(name: str, lines: Lines, layout: Layout) -> Iterator[pd.DataFrame]:
    """Yield the rows in chunks; the first one has the columns even without rows."""
    read = {layout.time, layout.label, layout.repetition, *layout.channels}
    words = {column: str for column in (layout.label,) if column is not None}
    has_header = layout.has_header
    for chunk in _chunks(lines):
        try:
            table = pd.read_csv(
                io.BytesIO(chunk),
                sep=r"\s+" if layout.separator == " " else layout.separator,
                decimal=layout.decimal,
                header=0 if has_header else None,
                names=list(layout.header),
                usecols=[column for column in layout.header if column in read],
                index_col=False,
                skipinitialspace=True,
                keep_default_na=False,
                na_values=[""],
                dtype=words,
                low_memory=False,
            )
        except (ValueError, UnicodeDecodeError) as exc:
            raise RecordingError(f"{name} cannot be read as a table ({exc}).") from exc
        has_header = False
        yield table


def _chunks(lines: Lines) -> Iterator[bytes]:
    """Yield whole lines, about ``CHUNK_BYTES`` at once; once at least."""
    kept = [lines.read1()]
    while piece := lines.read1():
        if sum(map(len, kept)) + len(piece) > CHUNK_BYTES:
            yield b"".join(kept)
            kept = []
        kept.append(piece)
    yield b"".join(kept)


@dataclass(slots=True)
class Reader:
    """The rows read from a file so far, as columns in chunks.

    Attributes
    ----------
    name
        The file's, for messages.
    """

    name: str
    layout: Layout
    limits: Limits
    line_of: Callable[[int], int]
    times: list[NDArray[np.float64]] = field(default_factory=list)
    samples: list[NDArray[np.float32]] = field(default_factory=list)
    stretch: list[NDArray[np.int32]] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)
    n_rows: int = 0
    last: tuple[str, int] | None = None
    counted: Counter[str] = field(default_factory=Counter)
    labels: dict[str, str] = field(default_factory=dict)

    def take(self, table: pd.DataFrame) -> None:
        """Add some rows."""
        n_channels = len(self.layout.channels)
        n_rows = self.n_rows + len(table)
        if n_rows > self.limits.rows or n_rows * n_channels > self.limits.values:
            most = min(self.limits.rows, self.limits.values // n_channels)
            raise RecordingError(f"{self.name} has more than {most:,} rows. Split the recording.")
        if self.layout.time is not None:
            self.times.append(self._numbers(table, self.layout.time))
        columns = [self._numbers(table, name) for name in self.layout.channels]
        self.samples.append(np.stack(columns, axis=1).astype(np.float32))
        if self.layout.label is None:
            self.stretch.append(np.full(len(table), -1, np.int32))
        else:
            self._number_stretches(table, self.layout.label)
        self.n_rows = n_rows

    def _number_stretches(self, table: pd.DataFrame, column: str) -> None:
        """Continue counting the runs of equal (gesture, repetition); rows without a gesture belong to none."""
        gestures = self._labels(table, column)
        labelled = gestures != ""
        repetitions = np.zeros(len(table), np.int64)
        if self.layout.repetition is not None and labelled.any():
            repetitions = np.where(labelled, self._numbers(table, self.layout.repetition, labelled), 0).astype(np.int64)
        differs = (gestures[1:] != gestures[:-1]) | (repetitions[1:] != repetitions[:-1])
        begins = np.concatenate([[True], differs])[: len(table)]
        if len(table):
            begins[0] = (gestures[0], int(repetitions[0])) != self.last
            self.last = (gestures[-1], int(repetitions[-1]))
        firsts = np.flatnonzero(begins & labelled)
        if len(self.stretches) + len(firsts) > self.limits.stretches:
            raise RecordingError(self._too_many_stretches())
        numbers = len(self.stretches) - 1 + np.cumsum(begins & labelled)
        self.stretch.append(np.where(labelled, numbers, -1).astype(np.int32))
        session = session_name(self.name)
        for first in firsts.tolist():
            label, repetition = str(gestures[first]), int(repetitions[first])
            if self.layout.repetition is None:
                self.counted[label] += 1
                repetition = self.counted[label]
            self.stretches.append(Stretch(label, repetition, session))

    def _too_many_stretches(self) -> str:
        return (
            f"{self.name} has more than {self.limits.stretches:,} stretches of one gesture and repetition. Label whole "
            "repetitions and not single rows, or split the recording."
        )

    def _labels(self, table: pd.DataFrame, column: str) -> NDArray[Any]:
        """Return the labels in their stored form, each distinct text normalised once."""
        codes, found = pd.factorize(table[column].fillna(""))
        new = [text for text in map(str, found) if text not in self.labels]
        if len(self.labels) + len(new) > self.limits.stretches + 1:  # and rows without one
            raise RecordingError(self._too_many_stretches())
        rest = normal_form.key(self.layout.rest)
        for text in new:
            label = normal_form.label(csv_cells.restored(text.strip()))
            self.labels[text] = REST if rest and normal_form.key(label) == rest else label
        made = [self.labels[str(text)] for text in found]
        return np.array(made, object)[codes] if len(made) else np.zeros(len(table), object)

    def _numbers(self, table: pd.DataFrame, name: str, needed: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """Return a column as finite numbers, or name the first line that needs one and holds none."""
        cells = table[name]
        if self.layout.decimal != "." and not pd.api.types.is_numeric_dtype(cells):
            cells = cells.astype(str).str.replace(self.layout.decimal, ".", regex=False)
        column = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64)
        most = MAX_ABSOLUTE_VALUE if name != self.layout.time else 2**53
        bad = np.flatnonzero((~np.isfinite(column) | (np.abs(column) > most)) & (True if needed is None else needed))
        if len(bad):
            row = int(bad[0])
            line = self.line_of(self.layout.has_header + self.n_rows + row)
            raise RecordingError(
                f"{self.name}: column {name} must contain finite numbers, but line {line:,} has "
                f"{str(table[name].iloc[row])[:40]!r}."
            )
        return np.asarray(column)


def session_name(file_name: str) -> str:
    """Return a name for a file's content: the file's name without its extensions."""
    return _FORMATS.sub("", file_name) or file_name


def joined(chunks: list[NDArray[Any]]) -> NDArray[Any]:
    """Concatenate the chunks; each is released after it has been copied, so that at most one is held twice."""
    made = np.empty((sum(map(len, chunks)), *chunks[0].shape[1:]), chunks[0].dtype)
    filled = 0
    for index, chunk in enumerate(chunks):
        made[filled : filled + len(chunk)] = chunk
        filled += len(chunk)
        chunks[index] = chunk[:0].copy()
        del chunk
    return made
