"""Values from a browser's report of a played test, each checked: nothing of it is believed."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any

from semg.errors import InvalidValueError

MAX_COORDINATE = 2000.0
"""The playing field reaches from -500 to 500; more would be a mistake of the browser."""


def refused(what: str) -> InvalidValueError:
    """Return the refusal of a report that no page of this app sends."""
    return InvalidValueError("play", f"load the page again and play once more: the browser sent {what}")


def table(value: object, what: str) -> dict[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise refused(f"no object as {what}")
    return value


def items(value: object, what: str, least: int, most: int) -> list[Any]:
    """Return a JSON array of ``least`` to ``most`` items."""
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise refused(f"not {least} to {most} items as {what}")
    return value


def number(value: object, what: str, least: float, most: float) -> float:
    """Return a finite number from ``least`` to ``most``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refused(f"no number as {what}")
    if not abs(value) <= sys.float_info.max:  # whole numbers of JSON have any size
        raise refused(f"no number as {what}")
    if not least <= value <= most:
        raise refused(f"{value:g} as {what}, which may be {least:g} to {most:g}")
    return float(value)


def whole(value: object, what: str, least: int, most: int) -> int:
    """Return a whole number from ``least`` to ``most``."""
    found = number(value, what, least, most)
    if not found.is_integer():
        raise refused(f"no whole number as {what}")
    return int(found)


def truth(value: object, what: str) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise refused(f"neither true nor false as {what}")
    return value


def point(value: object, what: str) -> tuple[float, float]:
    """Return a point of the playing field."""
    x, y = items(value, what, 2, 2)
    return number(x, what, -MAX_COORDINATE, MAX_COORDINATE), number(y, what, -MAX_COORDINATE, MAX_COORDINATE)


def gesture(value: object, known: Collection[str]) -> str:
    """Return the name of one of the known gestures."""
    if not isinstance(value, str) or value not in known:
        raise refused("a gesture that this profile does not have (any more)")
    return value
