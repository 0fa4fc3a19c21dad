"""Rotation of the services' logs.

A service writes to its log file itself, opened for appending, and the supervisor copies and then empties a file
that has grown too large. With a pipe through the supervisor, the death of the supervisor would end (a broken pipe)
or block (a full one) every service that logs. The price: a line written in the microseconds between copying and
emptying is lost, and without a supervisor nothing is rotated.
"""

from __future__ import annotations

import os
from pathlib import Path

from semg.security.private_files import open_log

CHUNK_BYTES = 1 << 20


def rotate(log: Path, max_bytes: int, backups: int) -> bool:
    """Rotate a log that is larger than ``max_bytes``: ``x.log`` becomes ``x.log.1``, and so on up to ``backups``.

    Returns
    -------
    bool
        Whether it was rotated.
    """
    try:
        if log.stat().st_size <= max_bytes:
            return False
    except FileNotFoundError:
        return False
    for number in range(backups - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    with log.open("r+b") as source, open_log(log.with_name(f"{log.name}.1")) as copy:
        copy.truncate(0)
        # At most one full file: a service that logs faster than a disk copies must not keep this loop busy.
        while source.tell() < 2 * max_bytes and (chunk := source.read(CHUNK_BYTES)):
            copy.write(chunk)
        os.ftruncate(source.fileno(), 0)
    return True
