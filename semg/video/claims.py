"""Which of the webcams that see a session writes its video."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

SILENT_S = 2.0
"""A webcam that has sent nothing for this long counts as off; another one may replace it."""


class Claims:
    """Selects the one recorder that writes a session's video, and replaces a silent one. Shared by all recorders."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._owners: dict[int, tuple[object, float]] = {}

    def hold(self, session_id: int, owner: object) -> bool:
        """Return whether a recorder may write a frame now; True is valid for ``SILENT_S``."""
        now = self._clock()
        with self._lock:
            holder = self._owners.get(session_id)
            if holder is not None and holder[0] is not owner and now - holder[1] < SILENT_S:
                return False
            self._owners[session_id] = (owner, now)
            return True

    def give_up(self, session_id: int, owner: object) -> None:
        """Allow another recorder to continue."""
        with self._lock:
            if self._owners.get(session_id, (None,))[0] is owner:
                del self._owners[session_id]
