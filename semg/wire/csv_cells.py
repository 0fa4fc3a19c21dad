"""Text in the cells of a CSV file that a spreadsheet opens as text, and not as a formula.

A cell that begins with one of ``_FORMULA`` is a formula to a spreadsheet, which may fetch addresses and start
programs (OWASP, *CSV Injection*). Such text gets an apostrophe in front; what the platform has written is read back as
it was.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import Any, TextIO

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_MARK = "'"
_NUMBER = re.compile(r"[-+]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][-+]?[0-9]{1,3})?")


def neutral(value: Any) -> Any:
    """Return what to write for a value: text that would be a formula with an apostrophe in front, all else as it is.

    Numbers stay numbers, also as text: ``-1.5`` does no harm. Text of apostrophes before a formula gets one more, so
    that ``restored`` is the inverse.
    """
    if not isinstance(value, str) or not value.lstrip(_MARK).startswith(_FORMULA) or _NUMBER.fullmatch(value):
        return value
    return _MARK + value


def restored(cell: str) -> str:
    """Return the text that ``neutral`` wrote as this cell."""
    if cell.startswith(_MARK) and cell.lstrip(_MARK).startswith(_FORMULA):
        return cell[1:]
    return cell


class Writer:
    """Writes rows whose texts are neutral; values that are no numbers are written as their text."""

    def __init__(self, file: TextIO) -> None:
        self._rows = csv.writer(file)

    def writerow(self, row: Iterable[Any]) -> None:
        """Write a row."""
        self._rows.writerow([_cell(value) for value in row])

    def writerows(self, rows: Iterable[Iterable[Any]]) -> None:
        """Write rows."""
        self._rows.writerows([_cell(value) for value in row] for row in rows)

    def write_numbers(self, rows: Iterable[Iterable[Any]]) -> None:
        """Write rows of numbers, also as text, without looking at them."""
        self._rows.writerows(rows)


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else neutral(str(value))
