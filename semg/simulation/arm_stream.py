"""One simulated arm as a board that sends: whole datagrams as they fall due, on the board's own clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import numpy as np

from semg.simulation.assignments import Assignment
from semg.simulation.board_encoder import BoardEncoder, block_size
from semg.simulation.sample_sources import Chunk, sample_times
from semg.simulation.wearer import VirtualWearer

MOST_BEHIND_S = 0.5
"""After a longer stall a board has lost what it did not send, as a real one would."""


class ArmStream:
    """The datagrams of one arm since a start of its board.

    Parameters
    ----------
    assignment
        The arm, its key and its device.
    boot_id
        Must grow from one start of the board to the next.
    started_s
        Monotonic time of the start.
    """

    def __init__(self, assignment: Assignment, boot_id: int, started_s: float) -> None:
        self._started_as = (assignment.key, assignment.device, assignment.arm.seed)
        self._board_id = assignment.arm.board_id
        self._rate_hz = assignment.device.rate_hz
        self._count = block_size(assignment.device.n_channels, self._rate_hz)
        self._encoder = BoardEncoder({self._board_id: assignment.key}, boot_id)
        # Each start of an arm is a board of its own, and a band that was put on anew.
        self._wearer = VirtualWearer(assignment.device, assignment.arm.seed, sitting=self._board_id)
        self._network = np.random.default_rng([assignment.arm.seed, 5, boot_id])
        self._started_s = started_s
        self._done = 0
        self._skipped = 0

    @property
    def next_s(self) -> float:
        """Monotonic time when the next datagram leaves: when its last sample has been taken."""
        return self._started_s + (self._done + self._count) / self._rate_hz

    def fits(self, assignment: Assignment) -> bool:
        """Return whether this stream is what the assignment asks for; else the board starts again."""
        return self._started_as == (assignment.key, assignment.device, assignment.arm.seed)

    def take_skipped(self) -> int:
        """Return how many blocks were left out since the last call."""
        skipped, self._skipped = self._skipped, 0
        return skipped

    def due(self, assignment: Assignment, now_s: float, now: datetime) -> Iterator[tuple[bytes, bool]]:
        """Yield the datagrams that are due, each with whether the network is to lose it.

        Parameters
        ----------
        now_s, now
            The same moment on the monotonic clock and as server time, on which plans run.
        """
        behind = int((now_s - self.next_s - MOST_BEHIND_S) * self._rate_hz / self._count)
        if behind > 0:
            self._done += behind * self._count
            self._skipped += behind
        session, steering = assignment.session, assignment.arm.steering
        while self.next_s <= now_s:
            first_s = self._started_s + self._done / self._rate_hz
            plan = None if session is None else session.plan
            at_s = first_s if session is None else (now - session.started_at).total_seconds() - (now_s - first_s)
            samples = self._wearer.samples(self._count, steering, plan, at_s)
            offset_s, device_ms = sample_times(self._done, self._count, self._rate_hz)
            chunk = Chunk(offset_s, device_ms, samples, period_ns=round(1e9 / self._rate_hz))
            self._done += self._count
            (datagram,) = self._encoder(self._board_id, chunk)
            yield datagram, bool(self._network.random() < steering.loss)
