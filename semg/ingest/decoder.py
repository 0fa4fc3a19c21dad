"""Text datagrams to samples, a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.domain import MAX_CHANNELS
from semg.errors import WireError
from semg.ingest.arrivals import Arrivals
from semg.wire.udp import EPOCH_MS_BEFORE, MAX_DATAGRAM_BYTES, decode_v1

_COMMA, _MINUS, _ZERO = b",-0"
_PLAIN = np.zeros(256, bool)
_PLAIN[list(b"0123456789,-")] = True
_DIGITS_OF_USER, _DIGITS_OF_TIME, _DIGITS_OF_VALUE = 18, 13, 7
"""What fits int64, and what lies in the allowed range; a time of 13 digits may be too late."""

FEW = 6
"""So many datagrams are parsed faster one by one."""


@dataclass(frozen=True, slots=True)
class TextSamples:
    """What a batch of text datagrams says.

    Attributes
    ----------
    user_ids, device_ms
        int64 ``(n,)``; 0 for a refused datagram.
    widths
        int64 ``(n,)``: channels; 0 for a refused datagram.
    values
        float32, the values of all datagrams, one behind the other.
    refused
        Reason by place, of a ``WireError``.
    """

    user_ids: NDArray[np.int64]
    device_ms: NDArray[np.int64]
    widths: NDArray[np.int64]
    values: NDArray[np.float32]
    refused: dict[int, str]

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each datagram's values begin, int64 ``(n,)``."""
        return np.cumsum(self.widths) - self.widths


def decode_batch(arrivals: Arrivals) -> TextSamples:
    """Give what text datagrams say; the result equals ``semg.wire.udp.decode_v1`` of each.

    Datagrams of nothing but integers, which is what boards send, are parsed as one text; the others one by one.
    """
    n = len(arrivals)
    user_ids, device_ms, widths = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    plain, numbers, counts = _parse_together(arrivals)
    refused: dict[int, str] = {}
    if len(plain):
        at = np.cumsum(counts) - counts
        heads = numbers[at], numbers[at + 1]
        good = heads[1] < EPOCH_MS_BEFORE
        user_ids[plain], device_ms[plain], widths[plain] = heads[0], heads[1], counts - 2
        is_value = np.ones(len(numbers), bool)
        is_value[at] = is_value[at + 1] = False
        values = numbers[is_value].astype(np.float32)
    else:
        good = np.zeros(0, bool)
        values = np.zeros(0, np.float32)
    if len(plain) == n and good.all():
        return TextSamples(user_ids, device_ms, widths, values, refused)
    starts = np.cumsum(widths) - widths
    parts: list[NDArray[np.float32]] = []
    rest = np.ones(n, bool)
    rest[plain[good]] = False
    done = 0
    for place in np.flatnonzero(rest).tolist():
        parts.append(values[done : starts[place]])
        done = int(starts[place] + widths[place])
        user_ids[place] = device_ms[place] = widths[place] = 0
        try:
            sample = decode_v1(arrivals.datagram(place))
        except WireError as exc:
            refused[place] = exc.reason
            continue
        user_ids[place], device_ms[place], widths[place] = sample.user_id, sample.device_ms, len(sample.values)
        parts.append(np.array(sample.values, np.float32))
    parts.append(values[done:])
    return TextSamples(user_ids, device_ms, widths, np.concatenate(parts), refused)


def _parse_together(arrivals: Arrivals) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Parse the datagrams that are plain integers of a length that fits.

    Returns
    -------
    places, numbers, counts
        Places of those datagrams ``(k,)``, all their numbers, and how many of them each has ``(k,)``.
    """
    nothing = np.zeros(0, np.int64)
    if len(arrivals) <= FEW:
        return nothing, nothing, nothing
    places = np.flatnonzero((arrivals.sizes > 0) & (arrivals.sizes <= MAX_DATAGRAM_BYTES))
    if not len(places):
        return nothing, nothing, nothing
    everything = len(places) == len(arrivals)
    sizes = arrivals.sizes if everything else arrivals.sizes[places]
    text, row_ends = _joined(arrivals.data if everything else arrivals.data[places], sizes)
    odd = _is_odd(text, row_ends)
    if odd.any():
        places, sizes = places[~odd], sizes[~odd]
        if not len(places):
            return nothing, nothing, nothing
        text, row_ends = _joined(arrivals.data[places], sizes)
    commas = np.flatnonzero(text == _COMMA)
    ends = np.searchsorted(commas, row_ends)  # of each row, its closing comma's number
    counts = np.diff(ends, prepend=-1)
    numbers = np.fromstring(text[:-1].tobytes(), np.int64, sep=",")
    return places, numbers, counts


def _joined(data: NDArray[np.uint8], sizes: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Give the rows as one text, a comma behind each, and the places of those commas."""
    width = int(sizes.max()) + 1
    rows = data[:, :width].copy()
    rows[np.arange(len(rows)), sizes] = _COMMA
    text = rows[np.arange(width) <= sizes[:, None]]
    return text, np.cumsum(sizes + 1) - 1


def _is_odd(text: NDArray[np.uint8], row_ends: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which rows are not plain integers, at least three and not too many or too long, bool ``(k,)``."""
    comma = text == _COMMA
    fields = np.flatnonzero(comma)  # where each field ends
    starts = np.empty_like(fields)
    starts[0], starts[1:] = 0, fields[:-1] + 1
    last = np.searchsorted(fields, row_ends)
    counts = np.diff(last, prepend=-1)
    first = last - counts + 1
    minus = text[starts] == _MINUS
    digits = fields - starts - minus
    limit = np.full(len(fields), _DIGITS_OF_VALUE)
    limit[first] = _DIGITS_OF_USER
    second = first[counts > 1] + 1
    limit[second] = _DIGITS_OF_TIME
    bad = (digits < 1) | (digits > limit)
    # numpy's integers know no minus zero, and the first two numbers have no sign
    bad |= minus & (text[np.minimum(starts + 1, len(text) - 1)] == _ZERO)
    bad[first] |= minus[first]
    bad[second] |= minus[second]
    odd = np.logical_or.reduceat(bad, first) | (counts < 3) | (counts > 2 + MAX_CHANNELS)
    n_signs = np.count_nonzero(text == _MINUS)
    if n_signs != np.count_nonzero(minus) or not _PLAIN[text].all():
        strange = ~_PLAIN[text]
        inner = text == _MINUS
        inner[starts[minus]] = False
        odd |= np.logical_or.reduceat(strange | inner, np.append(0, row_ends[:-1] + 1))
    return odd
