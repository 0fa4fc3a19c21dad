"""Guess the layout of a file of samples from its first lines."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from semg.domain import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ, REST
from semg.errors import RecordingError
from semg.names import normal_form
from semg.wire.file_layout import UNIT_MS, Layout, LayoutGuess, TimeUnit
from semg.words import counted

HEAD_BYTES = 1 << 16
SHOWN_ROWS = 8
MAX_COLUMNS = 64
MAX_HEADER_BYTES = 4096
_COMMENT = re.compile(r"\s*[%#]")
MAX_NUMBER = 60
"""Characters of a field that may be a number."""
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_COMMA_NUMBER = re.compile(r"[-+]?\d+,\d+([eE][-+]?\d+)?")
_TIMES: dict[str, TimeUnit | None] = {
    "millis": None, "time": None, "t": None, "timestamp": None, "times": None, "device_ms": "ms", "ms": "ms",
    "time_ms": "ms", "milliseconds": "ms", "s": "s", "sec": "s", "seconds": "s", "time_s": "s", "us": "us",
    "micros": "us", "time_us": "us", "sample": "samples", "samples": "samples", "index": "samples", "frame": "samples",
}  # fmt: skip
_LABELS = ("gesture", "label", "class", "restimulus", "stimulus", "gesture_label", "target", "y", "movement")
_REPETITIONS = ("repetition", "rerepetition", "rep", "trial", "repeat")
_SEPARATORS = {"tab": "\t", "blank": " ", "comma": ",", "semicolon": ";"}


def guess(name: str, head: bytes, separator: str | None = None) -> LayoutGuess:
    """Guess the layout of a file.

    Parameters
    ----------
    name
        The file's, for messages.
    head
        Its first bytes, unpacked: ``HEAD_BYTES``, or all of a shorter file.
    separator
        Found when None.

    Raises
    ------
    RecordingError
        It is no text, or its first lines are no table of numbers.
    """
    encoding = _encoding(name, head)
    text = head.decode(encoding, "ignore")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if len(head) >= HEAD_BYTES:
        lines = lines[:-1]  # may be half a line
    n_skipped, body = _body(name, lines)
    given = None if separator is None else _SEPARATORS.get(separator, separator)
    if given is not None and len(given) != 1:
        raise RecordingError(f"{name}: expected one character between fields, got {separator!r}")
    found, decimal = _separator(body, given)
    separator = found
    table = [_fields(line, separator) for line in body]
    n_columns = len(table[0])
    has_header = _is_header(table, decimal)
    if n_columns < 2 or n_columns > MAX_COLUMNS or len(lines[n_skipped].encode()) > MAX_HEADER_BYTES:
        raise RecordingError(
            f"{name}: expected a first line of 2 to {MAX_COLUMNS} columns (time, 1 to {MAX_CHANNELS} channels, "
            f"gesture, repetition) and at most {MAX_HEADER_BYTES:,} bytes; it has {counted(n_columns, 'column')}."
        )
    header = tuple(table[0]) if has_header else tuple(f"c{index + 1}" for index in range(n_columns))
    if len(set(header)) < n_columns or not all(header):
        raise RecordingError(
            f"{name} has columns without a name, or two columns with the same name: {', '.join(header)[:200]}. Give "
            "each column its own name."
        )
    rows = [row for row in table[has_header:] if len(row) == n_columns]
    layout = Layout(
        encoding=encoding,
        separator=separator,
        decimal=decimal,
        has_header=has_header,
        n_skipped=n_skipped,
        header=header,
    )
    return _columns(layout, rows)


def unit_of(step: float) -> TimeUnit | None:
    """Return the unit in which the time step matches a plausible rate, or None."""
    for unit, unit_ms in UNIT_MS.items():
        if MIN_RATE_HZ <= 1000.0 / max(step * unit_ms, 1e-9) <= MAX_RATE_HZ:
            return unit
    return None


def _columns(layout: Layout, rows: Sequence[Sequence[str]]) -> LayoutGuess:
    """Classify each column by its name and by its content."""
    by_key = {one.casefold().strip(): one for one in layout.header}
    questions = []
    time = next((by_key[one] for one in _TIMES if one in by_key), None)
    label = next((by_key[one] for one in _LABELS if one in by_key), None)
    repetition = next((by_key[one] for one in _REPETITIONS if one in by_key), None)
    if not layout.has_header:
        time, label = _by_content(layout, rows)
        questions += ["time", "channels", "label"]
    unit: TimeUnit = "ms"
    if time is None:
        questions.append("rate_hz")
    else:
        known = _TIMES.get(time.casefold())
        found = known or _unit(layout, rows, time)
        unit = found or "ms"
        if time.casefold() == "millis" and found not in (None, "ms"):
            questions.append("time_unit")
        if found == "samples":
            questions.append("rate_hz")
    if label is None and "label" not in questions:
        questions.append("label")
    special = {time, label, repetition}
    channels = tuple(
        one for index, one in enumerate(layout.header)
        if one not in special and _is_mostly_numbers(rows[:SHOWN_ROWS], index, layout.decimal)
    )  # fmt: skip
    left = [one for one in layout.header if one not in special and one not in channels]
    if left and "channels" not in questions:
        questions.append("channels")
    labels = _labels(layout, rows, label)
    rest = REST
    if REST not in labels:
        alike = [one for one in labels if normal_form.is_like_rest(one)]
        if alike:
            rest = alike[0]
            questions.append("rest")
    made = replace(layout, time=time, time_unit=unit, channels=channels, label=label, repetition=repetition, rest=rest)
    return LayoutGuess(made, tuple(tuple(row) for row in rows[:SHOWN_ROWS]), labels, tuple(questions))


def _is_header(table: Sequence[Sequence[str]], decimal: str) -> bool:
    """Return whether the first line names columns: it holds only words, or words above numbers."""
    first, below = table[0], [row for row in table[1 : SHOWN_ROWS + 1] if len(row) == len(table[0])]
    words = [index for index, field in enumerate(first) if not _is_number(field, decimal)]
    return len(words) == len(first) or any(below and _is_mostly_numbers(below, index, decimal) for index in words)


def _is_mostly_numbers(rows: Sequence[Sequence[str]], index: int, decimal: str) -> bool:
    return 2 * sum(_is_number(row[index], decimal) for row in rows) >= len(rows)


def _by_content(layout: Layout, rows: Sequence[Sequence[str]]) -> tuple[str | None, str | None]:
    """Return the columns of time and labels of a file without a header: an increasing first one, a last one of text."""
    time = label = None
    numbers = _column_values(layout, rows, 0)
    if numbers is not None and len(numbers) > 1 and (np.diff(numbers) >= 0).all() and numbers[-1] > numbers[0]:
        time = layout.header[0]
    for index in range(len(layout.header) - 1, 0, -1):
        if any(not _is_number(row[index], layout.decimal) for row in rows):
            label = layout.header[index]
            break
    return time, label


def _unit(layout: Layout, rows: Sequence[Sequence[str]], column: str) -> TimeUnit | None:
    values = _column_values(layout, rows, layout.header.index(column))
    if values is None or len(values) < 2:
        return None
    steps = np.diff(values)
    steps = steps[steps > 0]
    if not len(steps):
        return None
    return unit_of(float(np.median(steps))) or unit_of(float(np.mean(np.diff(values))))


def _column_values(layout: Layout, rows: Sequence[Sequence[str]], index: int) -> np.ndarray | None:
    if not all(_is_number(row[index], layout.decimal) for row in rows):
        return None
    return np.array([float(row[index].replace(layout.decimal, ".")) for row in rows], float)


def _labels(layout: Layout, rows: Sequence[Sequence[str]], column: str | None) -> tuple[str, ...]:
    if column is None:
        return ()
    index = layout.header.index(column)
    return tuple(dict.fromkeys(normal_form.label(row[index]) for row in rows if row[index].strip()))


def _encoding(name: str, head: bytes) -> str:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if b"\x00" in head[:200]:
        odd, even = head[1:200:2].count(0), head[0:200:2].count(0)
        if min(odd, even) == 0 and max(odd, even) > 20:
            return "utf-16-le" if odd else "utf-16-be"
        raise RecordingError(f"{name} is not a text file: it contains NUL bytes. Expected CSV, plain or gzip.")
    return "utf-8-sig"


def _body(name: str, lines: Sequence[str]) -> tuple[int, list[str]]:
    """Return the number of lines before the table, and the table's lines."""
    at = next((index for index, line in enumerate(lines) if line.strip() and not _COMMENT.match(line)), None)
    if at is None:
        raise RecordingError(f"{name} has no rows; expected a line for each sample.")
    return at, [line for line in lines[at:] if line.strip() and not _COMMENT.match(line)]


def _separator(body: Sequence[str], given: str | None) -> tuple[str, str]:
    """Return the field separator, which splits most lines into equally many fields, and the decimal sign."""
    some = body[:20]
    best, most = given or ",", 0
    for candidate in (",", ";", "\t", " ") if given is None else (given,):
        counts = [len(_fields(line, candidate)) for line in some]
        alike = max(set(counts), key=counts.count)
        if alike > 1 and counts.count(alike) * 2 > len(counts) and (alike > most or candidate == ";"):
            best, most = candidate, alike
    later = [field for line in some[1:] for field in _fields(line, best)]
    has_commas = best != "," and any(len(field) <= MAX_NUMBER and _COMMA_NUMBER.fullmatch(field) for field in later)
    return best, "," if has_commas else "."


def _fields(line: str, separator: str) -> list[str]:
    if separator == " ":
        return line.split()
    return [field.strip() for field in next(csv.reader(io.StringIO(line), delimiter=separator))]


def _is_number(field: str, decimal: str) -> bool:
    return len(field) <= MAX_NUMBER and bool(
        _NUMBER.fullmatch(field if decimal == "." else field.replace(decimal, "."))
    )
