"""Networks from which text datagrams (v1) are accepted, checked for a whole batch."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

import numpy as np
from numpy.typing import NDArray

_MAPPED = bytes(10) + b"\xff\xff"
"""Prefix of an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2), as a dual-stack socket reports it."""


class Networks:
    """A set of networks; an empty set contains every address."""

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network] = ()) -> None:
        self._bases = [_sixteen(one.network_address.packed, _MAPPED) for one in networks]
        self._masks = [_sixteen(one.netmask.packed, b"\xff" * 12) for one in networks]

    @property
    def are_all(self) -> bool:
        """Whether every address is contained."""
        return not self._bases

    def contain(self, addresses: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return which socket addresses (``DatagramBatch.addresses``) have a contained host, bool ``(n,)``."""
        found = np.full(len(addresses), self.are_all)
        hosts = _hosts(addresses) if self._bases else addresses
        for base, mask in zip(self._bases, self._masks, strict=True):
            found |= ((hosts & mask) == base).all(axis=1)
        return found


def _hosts(addresses: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the hosts of socket addresses as IPv6, uint8 ``(n, 16)``."""
    family = np.ascontiguousarray(addresses[:, :2]).view(np.uint16)[:, 0]
    six = family == socket.AF_INET6
    hosts = np.zeros((len(addresses), 16), np.uint8)
    hosts[:, :12] = np.frombuffer(_MAPPED, np.uint8)
    hosts[:, 12:] = addresses[:, 4:8]
    hosts[six] = addresses[six, 8:24]
    return hosts


def _sixteen(packed: bytes, before: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(packed if len(packed) == 16 else before + packed, np.uint8)
