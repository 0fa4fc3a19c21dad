"""Turns at what runs one at a time in the app's process, for all viewers; whoever comes meanwhile is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from semg.errors import ConflictError


@contextmanager
def turn(kept: threading.Semaphore, what: str, button: str) -> Iterator[None]:
    """Hold a turn in this block.

    Raises
    ------
    ConflictError
        Another one runs. Nobody waits here: a page that waits holds a thread and its file.
    """
    if not kept.acquire(blocking=False):
        raise ConflictError(f"wait until the other {what} has finished, then press {button} again: one runs at a time")
    try:
        yield
    finally:
        kept.release()
