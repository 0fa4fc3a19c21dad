"""Datagrams to samples, a batch at a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from semg.domain import MAX_CHANNELS
from semg.errors import WireError
from semg.wire.udp import EPOCH_MS_BEFORE, MAX_ABS_VALUE, MAX_DATAGRAM_BYTES, decode_v1

RawSample: TypeAlias = tuple[int, int, tuple[float, ...]]
"""``(user_id, device_ms, values)`` as the datagram says it."""

MAX_FAST_USER_ID = 10**18

_INTEGERS = re.compile(
    rb"([0-9]{1,18}),([0-9]{1,13})((?:,-?[0-9]{1,7}){1,%d})[ \t\r\n\0]*\Z" % MAX_CHANNELS,
)
"""What boards send: integers of at most 7 digits, which lie within the allowed range. All else: ``decode_v1``."""


def decode_batch(datagrams: Sequence[bytes]) -> list[RawSample | str]:
    """Give for each datagram its sample, or the reason why it has none.

    The result equals ``semg.wire.udp.decode_v1``. A batch of nothing but integers is parsed as one text by numpy
    (1 µs a datagram; 4 µs by a regular expression, 8 µs by ``decode_v1``).

    Returns
    -------
    list
        ``(user_id, device_ms, values)`` or the ``reason`` of a ``WireError``, in the order of the datagrams.
    """
    together = _decode_together(datagrams)
    return [_decode_alone(datagram) for datagram in datagrams] if together is None else together


def _decode_together(datagrams: Sequence[bytes]) -> list[RawSample | str] | None:
    """Give the samples of a batch of integers in range; None when any datagram is something else."""
    if not datagrams or max(map(len, datagrams)) > MAX_DATAGRAM_BYTES:
        return None
    text = b",".join(datagrams)
    if text.translate(None, b"0123456789,-") or b",00" in text or b"-0" in text or text.startswith(b"00"):
        # Two leading zeros could hide more digits than decode_v1 takes; numpy's integers have no minus zero.
        return None
    n_fields = [datagram.count(b",") + 1 for datagram in datagrams]
    if min(n_fields) < 3 or max(n_fields) > 2 + MAX_CHANNELS:
        return None
    try:
        numbers = np.fromstring(text, np.int64, sep=",")
    except (ValueError, DeprecationWarning):
        return None
    ends = np.cumsum(n_fields)
    if numbers.size != ends[-1]:
        return None
    starts = ends - n_fields
    heads = numbers[starts], numbers[starts + 1]
    if any(int(head.min()) < 0 for head in heads) or heads[0].max() >= MAX_FAST_USER_ID:
        return None
    if heads[1].max() >= EPOCH_MS_BEFORE:
        return None
    numbers[starts] = numbers[starts + 1] = 0
    if numbers.max() > MAX_ABS_VALUE or numbers.min() < -MAX_ABS_VALUE:
        return None
    values = numbers.tolist()
    spans = zip(heads[0].tolist(), heads[1].tolist(), starts.tolist(), ends.tolist(), strict=True)
    return [(user_id, device_ms, tuple(values[start + 2 : end])) for user_id, device_ms, start, end in spans]


def _decode_alone(datagram: bytes) -> RawSample | str:
    found = _INTEGERS.match(datagram)
    if found is not None and len(datagram) <= MAX_DATAGRAM_BYTES:
        user_id, device_ms, values = found.groups()
        if int(device_ms) < EPOCH_MS_BEFORE:
            return int(user_id), int(device_ms), tuple(map(float, values[1:].split(b",")))
    try:
        sample = decode_v1(datagram)
    except WireError as exc:
        return exc.reason
    return sample.user_id, sample.device_ms, sample.values
