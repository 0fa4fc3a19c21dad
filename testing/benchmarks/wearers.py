"""Simulated wearers at little cost: text datagrams in real time, and listeners to decisions.

The sender joins texts that were made beforehand; the listeners read WebSocket frames without a library, because two
hundred of a library's connections cost as much as the platform that is measured.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import socket
import sys
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

TICK_S = 0.001
STRIDE = 37
"""Every wearer plays the same samples from another place: their numbers times this."""

_RECEIVED = re.compile(rb'"window_end_device_ms":([0-9.]+).*"received_at":"([^"]+)"')


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent; lateness in ms, of every tick's first datagram."""

    datagrams: int
    seconds: float
    late_p50_ms: float
    late_p99_ms: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Who sends what: sample ``k`` of everybody is due at ``k / rate_hz`` and says ``first_ms`` + that time.

    Attributes
    ----------
    begins
        With which sample each user begins: people do not switch on at the same instant.
    values
        ``(m, n_channels)``, played again and again.
    """

    user_ids: tuple[int, ...]
    begins: tuple[int, ...]
    values: NDArray[np.int64]
    rate_hz: float
    n: int
    first_ms: int

    @property
    def device_ms(self) -> list[int]:
        """Device time of each sample."""
        return [self.first_ms + round(k * 1000 / self.rate_hz) for k in range(self.n)]


def send(address: tuple[str, int], plan: Plan) -> Sent:
    """Send every user's samples, one a datagram, evenly spread over the period, each at its time."""
    user_ids, rate_hz, n = plan.user_ids, plan.rate_hz, plan.n
    texts = [b"," + b",".join(b"%d" % value for value in row) for row in plan.values.tolist()]
    clocks = [b"%d" % ms for ms in plan.device_ms]
    users = [b"%d," % user_id for user_id in user_ids]
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.connect(address)
    give, total, per_s = opened.send, n * len(users), rate_hz * len(users)
    late, at, sent, started = [], 0, 0, time.monotonic()
    cpu = time.process_time()
    while at < total:
        now = time.monotonic() - started
        due = min(total, int(now * per_s) + 1)
        if due > at:
            late.append(now - at / per_s)
        for number in range(at, due):
            k, user = divmod(number, len(users))
            if k < plan.begins[user]:
                continue
            sent += 1
            give(users[user] + clocks[k] + texts[(k + STRIDE * user) % len(texts)])
        at = max(at, due)
        time.sleep(TICK_S)
    seconds = time.monotonic() - started
    opened.close()
    p50, p99 = (float(x) for x in np.percentile(np.array(late) * 1000, [50, 99]))
    return Sent(sent, round(seconds, 3), round(p50, 2), round(p99, 2), round(time.process_time() - cpu, 2))


@dataclass(slots=True)
class Heard:
    """Decisions as they came: arrival in microseconds, and the message."""

    messages: list[tuple[int, bytes]] = field(default_factory=list)
    other: int = 0

    def window_ends_and_delays(self) -> tuple[list[float], NDArray[np.float64]]:
        """Return the device time of each window's last sample, and ms from its arrival at the server to ours."""
        ends, received = [], []
        for _, message in self.messages:
            found = _RECEIVED.search(message)
            assert found is not None, message
            ends.append(float(found[1]))
            received.append(np.datetime64(found[2].decode().removesuffix("Z"), "us").astype(np.int64))
        arrived = np.array([at for at, _ in self.messages], np.int64)
        return ends, (arrived - np.array(received, np.int64)) / 1000


class Listener(asyncio.Protocol):
    """One WebSocket that keeps what comes. Reads only what the API sends: whole, unmasked text frames."""

    def __init__(self, request: bytes, heard: Heard) -> None:
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._heard = heard
        self._left = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the WebSocket."""
        transport.write(self._request)  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        """Answer who still waits for the answer."""
        if not self.open.done():
            self.open.set_exception(ConnectionError(f"the WebSocket was refused: {self._left[:300]!r}"))

    def data_received(self, data: bytes) -> None:
        """Take whole frames."""
        now_us = time.time_ns() // 1000
        data = self._left + data if self._left else data
        if not self.open.done():
            head, found, data = data.partition(b"\r\n\r\n")
            if not found or b" 101 " not in head.split(b"\r\n")[0]:
                self._left = head
                return
            self.open.set_result(None)
        at = 0
        while len(data) - at >= 2:
            size, begin = data[at + 1], at + 2
            if size == 126:
                if len(data) - at < 4:
                    break
                size, begin = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            if len(data) < begin + size:
                break
            if data[at] == 0x81:
                message = data[begin : begin + size]
                if message.startswith(b'{"type":"decision"'):
                    self._heard.messages.append((now_us, message))
                else:
                    self._heard.other += 1
            at = begin + size
        self._left = data[at:]


async def listen(host: str, port: int, token: str, user_ids: list[int]) -> tuple[list[Heard], list[asyncio.Transport]]:
    """Open a WebSocket for each user's decisions."""
    loop = asyncio.get_running_loop()
    everybody, transports = [], []
    for user_id in user_ids:
        key = base64.b64encode(os.urandom(16)).decode()
        request = (
            f"GET /ws/live/{user_id}?samples=false HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        )
        heard = Heard()
        transport, listener = await loop.create_connection(
            lambda heard=heard, request=request: Listener(request.encode(), heard),  # type: ignore[misc]
            host,
            port,
        )
        await asyncio.wait_for(listener.open, 30)
        everybody.append(heard)
        transports.append(transport)
    return everybody, transports


if __name__ == "__main__":
    sys.exit("this module is a part of live_path.py")
