"""Tables of tab-separated text, as BIDS has them: a header, one row a line, ``n/a`` for what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from semg.errors import RecordingError
from semg.wire import csv_cells

MAX_BYTES = 64 << 20
MISSING = "n/a"
_BREAKS = re.compile(r"[\t\r\n]+")


def to_text(rows: Iterable[Iterable[str]]) -> str:
    """Return rows as text; what a spreadsheet would compute has an apostrophe before it, as in every table here."""
    return "".join("\t".join(str(csv_cells.neutral(_BREAKS.sub(" ", cell))) for cell in row) + "\n" for row in rows)


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file by column.

    Raises
    ------
    RecordingError
        It is too large, or is no such table.
    """
    if path.stat().st_size > MAX_BYTES:
        raise RecordingError(f"{path.name} has more than {MAX_BYTES >> 20} MB; a table of events is smaller")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as exc:
        raise RecordingError(f"{path.name} is no text in UTF-8") from exc
    if not lines:
        return []
    names = lines[0].split("\t")
    rows = []
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("\t")
        if len(cells) != len(names):
            raise RecordingError(f"{path.name}: line {number} has {len(cells)} cells; the header has {len(names)}")
        rows.append({name: csv_cells.restored(cell) for name, cell in zip(names, cells, strict=True)})
    return rows
