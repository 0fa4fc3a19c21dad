"""What was seen of a board, which tells whether a datagram is new."""

from __future__ import annotations

from semg.domain import HighWaterMark
from semg.ingest.boards.sequences import SeenSequences
from semg.wire.udp2 import DatagramV2


class BoardHistory:
    """A board's newest boot, the sequences of that, and how far its device clock has come.

    Parameters
    ----------
    last
        What was seen before this server started.

    Attributes
    ----------
    boot_id
        The newest boot.
    newest_us
        The device time of the boot's newest datagram, -1 before any: one that follows it is of a later time.
    """

    __slots__ = ("_seen", "_since", "boot_id", "newest_us")

    def __init__(self, last: HighWaterMark) -> None:
        self.boot_id, self.newest_us = last.boot_id, last.device_us
        self._seen: SeenSequences | None = None
        self._since: int | None = None

    @property
    def newest(self) -> int | None:
        """The number of the boot's newest datagram; None before any came."""
        return None if self._seen is None else self._seen.newest

    def begin_boot(self, boot_id: int) -> None:
        """Begin with another boot, of which everything is new."""
        self.boot_id, self.newest_us, self._seen, self._since = boot_id, -1, None, None

    def number(self, datagram: DatagramV2) -> tuple[int, str]:
        """Note a datagram; give its number in the boot, and the reason not to take it, or an empty text.

        What was sent before this server started is refused: before the first datagram of a running boot that it sees,
        and before ``last``. So is what goes on in the boot while the device clock does not.
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
        """Note the next ``n`` datagrams, which were taken elsewhere."""
        if self._seen is not None:
            self._seen.skip(n)

    def refuse_before(self) -> None:
        """Take nothing later that was sent before now: it belongs to another profile, or to none."""
        if self._seen is not None:
            self._since = self._seen.newest + 1
