"""Replay protection: decide from a board's history whether a datagram is new."""

from __future__ import annotations

from semg.domain import HighWaterMark
from semg.ingest.boards.sequences import SeenSequences
from semg.wire.udp2 import DatagramV2


class BoardHistory:
    """A board's newest boot, the sequences seen in it, and its newest device time.

    Parameters
    ----------
    last
        High-water mark before this server started.

    Attributes
    ----------
    boot_id
        The newest boot.
    newest_us
        The device time of the boot's newest datagram, -1 before any; a following datagram must be later.
    """

    __slots__ = ("_seen", "_since", "boot_id", "newest_us")

    def __init__(self, last: HighWaterMark) -> None:
        self.boot_id, self.newest_us = last.boot_id, last.device_us
        self._seen: SeenSequences | None = None
        self._since: int | None = None

    @property
    def newest(self) -> int | None:
        """The number of the boot's newest datagram; None before the first."""
        return None if self._seen is None else self._seen.newest

    def begin_boot(self, boot_id: int) -> None:
        """Begin a new boot, of which no datagram has been seen."""
        self.boot_id, self.newest_us, self._seen, self._since = boot_id, -1, None, None

    def number(self, datagram: DatagramV2) -> tuple[int, str]:
        """Record a datagram; return its number in the boot and its drop code, or an empty string if it is new.

        Datagrams sent before this server started are refused: those before the first datagram seen of a running boot,
        and those before ``last``. So is a later datagram of the boot whose device time does not advance.
        """
        if datagram.boot_id < self.boot_id:
            return 0, "replayed"
        if datagram.boot_id > self.boot_id:
            self.begin_boot(datagram.boot_id)
        elif self._seen is None:
            self._since = datagram.sequence
        seen = self._seen
        number = datagram.sequence if seen is None else seen.number_of(datagram.sequence)
        if seen is None or number > seen.newest:
            if datagram.device_us <= self.newest_us:
                return 0, "replayed"
            self.newest_us = datagram.device_us
        if seen is None:
            self._seen = SeenSequences(datagram.sequence)
            return number, ""
        refused = seen.refusal(number)
        if not refused and self._since is not None and number < self._since:
            refused = "replayed"
        return number, refused

    def skip(self, n: int) -> None:
        """Record the next ``n`` datagrams, which were accepted in the batch."""
        if self._seen is not None:
            self._seen.skip(n)

    def refuse_before(self) -> None:
        """Refuse from now on what was sent before: it belongs to another profile, or to none."""
        if self._seen is not None:
            self._since = self._seen.newest + 1
