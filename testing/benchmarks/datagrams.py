"""Many boards at little cost: datagrams of both kinds, made as arrays and sent many a call.

    python testing/benchmarks/datagrams.py --kind text --users 1,2,3 --rate-hz 300 --seconds 10 --port 8081

Every sample carries its number in the first channels, so that what was stored can be compared by value. Prints a JSON
summary, also when SIGTERM ends it. Linux only (``sendmmsg(2)``).
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT)]

from semg.wire.udp2 import HEADER, MAGIC, TAG_BYTES, Key  # noqa: E402 - after the path is set

FIRST_MS = 1_000_000_000
FIRST_NUMBER = 1_000_000
CHANNELS = 8
SAMPLES = 50
MAX_CALL = 1024
TICK_S = 0.001
_HEADER = np.dtype(
    [
        ("name", "u8"), ("name_size", "u4"), ("", "u4"), ("vector", "u8"), ("vector_size", "u8"), ("control", "u8"),
        ("control_size", "u8"), ("flags", "i4"), ("", "u4"), ("size", "u4"), ("", "u4"),
    ]
)  # fmt: skip


class Boards(Protocol):
    """What is sent: row *i* of ``rows`` is the next datagram of board *i*."""

    rows: NDArray[np.uint8]

    def make(self, turn: int) -> None:
        """Fill the rows with every board's datagram of a turn."""


def values_of(user_ids: Sequence[int]) -> NDArray[np.int64]:
    """Return the values of the channels behind the number, one row a user, constant in time."""
    users = np.array(user_ids, np.int64)[:, None]
    return 1000 + (users * 37 + 101 * np.arange(CHANNELS - 1)) % 3000


class TextBoards:
    """Text datagrams of one sample: the first channel is its number."""

    def __init__(self, user_ids: Sequence[int], rate_hz: float) -> None:
        self._period_ms = 1000 / rate_hz
        widest = max(len(str(user_id)) for user_id in user_ids)
        texts = []
        for user_id, values in zip(user_ids, values_of(user_ids).tolist(), strict=True):
            rest = ",".join(map(str, values))
            texts.append(f"{user_id:0{widest}},{FIRST_MS},{FIRST_NUMBER},{rest}".encode())
        self.rows = np.frombuffer(b"".join(texts), np.uint8).reshape(len(texts), -1).copy()
        self._time_at = widest + 1
        self._number_at = self._time_at + len(str(FIRST_MS)) + 1

    def make(self, turn: int) -> None:
        """Fill the rows with every board's sample of a turn."""
        self._write(self._time_at, FIRST_MS + round(turn * self._period_ms))
        self._write(self._number_at, FIRST_NUMBER + turn)

    def _write(self, at: int, number: int) -> None:
        text = b"%d" % number
        self.rows[:, at : at + len(text)] = np.frombuffer(text, np.uint8)


class BinaryBoards:
    """Signed datagrams of many samples: the first two channels are a sample's number, low and high 15 bits."""

    def __init__(self, boards: Sequence[tuple[int, int, bytes]], rate_hz: float, boot_id: int) -> None:
        period_ns = round(1e9 / rate_hz)
        self._period_us = period_ns // 1000
        self._keys = [Key(secret) for _, _, secret in boards]
        size = HEADER.size + 2 * CHANNELS * SAMPLES + TAG_BYTES
        self.rows = np.zeros((len(boards), size), np.uint8)
        for row, (board_id, _, _) in zip(self.rows, boards, strict=True):
            head = HEADER.pack(MAGIC, 0, board_id, boot_id, 0, 0, period_ns, CHANNELS, SAMPLES, 0, 0, 255)
            row[: HEADER.size] = np.frombuffer(head, np.uint8)
        payload = np.zeros((len(boards), SAMPLES, CHANNELS), "<i2")
        payload[:, :, 2:] = values_of([user_id for _, user_id, _ in boards])[:, None, : CHANNELS - 2]
        self._payload = payload

    def make(self, turn: int) -> None:
        """Fill and sign the rows with every board's datagram of a turn."""
        numbers = turn * SAMPLES + np.arange(SAMPLES)
        self._payload[:, :, 0], self._payload[:, :, 1] = numbers & 32767, numbers >> 15
        self.rows[:, 16:20] = np.frombuffer(turn.to_bytes(4, "little"), np.uint8)
        device_us = 1_000_000 + turn * SAMPLES * self._period_us
        self.rows[:, 20:28] = np.frombuffer(device_us.to_bytes(8, "little"), np.uint8)
        self.rows[:, HEADER.size : -TAG_BYTES] = self._payload.reshape(len(self.rows), -1).view(np.uint8)
        flat, width = self.rows.reshape(-1).data, self.rows.shape[1]
        for index, key in enumerate(self._keys):
            tag = key.tag(flat[index * width : (index + 1) * width - TAG_BYTES])
            self.rows[index, -TAG_BYTES:] = np.frombuffer(tag, np.uint8)


