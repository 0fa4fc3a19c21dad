"""Logging set-up shared by every service: one line a record, ids as fields, rotated by size, times in UTC."""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from types import TracebackType
from typing import Any

_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", None, None))) | {
    "message",
    "asctime",
    "taskName",
}


class FieldFormatter(logging.Formatter):
    """Formatter that appends the record's extra fields as ``key=value``.

    A traceback is logged without the errors' messages: they may hold what somebody typed, or a row. What is logged
    cannot look like another record: line breaks and other characters that do not show are written by their escapes.
    """

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"
    converter = staticmethod(time.gmtime)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """Return the record's line."""
        record.message = _shown(record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line (tracebacks follow on their own lines)."""
        text = super().format(record)
        fields: dict[str, Any] = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if not fields:
            return text
        head, newline, rest = text.partition("\n")
        shown = " ".join(f"{key}={_shown(str(value))}" for key, value in sorted(fields.items()))
        return f"{head} {shown}{newline}{rest}"

    def formatException(
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        """Return where an error was raised and its type, preceded by its causes."""
        lines: list[str] = []
        error, seen = ei[1], set[int]()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            lines = [*traceback.format_tb(error.__traceback__), _kind(error) + "\n", *lines]
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "".join(lines).rstrip("\n")


def _shown(text: str) -> str:
    """Return a text on one line, without characters that move or colour what a terminal shows."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def _kind(error: BaseException) -> str:
    """Return an error's class; of the operating system's also what the system says, which names no file."""
    named = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    number = error.errno if isinstance(error, OSError) else None
    return named if number is None else f"{named}: {os.strerror(number)}"


def configure(service: str, level: str = "INFO") -> None:
    """Send this process's log to standard error, where the supervisor writes it to ``logs/<service>.log``.

    Parameters
    ----------
    service
        Name that starts every line.
    level
        Level of the root logger; libraries that are chatty at INFO stay at WARNING.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FieldFormatter(f"%(asctime)s {service} %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    web_server = logging.getLogger("uvicorn")  # its own handlers would log errors with their messages
    web_server.handlers.clear()
    web_server.propagate = True
    for chatty in ("httpx", "httpcore", "nats", "asyncio", "watchdog"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
