"""UDP datagrams that devices send. Version 1 is text, a line a sample."""

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

_BLANK = b" \t"
_LINE_END = re.compile(rb"\r\n?|\n")
_INTEGER = re.compile(rb"[0-9]{1,19}\Z")
_NUMBER = re.compile(rb"[+-]?(?:[0-9]{1,19}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?\Z")


@dataclass(frozen=True, slots=True)
class SampleV1:
    """One sample as a line of a version 1 datagram has it. ``device_ms`` is what the datagram says, not unwrapped."""

    user_id: int
    device_ms: int
    values: tuple[float, ...]


def encode_v1(user_id: int, device_ms: int, values: Sequence[float]) -> bytes:
    """Return the datagram ``userid,millis,a0[,a1…]``; integral values are written without a decimal point."""
    fields: Iterable[str] = (str(int(v)) if float(v).is_integer() else repr(float(v)) for v in values)
    return ",".join((str(user_id), str(device_ms), *fields)).encode("ascii")


def decode_v1(datagram: bytes) -> tuple[SampleV1, ...]:
    """Return the samples of a version 1 datagram: one a line, all of one profile and with as many values.

    Bytes after a NUL are ignored (a text that is shorter than the buffer it was sent from), and so are blanks
    around fields and empty lines.

    Raises
    ------
    WireError
        With reason ``empty``, ``too_long``, ``not_text``, ``json``, ``field_count``, ``not_integer``, ``time_range``,
        ``not_number``, ``value_range`` or ``lines_differ``. No byte string raises anything else.
    """
    if len(datagram) > MAX_DATAGRAM_BYTES:
        raise WireError("too_long", f"expected at most {MAX_DATAGRAM_BYTES} bytes, got {len(datagram)}")
    text = datagram.partition(b"\0")[0]
    lines = [line for line in _LINE_END.split(text) if line.strip(_BLANK)]
    if not lines:
        raise WireError("empty", "expected userid,millis,a0[,a1…], got an empty datagram")
    if not text.isascii():
        raise WireError("not_text", "expected ASCII text userid,millis,a0[,a1…], got other bytes")
    if lines[0].strip(_BLANK)[:1] in (b"{", b"["):
        raise WireError("json", "expected userid,millis,a0[,a1…], got JSON")
    samples = tuple(_decode_line(line) for line in lines)
    if len({(sample.user_id, len(sample.values)) for sample in samples}) > 1:
        raise WireError("lines_differ", "expected lines of one userid and with as many values each")
    return samples


def _decode_line(line: bytes) -> SampleV1:
    fields = [field.strip(_BLANK) for field in line.split(b",")]
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