class Junk:
    """One sender's datagrams that are no samples at all, or samples of a profile that is not there."""

    def __init__(self, text: bytes, n: int) -> None:
        self.rows = np.tile(np.frombuffer(text, np.uint8), (n, 1))

    def make(self, turn: int) -> None:
        """Leave the rows as they are."""


class Sender:
    """Sends rows, all from one address."""

    def __init__(self, address: tuple[str, int], rows: NDArray[np.uint8]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(address)
        self._send = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._vectors = np.zeros((len(rows), 2), np.uint64)
        self._vectors[:, 0] = rows.ctypes.data + np.arange(len(rows), dtype=np.uint64) * np.uint64(rows.strides[0])
        self._vectors[:, 1] = rows.shape[1]
        self._headers = np.zeros(len(rows), _HEADER)
        places = np.arange(len(rows), dtype=np.uint64) * np.uint64(16)
        self._headers["vector"] = self._vectors.ctypes.data + places
        self._headers["vector_size"] = 1

    def set_sizes(self, sizes: NDArray[np.int64]) -> None:
        """Send only so many bytes of each row from now on."""
        self._vectors[:, 1] = sizes

    def close(self) -> None:
        """Release the port."""
        self._socket.close()

    def send(self, first: int, end: int) -> None:
        """Send some rows, whatever it takes."""
        while first < end:
            at = ctypes.c_void_p(self._headers.ctypes.data + first * _HEADER.itemsize)
            sent = self._send(self._socket.fileno(), at, min(MAX_CALL, end - first), 0)
            if sent < 0:
                if ctypes.get_errno() == errno.ECONNREFUSED:
                    continue  # nobody listened to an earlier one; a board would not know
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            first += sent


def stream(
    address: tuple[str, int], boards: Boards, turns: int, per_s: float, stop: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """Send every board's datagrams of so many turns, evenly spread over the time (as fast as can be: ``per_s`` 0).

    ``stop`` ends it behind the turn that is under way. In the summary, ``started_us`` is this machine's time of the
    first datagram: that of board *i* in turn *t* is due at ``(t * n + i) / per_s`` behind it.
    """
    n = len(boards.rows)
    sender, total, at, latest = Sender(address, boards.rows), n * turns, 0, 0.0
    cpu, started, started_us = time.process_time(), time.monotonic(), time.time_ns() // 1000
    while at < total:
        if stop():
            total = -(-at // n) * n
        now = time.monotonic() - started
        due = total if not per_s else min(total, int(now * per_s) + 1)
        latest = max(latest, now - at / per_s if per_s else 0.0)
        while at < due:
            turn, first = divmod(at, n)
            if first == 0:
                boards.make(turn)
            end = min(n, first + due - at)
            sender.send(first, end)
            at += end - first
            if stop():
                break  # what the rest of the turn is, is decided anew
        if per_s:
            time.sleep(TICK_S)
    seconds = time.monotonic() - started
    return {
        "sent": total,
        "turns": total // n,
        "started_us": started_us,
        "seconds": round(seconds, 3),
        "per_s": round(total / seconds),
        "latest_ms": round(1000 * latest, 1),
        "cpu_s": round(time.process_time() - cpu, 3),
    }


def main() -> int:
    """Send what the command line asks for, and print the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=["text", "binary", "junk", "stranger"], default="text")
    parser.add_argument("--boards", type=Path, help="JSON: [[board, user, key as hex], …]; for --kind binary")
    parser.add_argument("--users", default="", help="comma separated, for --kind text")
    parser.add_argument("--rate-hz", type=float, required=True, help="samples of a board; 0: as fast as can be")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--boot", type=int, default=1)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    boards: Boards
    per_board = options.rate_hz
    if options.kind == "text":
        boards = TextBoards([int(user) for user in options.users.split(",")], options.rate_hz or 1000.0)
    elif options.kind == "binary":
        known = [(board, user, bytes.fromhex(key)) for board, user, key in json.loads(options.boards.read_text())]
        boards = BinaryBoards(known, options.rate_hz, options.boot)
        per_board = options.rate_hz / SAMPLES
    else:
        boards = Junk(b"no sample" if options.kind == "junk" else b"999999999,1000,1,2,3,4,5,6,7,8", 100)
        per_board = options.rate_hz / 100
    turns = round(options.seconds * (per_board or 1000.0))
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    address, per_s = (options.host, options.port), per_board * len(boards.rows)
    summary = stream(address, boards, turns, per_s, stopped.is_set)
    print(json.dumps(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
