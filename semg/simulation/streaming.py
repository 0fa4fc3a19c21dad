"""The service simulator: sends what virtual wearers do, as signed datagrams to the UDP port, while anybody has one.

One thread reads the database, once a second while there is no arm and ten times a second while there is one; another
sends. Without the database the arms go on as they were steered last.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING, Any

from semg import clock
from semg.errors import PlatformError, SemgError, StoreError
from semg.process.attempts import LOCK_S, Attempts
from semg.security.keys import ring_of
from semg.settings import Settings
from semg.simulation.assignments import Assignment, AssignmentReader, Assignments, keep_in_order
from semg.simulation.troubles import Troubles
from semg.store.pool import Pool

if TYPE_CHECKING:
    from semg.simulation.arm_stream import ArmStream
    from semg.simulation.sender import Sender

logger = logging.getLogger(__name__)

IDLE_S, ACTIVE_S = 1.0, 0.1
"""Between two looks at the database, without and with an arm: a steered change takes effect within 0.3 s."""
ORDER_S, ORDER_IDLE_S = 1.0, 30.0
"""Between two looks at what has to end, with and without an arm."""
LONGEST_WAIT_S = 0.02
DATABASE, NETWORK = "the database", "the network"


class Simulator:
    """Sends for the simulated arms that the database names.

    Parameters
    ----------
    pool
        Of which one connection is used at a time.
    """

    def __init__(self, settings: Settings, pool: Pool) -> None:
        self._settings, self._pool = settings, pool.waiting_at_most(LOCK_S)
        self._order = Attempts(logger, "simulated arms")
        self._reader = AssignmentReader(ring_of(settings))
        self._assigned = Assignments()
        self._changed = threading.Event()
        self._streams: dict[int, ArmStream] = {}
        self._newest_boot = 0
        self._troubles = Troubles()
        self.sent = self.lost_on_purpose = self.skipped_blocks = self.failures = 0

    def metrics(self) -> dict[str, Any]:
        """Return the counters.

        Arms that send, datagrams sent and lost on purpose, blocks skipped after a stall, and how often an arm could not
        send what was due, or not be kept in order.
        """
        return {
            "arms": len(self._assigned.sending),
            "sent": self.sent,
            "lost_on_purpose": self.lost_on_purpose,
            "skipped_blocks": self.skipped_blocks,
            "failures": self.failures + self._order.failed,
        }

    def run(self, stop: threading.Event) -> None:
        """Send until stopped.

        Raises
        ------
        PlatformError
            What reads the database has failed for another reason than that it is away.
        """
        reading = threading.Thread(target=self._read_on, args=(stop,), name="arms", daemon=True)
        reading.start()
        sender: Sender | None = None
        try:
            while not stop.is_set():
                if not reading.is_alive():
                    raise PlatformError("simulated arms cannot be read any more: see the error before this one")
                if not self._assigned.sending:
                    self._streams.clear()
                    self._changed.wait(IDLE_S)
                    self._changed.clear()
                    continue
                if sender is None:
                    sender = self._open()
                next_s = self._send_due(sender, time.monotonic()) if sender is not None else math.inf
                stop.wait(min(max(0.0, next_s - time.monotonic()), LONGEST_WAIT_S))
        finally:
            if sender is not None:
                sender.socket.close()
            reading.join(5.0)

    def _read_on(self, stop: threading.Event) -> None:
        ordered_s = -math.inf
        while not stop.is_set():
            try:
                with self._pool.transaction() as tx:
                    self._assigned = self._reader.read(tx)
                is_active = bool(self._assigned.sending or self._assigned.refused)
                if time.monotonic() - ordered_s >= (ORDER_S if is_active else ORDER_IDLE_S):
                    ordered_s = time.monotonic()
                    with self._pool.transaction() as tx:
                        keep_in_order(
                            tx, self._assigned, clock.utc_now(), self._settings.simulated_arm_hours, self._order
                        )
                self._troubles.works(DATABASE, "the database answers again")
            except StoreError as exc:
                self._troubles.fails(DATABASE, "simulated arms wait for the database", exc)
            except Exception:
                logger.exception("simulated arms cannot be read")
                break
            if self._assigned.sending:
                self._changed.set()
            stop.wait(ACTIVE_S if self._assigned.sending else IDLE_S)
        self._changed.set()

    def _open(self) -> Sender | None:
        # Imported when the first arm starts: a service that nobody uses needs no signal processing in memory.
        from semg.simulation.sender import open_socket

        host = self._settings.udp_host
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
        try:
            opened = open_socket(host, self._settings.udp_port)
        except SemgError as exc:
            self._troubles.fails(NETWORK, "simulated arms wait for the network", exc)
            return None
        self._troubles.works(NETWORK, "the network answers again")
        return opened

    def _send_due(self, sender: Sender, now_s: float) -> float:
        """Send what is due of every arm, and return the monotonic time of the next datagram."""
        assigned = {one.arm.board_id: one for one in self._assigned.sending}
        for board_id in self._streams.keys() - assigned.keys():
            del self._streams[board_id]
            self._troubles.forget(board_id)
        next_s = math.inf
        for one in assigned.values():
            # One arm's problem is that arm's: the others send on, and do not say that it is over.
            try:
                stream = self._stream_of(one, now_s)
                next_s = min(next_s, self._send(sender, one, stream, now_s))
            except Exception as exc:  # edge of an arm
                self.failures += 1
                self._troubles.fails(one.arm.board_id, "a simulated arm cannot send", exc, user_id=one.arm.user_id)
        return next_s

    def _stream_of(self, one: Assignment, now_s: float) -> ArmStream:
        from semg.simulation.arm_stream import ArmStream

        stream = self._streams.get(one.arm.board_id)
        if stream is None or not stream.fits(one):
            boot_id = max(self._newest_boot + 1, int(time.time()))
            stream = self._streams[one.arm.board_id] = ArmStream(one, boot_id, now_s)
            self._newest_boot = boot_id
        return stream

    def _send(self, sender: Sender, one: Assignment, stream: ArmStream, now_s: float) -> float:
        """Send what is due of one arm, and return the monotonic time of its next datagram."""
        n_sent = 0
        try:
            for datagram, is_lost in stream.due(one, now_s, clock.utc_now()):
                if is_lost:
                    self.lost_on_purpose += 1
                else:
                    sender(datagram)
                    self.sent, n_sent = self.sent + 1, n_sent + 1
        finally:
            self.skipped_blocks += stream.take_skipped()
        if n_sent:
            self._troubles.works(one.arm.board_id, "a simulated arm sends again", user_id=one.arm.user_id)
        return stream.next_s
