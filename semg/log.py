"""Logging set-up shared by every service: one line a record, ids as fields, rotated by size."""

from __future__ import annotations

import logging
import sys
from typing import Any

_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", None, None))) | {
    "message",
    "asctime",
    "taskName",
}


class FieldFormatter(logging.Formatter):
    """Formatter that appends the record's extra fields as ``key=value``."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03d"

    def format(self, record: logging.LogRecord) -> str:
        """Give the record as one line (tracebacks follow on their own lines)."""
        text = super().format(record)
        fields: dict[str, Any] = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if not fields:
            return text
        head, newline, rest = text.partition("\n")
        return head + " " + " ".join(f"{key}={value}" for key, value in sorted(fields.items())) + newline + rest


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
    for chatty in ("httpx", "httpcore", "nats", "asyncio", "watchdog"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
