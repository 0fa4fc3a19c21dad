"""Allow one sender per profile at a time: distinguish two boards with one number from a board that has restarted.

Text names its profile by a number that may also be left in another board's sketch. Samples of two boards in one stream
would be neither's signal, so the first sender keeps the profile until it has been silent for ``TAKEOVER_US``. A program
that opens a port for each datagram is one sender: its addresses differ in the port and never repeat.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TAKEOVER_US = 500_000
"""A sender that is silent for this long loses the profile to the next sender; no board restarts sooner."""

MAX_RIVALS = 64
_HOST = np.ones(28, bool)
_HOST[2:4] = False
"""The bytes of a ``sockaddr`` except the port's."""


class ActiveSenders:
    """The active sender of each profile.

    Parameters
    ----------
    n
        Number of profiles; each has an index.
    """

    def __init__(self, n: int) -> None:
        self._senders = np.zeros(n, np.uint64)
        self._hosts: list[bytes] = [b""] * n
        self._seen_us = np.zeros(n, np.int64)
        self._boards_seen_us = np.zeros(n, np.int64)
        self._rivals: dict[int, dict[int, int]] = {}

    def moved(self, n: int, before: NDArray[np.int64], after: NDArray[np.int64]) -> ActiveSenders:
        """Return a copy for a registry of ``n`` profiles, with the profiles at ``before`` moved to ``after``."""
        new = ActiveSenders(n)
        for name in ("_senders", "_seen_us", "_boards_seen_us"):
            getattr(new, name)[after] = getattr(self, name)[before]
        for old, now in zip(before.tolist(), after.tolist(), strict=True):
            new._hosts[now] = self._hosts[old]
            if old in self._rivals:
                new._rivals[now] = self._rivals[old]
        return new

    def note_boards(self, profiles: NDArray[np.int64], received_us: NDArray[np.int64]) -> None:
        """Record that signed datagrams were accepted for some profiles."""
        self._boards_seen_us[profiles] = received_us

    def admit(
        self,
        profiles: NDArray[np.int64],
        senders: NDArray[np.uint64],
        addresses: NDArray[np.uint8],
        received_us: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Return which text datagrams, in order of arrival, are from their profile's active sender, bool ``(k,)``.

        Parameters
        ----------
        profiles
            Index of each datagram's profile, int64 ``(k,)``.
        senders, addresses
            As in ``DatagramBatch``.
        """
        since_board_us = received_us - self._boards_seen_us[profiles]
        free = (since_board_us < 0) | (since_board_us >= TAKEOVER_US)  # a signed board has its profile exclusively
        steady = self._senders[profiles] == senders
        if steady.all():
            self._seen_us[profiles] = received_us
            return free
        admitted = np.ones(len(profiles), bool)
        unsteady = np.zeros(len(self._senders), bool)
        unsteady[profiles[~steady]] = True
        alone = unsteady[profiles]
        self._seen_us[profiles[~alone]] = received_us[~alone]
        for index in np.flatnonzero(alone).tolist():
            admitted[index] = self._admit(
                int(profiles[index]), int(senders[index]), addresses[index], int(received_us[index])
            )
        return admitted & free

    def _admit(self, profile: int, sender: int, address: NDArray[np.uint8], received_us: int) -> bool:
        if self._senders[profile] == sender:
            self._seen_us[profile] = received_us
            return True
        host = address[_HOST].tobytes()
        seen_us = int(self._seen_us[profile])
        if not 0 <= received_us - seen_us < TAKEOVER_US:
            self._senders[profile], self._seen_us[profile], self._hosts[profile] = sender, received_us, host
            self._rivals.pop(profile, None)
            return True
        if host != self._hosts[profile]:
            return False
        rivals = self._rivals.setdefault(profile, {})
        first_us = rivals.setdefault(sender, received_us)
        if len(rivals) > MAX_RIVALS:
            del rivals[next(iter(rivals))]
        return seen_us <= first_us
