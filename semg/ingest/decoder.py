"""Datagrams to samples, a batch at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

from semg.domain import MAX_CHANNELS
from semg.errors import WireError
from semg.wire.udp import EPOCH_MS_BEFORE, MAX_DATAGRAM_BYTES, decode_v1

RawSample: TypeAlias = tuple[int, int, tuple[float, ...]]
"""``(user_id, device_ms, values)`` as the datagram says it."""

_INTEGERS = re.compile(
    rb"([0-9]{1,18}),([0-9]{1,13})((?:,-?[0-9]{1,7}){1,%d})[ \t\r\n\0]*\Z" % MAX_CHANNELS,
)
"""What boards send: integers of at most 7 digits, which lie within the allowed range. All else: ``decode_v1``."""


def decode_batch(datagrams: Sequence[bytes]) -> list[RawSample | str]:
    """Give for each datagram its sample, or the reason why it has none.

    The result equals ``semg.wire.udp.decode_v1``; a datagram of plain integers is read by one regular expression.

    Returns
    -------
    list
        ``(user_id, device_ms, values)`` or the ``reason`` of a ``WireError``, in the order of the datagrams.
    """
    match, decoded = _INTEGERS.match, []
    for datagram in datagrams:
        found = match(datagram)
        if found is None or len(datagram) > MAX_DATAGRAM_BYTES:
            decoded.append(_decode_slowly(datagram))
            continue
        user_id, device_ms, values = found.groups()
        at = int(device_ms)
        if at >= EPOCH_MS_BEFORE:
            decoded.append("time_range")
            continue
        decoded.append((int(user_id), at, tuple(map(float, values[1:].split(b",")))))
    return decoded


def _decode_slowly(datagram: bytes) -> RawSample | str:
    try:
        sample = decode_v1(datagram)
    except WireError as exc:
        return exc.reason
    return sample.user_id, sample.device_ms, sample.values
