"""Datagrams as read from the socket, as columns."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.wire.udp import MAX_DATAGRAM_BYTES

SLOT_BYTES = MAX_DATAGRAM_BYTES + 8
"""Buffer size for a datagram. A longer one is truncated; it is invalid anyway."""

ADDRESS_BYTES = 28
"""The length of ``struct sockaddr_in6``; an IPv4 address takes 8 of them, the rest is 0."""

Address = tuple[str, int]
Datagram = tuple[bytes, int, Address]
"""``(bytes, received_us, address)``."""

_MIX = np.array([secrets.randbits(63) | 1 for _ in range(ADDRESS_BYTES // 4)], np.uint64)


@dataclass(frozen=True, slots=True)
class DatagramBatch:
    """Datagrams in order of arrival. The bytes are valid until the socket is read again.

    Attributes
    ----------
    data
        uint8 ``(n, SLOT_BYTES)``; the bytes after a datagram's end are undefined.
    sizes
        int64 ``(n,)``, the datagrams' lengths in bytes.
    received_us
        int64 ``(n,)``, arrival times.
    addresses
        uint8 ``(n, ADDRESS_BYTES)``, the senders' ``sockaddr``.
    """

    data: NDArray[np.uint8]
    sizes: NDArray[np.int64]
    received_us: NDArray[np.int64]
    addresses: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def senders(self) -> NDArray[np.uint64]:
        """A number for each datagram's address, equal for equal addresses, uint64 ``(n,)``."""
        return np.asarray((self.addresses.view(np.uint32) * _MIX).sum(axis=1, dtype=np.uint64))

    def datagram(self, index: int) -> bytes:
        """Return a datagram's bytes."""
        return self.data[index, : self.sizes[index]].tobytes()

    def where(self, wanted: NDArray[np.bool_]) -> DatagramBatch:
        """Return the datagrams selected by a mask ``(n,)``."""
        return DatagramBatch(self.data[wanted], self.sizes[wanted], self.received_us[wanted], self.addresses[wanted])

    @classmethod
    def of(cls, datagrams: Sequence[Datagram]) -> DatagramBatch:
        """Return separate datagrams as columns."""
        n = len(datagrams)
        data = np.zeros((n, SLOT_BYTES), np.uint8)
        addresses = np.zeros((n, ADDRESS_BYTES), np.uint8)
        sizes = np.zeros(n, np.int64)
        for index, (datagram, _, address) in enumerate(datagrams):
            cut = datagram[:SLOT_BYTES]
            sizes[index] = len(cut)
            data[index, : len(cut)] = np.frombuffer(cut, np.uint8)
            addresses[index] = np.frombuffer(_packed(address), np.uint8)
        return cls(data, sizes, np.array([item[1] for item in datagrams], np.int64), addresses)


def readable(address: NDArray[np.uint8]) -> Address:
    """Return the host and port of a ``sockaddr``."""
    raw = address.tobytes()
    family = int.from_bytes(raw[:2], "little" if _LITTLE else "big")
    port = int.from_bytes(raw[2:4], "big")
    if family == socket.AF_INET6:
        return socket.inet_ntop(socket.AF_INET6, raw[8:24]), port
    return socket.inet_ntop(socket.AF_INET, raw[4:8]), port


def _packed(address: Address) -> bytes:
    host, port = address[:2]
    order = "little" if _LITTLE else "big"
    if ":" in host:
        head = int(socket.AF_INET6).to_bytes(2, order) + port.to_bytes(2, "big") + bytes(4)  # type: ignore[arg-type]
        return (head + socket.inet_pton(socket.AF_INET6, host.partition("%")[0])).ljust(ADDRESS_BYTES, b"\0")
    head = int(socket.AF_INET).to_bytes(2, order) + port.to_bytes(2, "big")  # type: ignore[arg-type]
    return (head + socket.inet_pton(socket.AF_INET, host)).ljust(ADDRESS_BYTES, b"\0")


_LITTLE = np.little_endian
