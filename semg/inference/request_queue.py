"""Windows that wait for their predictions, and what one request takes of them: bounded in windows and in bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

import numpy as np

from semg.inference.streams import DueWindows

MAX_WINDOWS_PER_REQUEST, MAX_REQUEST_BYTES = 512, 2 << 20
"""Of one request: large windows take long, and those of everybody else in it wait as long. One window, of at most
128 kB, is always sent."""
MAX_WAITING_WINDOWS, MAX_WAITING_BYTES = 8192, 256 << 20


class Predictor(Protocol):
    """Predicts windows: ``PredictorClient``, or a test double."""

    async def post(self, body: bytes) -> bytes:
        """Return the answer's body; raises ``PredictorError``."""

    def close(self) -> None:
        """End the connection."""


class RequestQueue:
    """Queue of windows and the predictor that they are sent to; one request at a time, filled from the queue."""

    def __init__(self, predictor: Predictor, *, is_isolated: bool = False) -> None:
        self.predictor = predictor
        self.is_isolated = is_isolated
        self.wake = asyncio.Event()
        self.n_waiting = 0
        self._waiting_bytes = 0
        self._waiting: deque[DueWindows] = deque()

    def add(self, due: DueWindows) -> int:
        """Add windows, and return how many older ones were dropped for them."""
        self._waiting.append(due)
        self._count(due)
        self.wake.set()
        dropped = 0
        while self.n_waiting > MAX_WAITING_WINDOWS or self._waiting_bytes > MAX_WAITING_BYTES:
            dropped += len(first := self._take_first())
            self.leave(first)
        return dropped

    def leave(self, due: DueWindows) -> None:
        """Record that windows have left the queue."""
        if self.is_isolated:
            for stream in due.streams:
                stream.isolated -= 1

    def take(self) -> list[DueWindows]:
        """Remove and return the windows of the next request."""
        batch: list[DueWindows] = []
        n = n_bytes = 0
        while self._waiting:
            first = self._take_first()
            fits = min(MAX_WINDOWS_PER_REQUEST - n, (MAX_REQUEST_BYTES - n_bytes) // first.window_bytes)
            if not batch:
                fits = max(1, fits)
            if fits < len(first):
                later = first.take(np.arange(fits, len(first)))
                self._waiting.appendleft(later)
                self._count(later)
                first = first.take(np.arange(fits))
            if len(first):
                batch.append(first)
                n, n_bytes = n + len(first), n_bytes + len(first) * first.window_bytes
            if len(first) == fits:
                break
        return batch

    def _take_first(self) -> DueWindows:
        first = self._waiting.popleft()
        self.n_waiting -= len(first)
        self._waiting_bytes -= len(first) * first.window_bytes
        return first

    def _count(self, due: DueWindows) -> None:
        self.n_waiting += len(due)
        self._waiting_bytes += len(due) * due.window_bytes
