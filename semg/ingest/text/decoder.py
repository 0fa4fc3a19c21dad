"""Decode text datagrams into samples, a batch at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.domain import MAX_CHANNELS
from semg.errors import WireError
from semg.ingest.streams.datagram_batch import DatagramBatch
from semg.wire.udp import EPOCH_MS_BEFORE, MAX_DATAGRAM_BYTES, SampleV1, decode_v1

_COMMA, _MINUS, _ZERO = b",-0"
_PLAIN = np.zeros(256, bool)
_PLAIN[list(b"0123456789,-")] = True
_DIGITS_OF_USER, _DIGITS_OF_TIME, _DIGITS_OF_VALUE = 18, 13, 7
"""What fits int64, and what lies in the allowed range; a time of 13 digits may be too late."""

FEW = 6
"""Up to this many datagrams are parsed faster one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSamples:
    """The *m* samples of a batch of *n* text datagrams.

    Attributes
    ----------
    user_ids
        int64 ``(n,)``; 0 for a refused datagram.
    widths
        int64 ``(n,)``: channels; 0 for a refused datagram.
    counts
        int64 ``(n,)``: samples of each datagram; 0 for a refused one.
    device_ms
        int64 ``(m,)``, concatenated over the datagrams.
    ordinals
        int64 ``(m,)``: number of earlier samples in the same datagram with the same time.
    values
        float32, the concatenated values of all samples.
    refused
        Drop code of a ``WireError`` by the datagram's index.
    """

    user_ids: NDArray[np.int64]
    widths: NDArray[np.int64]
    counts: NDArray[np.int64]
    device_ms: NDArray[np.int64]
    ordinals: NDArray[np.int64]
    values: NDArray[np.float32]
    refused: dict[int, str]

    @property
    def firsts(self) -> NDArray[np.int64]:
        """Index of each datagram's first sample, int64 ``(n,)``."""
        return np.cumsum(self.counts) - self.counts

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each sample's values begin, int64 ``(m,)``."""
        widths = np.repeat(self.widths, self.counts)
        return np.cumsum(widths) - widths

    def samples_of(self, datagrams: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the indices of some datagrams' samples, in order."""
        counts = self.counts[datagrams]
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        return np.repeat(self.firsts[datagrams] - (ends - counts), counts) + np.arange(total)

    @property
    def value_ends(self) -> NDArray[np.int64]:
        """Where each datagram's values end, int64 ``(n,)``."""
        return np.cumsum(self.counts * self.widths)


def decode_batch(batch: DatagramBatch) -> TextSamples:
    """Decode text datagrams; the result equals ``semg.wire.udp.decode_v1`` of each.

    Datagrams that hold only integers, which is what boards send, are parsed as one text; the others one by one.
    """
    n = len(batch)
    plain, numbers, counts = _parse_together(batch)
    at = np.cumsum(counts) - counts
    good = numbers[at + 1] < EPOCH_MS_BEFORE if len(plain) else np.zeros(0, bool)
    if len(plain) == n and good.all():
        is_value = np.ones(len(numbers), bool)
        is_value[at] = is_value[at + 1] = False
        values = numbers[is_value].astype(np.float32)
        one_each = np.ones(n, np.int64)
        return TextSamples(
            user_ids=numbers[at],
            widths=counts - 2,
            counts=one_each,
            device_ms=numbers[at + 1],
            ordinals=one_each - 1,
            values=values,
            refused={},
        )
    return _decode_mixed(batch, plain[good], numbers, at[good], counts[good])


def _decode_mixed(
    batch: DatagramBatch,
    plain: NDArray[np.int64],
    numbers: NDArray[np.int64],
    at: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> TextSamples:
    """Merge the datagrams that were parsed together with those that are parsed one by one."""
    n = len(batch)
    user_ids, widths, n_samples = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    user_ids[plain], widths[plain], n_samples[plain] = numbers[at], counts - 2, 1
    found: dict[int, tuple[SampleV1, ...]] = {}
    refused: dict[int, str] = {}
    rest = np.ones(n, bool)
    rest[plain] = False
    for index in np.flatnonzero(rest).tolist():
        try:
            samples = decode_v1(batch.datagram(index))
        except WireError as exc:
            refused[index] = exc.reason
            continue
        found[index] = samples
        user_ids[index], widths[index], n_samples[index] = samples[0].user_id, len(samples[0].values), len(samples)
    device_ms, ordinals = np.zeros(int(n_samples.sum()), np.int64), np.zeros(int(n_samples.sum()), np.int64)
    firsts = np.cumsum(n_samples) - n_samples
    device_ms[firsts[plain]] = numbers[at + 1]
    n_values = widths * n_samples
    ends = np.cumsum(n_values)
    values = np.zeros(int(ends[-1]) if n else 0, np.float32)
    in_numbers = np.repeat(at + 2 - (np.cumsum(counts - 2) - (counts - 2)), counts - 2) + np.arange((counts - 2).sum())
    is_plain = np.zeros(n, bool)
    is_plain[plain] = True
    values[np.repeat(is_plain, n_values)] = numbers[in_numbers]
    for index, samples in found.items():
        first = int(firsts[index])
        device_ms[first : first + len(samples)] = [sample.device_ms for sample in samples]
        ordinals[first : first + len(samples)] = _ordinals(samples)
        values[ends[index] - n_values[index] : ends[index]] = [value for one in samples for value in one.values]
    return TextSamples(
        user_ids=user_ids,
        widths=widths,
        counts=n_samples,
        device_ms=device_ms,
        ordinals=ordinals,
        values=values,
        refused=refused,
    )


def _ordinals(samples: tuple[SampleV1, ...]) -> list[int]:
    """Return for each sample the number of earlier samples in its datagram with the same time."""
    seen: Counter[int] = Counter()
    found = []
    for sample in samples:
        found.append(seen[sample.device_ms])
        seen[sample.device_ms] += 1
    return found


def _parse_together(batch: DatagramBatch) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Parse the datagrams that hold only integers and have a valid length.

    Returns
    -------
    indices, numbers, counts
        Indices of those datagrams ``(k,)``, all their numbers, and how many of them each has ``(k,)``.
    """
    nothing = np.zeros(0, np.int64)
    if len(batch) <= FEW:
        return nothing, nothing, nothing
    indices = np.flatnonzero((batch.sizes > 0) & (batch.sizes <= MAX_DATAGRAM_BYTES))
    if not len(indices):
        return nothing, nothing, nothing
    everything = len(indices) == len(batch)
    sizes = batch.sizes if everything else batch.sizes[indices]
    text, row_ends = _joined(batch.data if everything else batch.data[indices], sizes)
    odd = _is_odd(text, row_ends)
    if odd.any():
        indices, sizes = indices[~odd], sizes[~odd]
        if not len(indices):
            return nothing, nothing, nothing
        text, row_ends = _joined(batch.data[indices], sizes)
    commas = np.flatnonzero(text == _COMMA)
    ends = np.searchsorted(commas, row_ends)  # of each row, its closing comma's number
    counts = np.diff(ends, prepend=-1)
    numbers = np.fromstring(text[:-1].tobytes(), np.int64, sep=",")
    return indices, numbers, counts


def _joined(data: NDArray[np.uint8], sizes: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the rows as one text with a comma after each, and the positions of those commas."""
    width = int(sizes.max()) + 1
    rows = data[:, :width].copy()
    rows[np.arange(len(rows)), sizes] = _COMMA
    text = rows[np.arange(width) <= sizes[:, None]]
    return text, np.cumsum(sizes + 1) - 1


def _is_odd(text: NDArray[np.uint8], row_ends: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which rows are not plain integers, at least three and not too many or too long, bool ``(k,)``."""
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
    # numpy's integers have no minus zero, and the first two numbers have no sign
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
