"""Binary UDP datagrams, version 2: a block of int16 samples with a tag that proves which board sent it.

``docs/wire.md``, "UDP binary v2", is the reference; ``testing/tests/golden/v2.json`` holds the bytes that the
simulator, the server and the sketch share.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from semg.domain import MAX_CHANNELS
from semg.errors import WireError
from semg.wire.udp import MAX_DATAGRAM_BYTES

MAGIC = b"SE\x02"
KEY_BYTES = 32
TAG_BYTES = 16
BATTERY_UNKNOWN = 255
HEADER = struct.Struct("<3sBQIIQIBBHHBx")
HEADER_ROW = np.dtype(
    [
        ("magic", "V3"), ("flags", "u1"), ("board_id", "<u8"), ("boot_id", "<u4"), ("sequence", "<u4"),
        ("device_us", "<u8"), ("period_ns", "<u4"), ("channels", "u1"), ("samples", "u1"), ("lead_off", "<u2"),
        ("clipping", "<u2"), ("battery", "u1"), ("", "u1"),
    ]
)  # fmt: skip
"""Magic and version, flags, board, boot, sequence, device clock µs, period ns, channels, samples, lead-off, clipping,
battery; 40 bytes. ``HEADER_ROW`` is the same for numpy."""

MIN_PERIOD_NS, MAX_PERIOD_NS = 400_000, 25_000_000
"""2,500 Hz to 40 Hz: the allowed rates with a margin for the crystal's tolerance."""


class Flag(IntFlag):
    """Status flags of a board."""

    BATTERY_LOW = 1
    LEAD_OFF = 2
    CLIPPING = 4
    MISSED = 8
    """The board could not take some samples in time; their moments are left out before this datagram."""


@dataclass(frozen=True, slots=True)
class DatagramV2:
    """Content of a version 2 datagram.

    Attributes
    ----------
    boot_id
        Grows with every start of the board.
    sequence
        Number of the datagram in this boot, from 0; wraps at 2³².
    device_us
        Device clock at the first sample.
    period_ns
        Time between samples.
    lead_off, clipping
        One bit a channel, the first channel lowest.
    battery_percent
        255 when unknown.
    samples
        int16 ``(n, n_channels)``.
    """

    board_id: int
    boot_id: int
    sequence: int
    device_us: int
    period_ns: int
    samples: NDArray[np.int16]
    flags: Flag = Flag(0)
    lead_off: int = 0
    clipping: int = 0
    battery_percent: int = BATTERY_UNKNOWN


class Key:
    """A board's key, with the two SHA-256 states that every tag starts from.

    Copying the states instead of hashing the padded key each time halves the cost of a tag (RFC 2104).
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise WireError("key", f"expected a key of {KEY_BYTES} bytes, got {len(secret)}")
        padded = secret.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))

    def tag(self, data: bytes | memoryview) -> bytes:
        """Return the first 16 bytes of the HMAC-SHA-256 of some bytes."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer.digest()[:TAG_BYTES]

    def signs(self, datagram: bytes) -> bool:
        """Return whether a datagram ends with the tag of what precedes it."""
        view = memoryview(datagram)
        return hmac.compare_digest(self.tag(view[:-TAG_BYTES]), view[-TAG_BYTES:])


def signed(keys: Sequence[Key], datagrams: Sequence[memoryview]) -> list[bool]:
    """Return which of many datagrams end with their key's tag; a single comparison if all do."""
    expected = [key.tag(datagram[:-TAG_BYTES]) for key, datagram in zip(keys, datagrams, strict=True)]
    given = [bytes(datagram[-TAG_BYTES:]) for datagram in datagrams]
    if hmac.compare_digest(b"".join(expected), b"".join(given)):
        return [True] * len(expected)
    return [hmac.compare_digest(ours, theirs) for ours, theirs in zip(expected, given, strict=True)]


def board_of(datagram: bytes) -> int:
    """Return the board number that a datagram claims, before authentication.

    Raises
    ------
    WireError
        With reason ``v2_size``: too short to carry one.
    """
    if len(datagram) < HEADER.size + TAG_BYTES:
        raise WireError("v2_size", f"expected at least {HEADER.size + TAG_BYTES} bytes, got {len(datagram)}")
    return int.from_bytes(datagram[4:12], "little")


def encode_v2(datagram: DatagramV2, key: Key) -> bytes:
    """Return the bytes of a datagram with its tag."""
    n, channels = datagram.samples.shape
    head = HEADER.pack(
        MAGIC, datagram.flags, datagram.board_id, datagram.boot_id, datagram.sequence, datagram.device_us,
        datagram.period_ns, channels, n, datagram.lead_off, datagram.clipping, datagram.battery_percent,
    )  # fmt: skip
    data = head + np.ascontiguousarray(datagram.samples, "<i2").tobytes()
    if len(data) + TAG_BYTES > MAX_DATAGRAM_BYTES:
        raise WireError("too_long", f"expected at most {MAX_DATAGRAM_BYTES} bytes, got {len(data) + TAG_BYTES}")
    return data + key.tag(data)


def decode_v2(datagram: bytes) -> DatagramV2:
    """Read a datagram whose tag was verified (``Key.signs``); samples are a view of its bytes.

    Raises
    ------
    WireError
        With reason ``too_long``, ``v2_magic``, ``v2_size`` or ``v2_range``. No byte string raises anything else.
    """
    if len(datagram) > MAX_DATAGRAM_BYTES:
        raise WireError("too_long", f"expected at most {MAX_DATAGRAM_BYTES} bytes, got {len(datagram)}")
    board_of(datagram)
    magic, flags, board, boot, sequence, device_us, period_ns, channels, n, lead_off, clipping, battery = (
        HEADER.unpack_from(datagram)
    )
    if magic != MAGIC:
        raise WireError("v2_magic", f"expected a datagram that starts with {MAGIC!r}, got {magic!r}")
    expected = HEADER.size + 2 * channels * n + TAG_BYTES
    if not 1 <= channels <= MAX_CHANNELS or n < 1 or len(datagram) != expected:
        raise WireError("v2_size", f"expected {expected} bytes for {n} × {channels} samples, got {len(datagram)}")
    if not MIN_PERIOD_NS <= period_ns <= MAX_PERIOD_NS or device_us >= 1 << 62 or board >= 1 << 63:
        raise WireError("v2_range", f"expected a period of {MIN_PERIOD_NS} to {MAX_PERIOD_NS} ns, got {period_ns}")
    samples = np.frombuffer(datagram, "<i2", n * channels, HEADER.size).reshape(n, channels)
    return DatagramV2(
        board, boot, sequence, device_us, period_ns, samples, Flag(flags & 15), lead_off, clipping, battery
    )
