"""A UDP socket that sends to one address."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass
from typing import Any

from semg.simulation.sample_sources import SimulationError


@dataclass(slots=True)
class Sender:
    """Sends datagrams to one address, and learns from the network when nobody listens there.

    The socket is not connected, and a datagram that is refused because the one before met nobody is sent again.
    """

    socket: socket.socket
    address: Any
    named: str
    refused: int = 0

    @property
    def port(self) -> int:
        """The port that is sent from; 0 before the first datagram."""
        return int(self.socket.getsockname()[1])

    def __call__(self, datagram: bytes) -> None:
        """Send a datagram.

        Raises
        ------
        SimulationError
            The network does not take it.
        """
        try:
            try:
                self.socket.sendto(datagram, self.address)
            except ConnectionRefusedError:
                self.refused += 1
                self.socket.sendto(datagram, self.address)
        except ConnectionRefusedError:
            return  # told by the first one already
        except OSError as exc:
            raise SimulationError(f"sending to {self.named} failed: {exc.strerror or exc}") from exc


def open_socket(host: str, port: int) -> Sender:
    """Return what sends datagrams to an address; name look-up happens once, here.

    Raises
    ------
    SimulationError
        The host is unknown.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except (OSError, UnicodeError) as exc:
        raise SimulationError(f"host {host!r} cannot be found ({exc}); give --host or set DEST_IP") from exc
    opened = socket.socket(family, socket.SOCK_DGRAM)
    if sys.platform == "linux":  # ip(7), ipv6(7): without a connection, errors are told only when they are asked for
        six = family == socket.AF_INET6
        opened.setsockopt(*((socket.IPPROTO_IPV6, 25) if six else (socket.IPPROTO_IP, 11)), 1)
    return Sender(opened, address, f"{host}:{port}")
