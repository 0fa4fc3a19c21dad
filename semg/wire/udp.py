"""UDP datagrams that devices send. Version 1 is text, one sample a datagram."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from semg.domain import MAX_CHANNELS
from semg.errors import WireError

MAX_DATAGRAM_BYTES = 1400
"""Longest datagram of any version that is read; longer ones are dropped."""

EPOCH_MS_FROM = 1 << 32
"""``millis`` from here on is epoch time; below, the device's 32-bit counter."""

EPOCH_MS_BEFORE = 4_102_444_800_000
"""2100-01-01; a later ``millis`` is no time."""

MAX_ABS_VALUE = float(1 << 24)
"""Largest magnitude of a channel value: integers up to here are exact in float32."""

_INTEGER = re.compile(rb"[0-9]{1,19}\Z")
_NUMBER = re.compile(rb"[+-]?(?:[0-9]{1,19}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?\Z")


@dataclass(frozen=True, slots=True)
class SampleV1:
    """One sample as a version 1 datagram carries it. ``device_ms`` is what the datagram says, not unwrapped."""

    user_id: int
    device_ms: int
    values: tuple[float, ...]


def encode_v1(user_id: int, device_ms: int, values: Sequence[float]) -> bytes:
    """Give the datagram ``userid,millis,a0[,a1…]``; integral values are written without a decimal point."""
    fields: Iterable[str] = (str(int(v)) if float(v).is_integer() else repr(float(v)) for v in values)
    return ",".join((str(user_id), str(device_ms), *fields)).encode("ascii")


def decode_v1(datagram: bytes) -> SampleV1:
    """Read a version 1 datagram.

    Raises
    ------
    WireError
        With reason ``empty``, ``too_long``, ``not_text``, ``field_count``, ``not_integer``, ``time_range``,
        ``not_number`` or ``value_range``. No byte string raises anything else.
    """
    if len(datagram) > MAX_DATAGRAM_BYTES:
        raise WireError("too_long", f"expected at most {MAX_DATAGRAM_BYTES} bytes, got {len(datagram)}")
    fields = datagram.strip(b" \t\r\n\0").split(b",")
    if fields == [b""]:
        raise WireError("empty", "expected userid,millis,a0[,a1…], got an empty datagram")
    if not datagram.isascii():
        raise WireError("not_text", "expected ASCII text userid,millis,a0[,a1…], got other bytes")
    if not 3 <= len(fields) <= 2 + MAX_CHANNELS:
        raise WireError("field_count", f"expected 3 to {2 + MAX_CHANNELS} fields, got {len(fields)}")
    if not (_INTEGER.match(fields[0]) and _INTEGER.match(fields[1])):
        raise WireError("not_integer", "expected userid and millis as plain non-negative integers")
    user_id, device_ms = int(fields[0]), int(fields[1])
    if device_ms >= EPOCH_MS_BEFORE or user_id >= 1 << 63:
        raise WireError("time_range", f"expected millis below {EPOCH_MS_BEFORE}, got {device_ms}")
    if not all(_NUMBER.match(field) for field in fields[2:]):
        raise WireError("not_number", "expected finite decimal numbers as channel values")
    values = tuple(float(field) for field in fields[2:])
    if any(not -MAX_ABS_VALUE <= value <= MAX_ABS_VALUE for value in values):
        raise WireError("value_range", f"expected channel values within ±{MAX_ABS_VALUE:.0f}")
    return SampleV1(user_id, device_ms, values)
