"""The UDP socket: datagrams with their moment of arrival, and what the kernel dropped."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from pathlib import Path

from semg.errors import SettingsError
from semg.ingest.counters import Address
from semg.ingest.pipeline import Datagram
from semg.settings import Settings

logger = logging.getLogger(__name__)

READ_BYTES = 2048
"""A datagram that is longer than this is no good one, whatever its rest says."""

LEFT_OVER = 100_000


def now_us() -> int:
    """Give the server's clock in microseconds since the epoch."""
    return time.time_ns() // 1000


def open_socket(settings: Settings) -> socket.socket:
    """Give the bound socket with its receive buffer.

    Raises
    ------
    SettingsError
        The address cannot be bound; the message names the settings.
    """
    family = socket.AF_INET6 if ":" in settings.udp_host else socket.AF_INET
    receiving = socket.socket(family, socket.SOCK_DGRAM)
    try:
        receiving.setblocking(False)
        receiving.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, settings.udp_receive_buffer)
        receiving.bind((settings.udp_host, settings.udp_port))
    except OSError as exc:
        receiving.close()
        where = f"{settings.udp_host}:{settings.udp_port}"
        raise SettingsError(f"UDP {where} cannot be opened ({exc}): set UDP_HOST and UDP_PORT to free ones") from exc
    _report_buffer(receiving, settings.udp_receive_buffer)
    return receiving


class Receiver(asyncio.DatagramProtocol):
    """Collects datagrams until they are taken.

    Attributes
    ----------
    arrived
        Set while something waits to be taken.
    """

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self._batch: list[Datagram] = []

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Keep a datagram with its moment of arrival; everything else happens once per flush."""
        self._batch.append((data, time.time_ns() // 1000, addr[:2]))
        if not self.arrived.is_set():
            self.arrived.set()

    def error_received(self, exc: Exception) -> None:
        """Note an error that the kernel tells about this socket; it keeps receiving."""
        logger.debug("udp: %s", exc)

    def take(self) -> list[Datagram]:
        """Give what has arrived since the last call."""
        batch, self._batch = self._batch, []
        self.arrived.clear()
        return batch


def read_left_over(receiving: socket.socket) -> list[Datagram]:
    """Give what the kernel still holds of a socket that nobody reads any more."""
    batch: list[Datagram] = []
    while len(batch) < LEFT_OVER:
        try:
            data, address = receiving.recvfrom(READ_BYTES)
        except BlockingIOError:
            break
        except OSError as exc:
            logger.debug("udp: %s", exc)
            break
        batch.append((data, now_us(), address[:2]))
    return batch


def kernel_drops(receiving: socket.socket) -> int:
    """Give how many datagrams the kernel dropped because the socket's buffer was full; 0 where it does not tell.

    Source: the last column of ``/proc/net/udp``, Linux ``proc(5)``.
    """
    inode = str(os.fstat(receiving.fileno()).st_ino)
    table = Path("/proc/net/udp6" if receiving.family == socket.AF_INET6 else "/proc/net/udp")
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return 0
    for line in lines:
        fields = line.split()
        if len(fields) > 12 and fields[9] == inode:
            return int(fields[12])
    return 0


def _report_buffer(receiving: socket.socket, asked: int) -> None:
    # Linux reports twice what it grants: the other half is for its own book-keeping.
    granted = receiving.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    if granted < asked:
        logger.warning(
            "udp: the kernel grants a receive buffer of %d of %d bytes; raise net.core.rmem_max "
            "if kernel_drops grows", granted, asked,
        )  # fmt: skip
    else:
        logger.info("udp: receive buffer of %d bytes", granted)
