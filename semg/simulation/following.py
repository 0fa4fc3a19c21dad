"""A virtual wearer from the command line: the samples of a profile's device, following the plan that runs for it."""

from __future__ import annotations

import logging
import threading
from types import TracebackType

from semg import clock
from semg.domain import Device, Session
from semg.errors import SemgError
from semg.simulation.board_encoder import block_size
from semg.simulation.sample_sources import Chunk, SimulationError, Source, sample_times
from semg.simulation.wearer import VirtualWearer
from semg.store import boards, profiles, simulated_arms
from semg.store.pool import Pool
from semg.store.running_captures import find_running
from semg.store.simulated_arms import Steering

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.1
"""A plan begins 1.5 s after its session is made, so that this is soon enough."""


def device_of(pool: Pool, user_id: int | None = None, board_id: int | None = None) -> Device:
    """Return the device of a profile, or of the profile that a board is assigned to.

    Raises
    ------
    NotFoundError
        There is no such profile or board.
    SimulationError
        The board is assigned to nobody.
    """
    with pool.transaction() as tx:
        if board_id is not None:
            user_id = boards.get_board(tx, board_id).user_id
        if user_id is None:
            raise SimulationError(f"assign board {board_id} to a profile first: it has no plan to follow")
        return profiles.get_profile(tx, user_id).device


class PlanWatch:
    """Knows the captures that run, in a thread of its own (inside a ``with`` block), and marks them as simulated.

    Parameters
    ----------
    user_ids
        The profiles that are looked after.
    """

    def __init__(self, pool: Pool, user_ids: set[int]) -> None:
        self._pool, self._user_ids = pool, user_ids
        self._running: dict[int, Session] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="plans", daemon=True)
        self._failing = False

    def running(self, user_id: int) -> Session | None:
        """Return the capture that runs for a profile, as it was seen last."""
        return self._running.get(user_id)

    def __enter__(self) -> PlanWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(5.0)

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                with self._pool.transaction() as tx:
                    found = {one: find_running(tx, one) for one in self._user_ids}
                    self._running = {one: session for one, session in found.items() if session is not None}
                    for session in self._running.values():
                        if not session.simulated:
                            simulated_arms.mark_session(tx, session.session_id)
                self._failing = False
            except Exception as exc:  # edge of a round
                if not self._failing:
                    unforeseen = None if isinstance(exc, SemgError) else exc
                    logger.warning("the plan goes on as it was seen last: %s", exc, exc_info=unforeseen)
                self._failing = True
            self._stop.wait(LOOK_EVERY_S)


def follow(watch: PlanWatch, device: Device, seed: int, steering: Steering) -> Source:
    """Yield the endless samples of a wearer who performs what is prompted, datagram by datagram.

    Each chunk is made when it is asked for, for the time from then on; ask little ahead of the moment when it is due.
    """
    wearer = VirtualWearer(device, seed)
    count, rate_hz = block_size(device.n_channels, device.rate_hz), device.rate_hz
    started_at = clock.utc_now()
    done = 0
    while True:
        session = watch.running(device.user_id)
        plan = None if session is None else session.plan
        since_s = 0.0 if session is None else (started_at - session.started_at).total_seconds()
        samples = wearer.samples(count, steering, plan, since_s + done / rate_hz)
        offset_s, device_ms = sample_times(done, count, rate_hz)
        yield Chunk(offset_s, device_ms, samples, period_ns=round(1e9 / rate_hz))
        done += count
