"""Boards in software: blocks of samples as signed binary datagrams (v2), with a sequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semg.simulation.sample_sources import Chunk, SimulationError, Source
from semg.wire.udp import EPOCH_MS_FROM, MAX_DATAGRAM_BYTES
from semg.wire.udp2 import HEADER, TAG_BYTES, DatagramV2, Key, encode_v2

DATAGRAM_S = 0.02
"""How long a board collects samples for one datagram unless told otherwise, as the sketch does."""

MAX_SAMPLES = 255
"""The count is one byte."""

_U32 = 1 << 32


def samples_that_fit(channels: int) -> int:
    """Return the largest number of samples that one datagram can carry."""
    return min(MAX_SAMPLES, (MAX_DATAGRAM_BYTES - HEADER.size - TAG_BYTES) // (2 * channels))


def in_blocks(source: Source, rate_hz: float, samples: int | None = None) -> Source:
    """Yield a source's samples in chunks that each make one datagram.

    A datagram tells the time of its first sample only, so a chunk ends before a sample that lies more than half a
    period and 1 ms (what a recording's whole milliseconds may be off) beside the place that the period gives it.

    Parameters
    ----------
    rate_hz
        Of the device.
    samples
        In a datagram, unless a gap or the end comes before; default: those of 20 ms, as many as fit.

    Raises
    ------
    SimulationError
        So many samples do not fit into a datagram.
    """
    rest: Chunk | None = None
    for chunk in source:
        if rest is not None:
            chunk = Chunk(
                np.concatenate([rest.offset_s, chunk.offset_s]),
                np.concatenate([rest.device_ms, chunk.device_ms]),
                np.concatenate([rest.samples, chunk.samples]),
            )
        size = block_size(chunk.samples.shape[1], rate_hz, samples)
        start = 0
        while len(chunk.device_ms) - start >= size:
            end = start + _regular(chunk.offset_s[start : start + size], rate_hz)
            yield _part(chunk, start, end, rate_hz)
            start = end
        rest = _part(chunk, start, len(chunk.device_ms), rate_hz)
    while rest is not None and len(rest.device_ms):
        end = _regular(rest.offset_s, rate_hz)
        yield _part(rest, 0, end, rate_hz)
        rest = _part(rest, end, len(rest.device_ms), rate_hz)


def block_size(channels: int, rate_hz: float, samples: int | None = None) -> int:
    """Return the samples of a datagram: those of 20 ms, as many as fit, unless a number is given.

    Raises
    ------
    SimulationError
        So many do not fit.
    """
    fit = samples_that_fit(channels)
    if samples is None:
        return min(fit, max(1, int(rate_hz * DATAGRAM_S)))
    if not 1 <= samples <= fit:
        raise SimulationError(f"--samples-per-datagram must lie between 1 and {fit} with {channels} channels")
    return samples


def _regular(offset_s: np.ndarray, rate_hz: float) -> int:
    """Return how many of the samples lie where the period after the first one puts them."""
    off_s = np.abs(offset_s - offset_s[0] - np.arange(len(offset_s)) / rate_hz)
    wrong = np.flatnonzero(off_s > 0.5 / rate_hz + 0.001)
    return int(wrong[0]) if len(wrong) else len(offset_s)


def _part(chunk: Chunk, start: int, end: int, rate_hz: float) -> Chunk:
    part = slice(start, end)
    return Chunk(chunk.offset_s[part], chunk.device_ms[part], chunk.samples[part], period_ns=round(1e9 / rate_hz))


@dataclass(slots=True)
class _Board:
    key: Key
    sequence: int = 0
    started_us: int | None = None


class BoardEncoder:
    """Turns the chunks of ``in_blocks`` into signed datagrams, one each.

    Parameters
    ----------
    keys
        Per board number its 32-byte secret.
    boot_id
        Of this start, for all boards; must grow from one start to the next.
    """

    def __init__(self, keys: dict[int, bytes], boot_id: int) -> None:
        self.boot_id = boot_id
        self._boards = {board_id: _Board(Key(secret)) for board_id, secret in keys.items()}

    def __call__(self, board_id: int, chunk: Chunk) -> list[bytes]:
        """Return the board's next datagram.

        Raises
        ------
        SimulationError
            The samples are no whole numbers of 16 bits, or the rate is none that a datagram can tell.
        """
        if not np.all((chunk.samples == np.rint(chunk.samples)) & (np.abs(chunk.samples) <= 32767)):
            raise SimulationError("binary datagrams carry whole numbers from -32767 to 32767; use --protocol v1")
        board = self._boards[board_id]
        first_us = round(float(chunk.offset_s[0]) * 1e6)
        if board.started_us is None:
            first_ms = int(chunk.device_ms[0])
            # A board counts from its start; a recording in epoch time starts at 0.
            board.started_us = first_ms * 1000 - first_us if first_ms < EPOCH_MS_FROM else -first_us
        datagram = DatagramV2(
            board_id=board_id,
            boot_id=self.boot_id,
            sequence=board.sequence,
            device_us=board.started_us + first_us,
            period_ns=chunk.period_ns,
            samples=chunk.samples.astype(np.int16),
        )
        board.sequence = (board.sequence + 1) % _U32
        return [encode_v2(datagram, board.key)]
