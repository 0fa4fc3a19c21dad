"""Times of samples that a device sends in packets, with one time stamp for several samples.

A Bluetooth armband stamps a packet of two samples once; a sketch that reads faster than its clock ticks repeats a
millisecond. The samples of a packet are spread over it at the device's own spacing: the first keeps the stamp, each
further one follows by a step. The step is the nominal period until the spacing has been estimated from some packets.
After a stamp that the spread has already passed, a slightly shorter step is used: times increase strictly, and the lead
decays.

Live, offline and in files the rule is this one, sample by sample, so that the same samples get the same times.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

MAX_LEAD_US = 1_000_000
"""Maximum lead of a spread time over its stamp. Beyond it, the stamp stands still, and is no time of a sample."""

STAMP_US = 1000
"""Resolution of a stamp in milliseconds."""

_PACKETS = 32
_KNOWN_FROM = 4
"""So many packets in a row, each of several samples, show how long a packet is."""
_SLOWEST, _FASTEST = 1.25, 0.25
_SHED = 0.25
_GAP = 1.5


class PacketTimes:
    """The times of one stream in the order of its samples.

    Parameters
    ----------
    period_us
        The device's nominal period.
    first_us
        The first sample's stamp, µs.

    Attributes
    ----------
    stamp_us
        The newest stamp.
    newest_us
        The newest sample's time.
    n_in_packet
        How many samples have carried the newest stamp.
    """

    __slots__ = ("_packets", "_period_us", "_step_us", "n_in_packet", "newest_us", "stamp_us")

    def __init__(self, period_us: float, first_us: int) -> None:
        self._packets: deque[tuple[int, int]] = deque(maxlen=_PACKETS)
        self.set_period(period_us)
        self.stamp_us = self.newest_us = first_us
        self.n_in_packet = 1

    @property
    def is_plain(self) -> bool:
        """Whether the newest sample is alone in its packet and has its stamp as its time."""
        return self.n_in_packet == 1 and self.newest_us == self.stamp_us

    @property
    def in_packets(self) -> bool:
        """Whether the last packet had several samples."""
        return bool(self._packets)

    @property
    def packet_size(self) -> int:
        """Number of samples per packet, the mode of the last packets; 1 when unknown."""
        if len(self._packets) < _KNOWN_FROM:
            return 1
        sizes = [n for _, n in self._packets]
        return max(sorted(set(sizes)), key=sizes.count)

    @property
    def resolution_us(self) -> int:
        """Smallest step between stamps, which limits the resolution of the times."""
        if len(self._packets) < _KNOWN_FROM:
            return STAMP_US
        return max(STAMP_US, round(sum(length for length, _ in self._packets) / len(self._packets)))

    @property
    def step_us(self) -> int:
        """Distance of two samples of one packet."""
        return self._step_us

    def set_period(self, period_us: float) -> None:
        """Set the nominal period of a changed device."""
        self._period_us = period_us
        self._measure()

    def next(self, stamp_us: int) -> int | None:
        """Return the time of the next sample, µs; None for a stamp that the spread has passed by ``MAX_LEAD_US``.

        Parameters
        ----------
        stamp_us
            Not before the newest stamp.
        """
        if stamp_us == self.stamp_us:
            if self.newest_us + self._step_us - stamp_us > MAX_LEAD_US:
                return None
            self.n_in_packet += 1
            self.newest_us += self._step_us
            return self.newest_us
        if stamp_us <= self.newest_us and self.newest_us - stamp_us > MAX_LEAD_US:
            return None
        self._close(stamp_us)
        if stamp_us > self.newest_us:
            self.newest_us = stamp_us
        else:
            lead_us = self.newest_us + self._step_us - stamp_us
            self.newest_us += max(1, round(max(self._step_us * _SHED, self._step_us - lead_us * _SHED)))
        self.stamp_us, self.n_in_packet = stamp_us, 1
        return self.newest_us

    def resume(self, newest_us: int) -> None:
        """Continue after samples that were alone in their packets."""
        self.stamp_us = self.newest_us = newest_us
        self.n_in_packet = 1
        self._packets.clear()
        self._measure()

    def _close(self, next_us: int) -> None:
        """Update the estimates from a completed packet, unless a gap follows it."""
        length_us = next_us - self.stamp_us
        if self.n_in_packet == 1:
            self._packets.clear()
        elif length_us < _GAP * self.n_in_packet * self._period_us:
            self._packets.append((length_us, self.n_in_packet))
        self._measure()

    def _measure(self) -> None:
        step_us = self._period_us
        if len(self._packets) >= _KNOWN_FROM:
            lengths, sizes = zip(*self._packets, strict=True)
            step_us = min(max(sum(lengths) / sum(sizes), _FASTEST * step_us), _SLOWEST * step_us)
        self._step_us = max(1, round(step_us))


def spread(stamps_us: NDArray[np.int64], period_us: float) -> NDArray[np.int64]:
    """Return strictly increasing times of samples in order, where several may have the same stamp.

    Parameters
    ----------
    stamps_us
        Non-decreasing stamps, µs, int64 ``(n,)``.
    period_us
        The nominal period.

    Raises
    ------
    ValueError
        A stamp decreases, or stands still for more than ``MAX_LEAD_US`` of samples; the text names the index.
    """
    steps = np.diff(stamps_us)
    if (steps > 0).all():
        return stamps_us
    if (steps < 0).any():
        raise ValueError(f"expected stamps that do not fall, got a fall at index {int(np.argmax(steps < 0)) + 1}")
    first = int(np.argmax(steps == 0))  # all before it keep their stamps
    times = stamps_us.copy()
    rule = PacketTimes(period_us, int(stamps_us[first]))
    for index, stamp_us in enumerate(stamps_us[first + 1 :].tolist(), first + 1):
        time_us = rule.next(stamp_us)
        if time_us is None:
            raise ValueError(f"expected stamps that grow, got one that stands still at index {index}")
        times[index] = time_us
    return times
