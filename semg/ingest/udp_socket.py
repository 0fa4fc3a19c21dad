"""Open the UDP socket with a large receive buffer, and read how much the kernel dropped.

The supervisor opens it and passes it to ``udpserver``: datagrams that arrive during a restart wait in the kernel's
buffer, with their arrival times. Started by hand, ``udpserver`` opens its own.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from pathlib import Path

from semg.errors import SettingsError
from semg.settings import Settings

logger = logging.getLogger(__name__)

SO_RCVBUFFORCE = 33
"""Linux, ``socket(7)``; Python does not name it."""


def open_socket(settings: Settings) -> socket.socket:
    """Return the bound socket with its receive buffer: the inherited one, or a new one.

    Raises
    ------
    SettingsError
        The address cannot be bound, or what was inherited is no UDP socket; the message names the settings.
    """
    if settings.semg_udp_fd is not None:
        return _take_over(settings.semg_udp_fd)
    family = socket.AF_INET6 if ":" in settings.udp_host else socket.AF_INET
    receiving = socket.socket(family, socket.SOCK_DGRAM)
    try:
        receiving.setblocking(False)
        _ask_for_buffer(receiving, settings.udp_receive_buffer)
        receiving.bind((settings.udp_host, settings.udp_port))
    except OSError as exc:
        receiving.close()
        where = f"{settings.udp_host}:{settings.udp_port}"
        raise SettingsError(f"UDP {where} cannot be opened ({exc}): set UDP_HOST and UDP_PORT to free ones") from exc
    _report_buffer(receiving, settings.udp_receive_buffer)
    return receiving


def kernel_drops(receiving: socket.socket) -> int:
    """Return how many datagrams the kernel dropped because the socket's buffer was full; 0 where it does not report.

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


def granted_buffer(receiving: socket.socket) -> int:
    """Return the receive buffer's size in bytes: Linux reports twice that, the other half is for its book-keeping."""
    return receiving.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def _take_over(descriptor: int) -> socket.socket:
    """Return the socket of an inherited descriptor; a child of this process does not inherit it again."""
    try:
        receiving = socket.socket(fileno=descriptor)
    except OSError as exc:
        raise SettingsError(f"SEMG_UDP_FD {descriptor} is no open socket ({exc}): it is set by the supervisor") from exc
    if receiving.type != socket.SOCK_DGRAM:
        receiving.close()
        raise SettingsError(f"SEMG_UDP_FD {descriptor} is no UDP socket: it is set by the supervisor")
    os.set_inheritable(descriptor, False)
    receiving.setblocking(False)
    logger.info("udp: took over %s:%d from the supervisor", *receiving.getsockname()[:2])
    return receiving


def _ask_for_buffer(receiving: socket.socket, size: int) -> None:
    """Request a receive buffer; a privileged process gets it beyond ``net.core.rmem_max``."""
    receiving.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    if sys.platform == "linux" and granted_buffer(receiving) < size:
        try:
            receiving.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
        except PermissionError:
            logger.debug("udp: no right to a buffer beyond net.core.rmem_max")


def _report_buffer(receiving: socket.socket, wanted: int) -> None:
    granted = granted_buffer(receiving)
    if granted < wanted:
        logger.warning(
            "udp: the kernel grants a receive buffer of %d of %d bytes; raise net.core.rmem_max "
            "if kernel_drops grows", granted, wanted,
        )  # fmt: skip
    else:
        logger.info("udp: receive buffer of %d bytes", granted)
