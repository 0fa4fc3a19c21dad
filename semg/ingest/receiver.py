"""Read the UDP socket: many datagrams per call with their arrival times."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import logging
import os
import socket
import sys

import numpy as np

from semg.clock import behind_machine_us, now_us
from semg.ingest.streams.datagram_batch import ADDRESS_BYTES, SLOT_BYTES, Datagram, DatagramBatch

logger = logging.getLogger(__name__)

MAX_TAKEN = 4096
"""Maximum number of datagrams read at a time; the rest stays in the kernel's buffer until the next call."""

SO_TIMESTAMPNS, MSG_DONTWAIT = 35, 0x40
"""Linux, ``socket(7)``; Python names neither."""

CLOCKS_APART_US = 600_000_000
"""A kernel arrival time that differs by more from the platform's clock is from another clock, and is not used.
Datagrams that waited in a socket that outlived its reader may be some minutes old."""

_CALL_MAX = 1024
_CONTROL_BYTES = 64
_NOWHERE = np.zeros(0, np.int64)
_HEADER = np.dtype(
    [
        ("name", "u8"), ("name_size", "u4"), ("", "u4"), ("vector", "u8"), ("vector_size", "u8"), ("control", "u8"),
        ("control_size", "u8"), ("flags", "i4"), ("", "u4"), ("size", "u4"), ("", "u4"),
    ]
)  # fmt: skip
"""``struct mmsghdr`` of 64-bit Linux, ``recvmmsg(2)``."""


class Receiver:
    """Reads the socket on demand: until then datagrams wait in the kernel's buffer.

    Parameters
    ----------
    receiving
        Bound and not blocking. The caller closes it.
    """

    def __init__(self, receiving: socket.socket) -> None:
        self._socket = receiving
        self._reader: _ManyAtOnce | _OneByOne
        if sys.platform == "linux" and sys.maxsize > 1 << 32:
            self._reader = _ManyAtOnce(receiving)
        else:
            self._reader = _OneByOne(receiving)

    async def wait(self) -> None:
        """Wait until there is something to read."""
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._socket, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._socket)

    def take(self) -> DatagramBatch:
        """Return the waiting datagrams, at most ``MAX_TAKEN``; the last call's bytes are overwritten."""
        return self._reader.take()


class _ManyAtOnce:
    """Reads with ``recvmmsg(2)`` into one buffer; the kernel records the arrival times."""

    def __init__(self, receiving: socket.socket) -> None:
        receiving.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._receive = ctypes.CDLL(None, use_errno=True).recvmmsg
        self._descriptor = receiving.fileno()
        # Written in full, so that the system allocates their memory now and not at the first burst.
        self._data = np.full((MAX_TAKEN, SLOT_BYTES), 0, np.uint8)
        self._names = np.full((MAX_TAKEN, ADDRESS_BYTES), 0, np.uint8)
        self._controls = np.full((MAX_TAKEN, _CONTROL_BYTES), 0, np.uint8)
        self._vectors = np.zeros((MAX_TAKEN, 2), np.uint64)
        self._headers = np.zeros(MAX_TAKEN, _HEADER)
        self._vectors[:, 0] = _row_addresses(self._data)
        self._vectors[:, 1] = SLOT_BYTES
        self._headers["name"] = _row_addresses(self._names)
        self._headers["vector"] = _row_addresses(self._vectors)
        self._headers["vector_size"] = 1
        self._headers["control"] = _row_addresses(self._controls)
        self._used = MAX_TAKEN

    def take(self) -> DatagramBatch:
        """Read until the socket is empty or the buffer is full."""
        headers = self._headers
        headers["name_size"][: self._used] = ADDRESS_BYTES
        headers["control_size"][: self._used] = _CONTROL_BYTES
        n = 0
        while n < MAX_TAKEN:
            wanted = min(_CALL_MAX, MAX_TAKEN - n)
            at = ctypes.c_void_p(headers.ctypes.data + n * _HEADER.itemsize)
            got = self._receive(self._descriptor, at, wanted, MSG_DONTWAIT, None)
            if got < 0:
                error = ctypes.get_errno()
                if error not in (errno.EAGAIN, errno.EINTR):
                    logger.debug("udp: %s", os.strerror(error))
                break
            n += got
            if got < wanted:
                break
        self._used = n
        return DatagramBatch(
            self._data[:n], headers["size"][:n].astype(np.int64), self._received_us(n), self._names[:n]
        )

    def _received_us(self, n: int) -> np.ndarray:
        """Return the arrival times: the kernel's where available and plausible, otherwise the time of reading."""
        if not n:
            return _NOWHERE
        now = now_us()
        seconds, nanoseconds = self._controls[:n, 16:32].view(np.int64).T
        received_us = seconds * 1_000_000 + nanoseconds // 1000 + behind_machine_us()
        usable = (self._headers["control_size"][:n] >= 32) & (abs(received_us - now) <= CLOCKS_APART_US)
        return received_us if usable.all() else np.where(usable, received_us, now)


class _OneByOne:
    """Reads datagram by datagram, on systems without ``recvmmsg``."""

    def __init__(self, receiving: socket.socket) -> None:
        self._socket = receiving

    def take(self) -> DatagramBatch:
        batch: list[Datagram] = []
        while len(batch) < MAX_TAKEN:
            try:
                data, address = self._socket.recvfrom(SLOT_BYTES)
            except BlockingIOError:
                break
            except OSError as exc:
                logger.debug("udp: %s", exc)
                break
            batch.append((data, now_us(), address[:2]))
        return DatagramBatch.of(batch)


def _row_addresses(rows: np.ndarray) -> np.ndarray:
    """Return the memory address of each row."""
    return rows.ctypes.data + np.arange(len(rows), dtype=np.uint64) * np.uint64(rows.strides[0])
