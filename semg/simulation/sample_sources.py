"""Devices in software: sources of samples, and a bad network. Nothing here reads settings or opens a socket."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semg.errors import SemgError
from semg.recordings.csv_format import Recording
from semg.wire.udp import EPOCH_MS_BEFORE, EPOCH_MS_FROM, encode_v1


class SimulationError(SemgError):
    """A simulator cannot do what was asked; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive samples of one device.

    Attributes
    ----------
    offset_s
        Float64 ``(n,)``: when each sample is due, in seconds from the start of the stream; never falls.
    device_ms
        Int64 ``(n,)``: what the datagram says.
    samples
        ``(n, n_channels)``.
    period_ns
        Time between samples; 0 where the format does not tell it (text v1).
    """

    offset_s: NDArray[np.float64]
    device_ms: NDArray[np.int64]
    samples: NDArray[Any]
    period_ns: int = 0


Source = Iterator[Chunk]
Encoder = Callable[[int, Chunk], list[bytes]]


@dataclass(frozen=True, slots=True)
class Network:
    """What happens to datagrams on their way, seeded.

    Attributes
    ----------
    loss
        Probability that a datagram is not sent.
    jitter_ms
        Each datagram is delayed by 0 to this, uniformly; more than a period changes the order.
    reorder
        Probability that a datagram changes places with the next one of its device.
    """

    loss: float = 0.0
    jitter_ms: float = 0.0
    reorder: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("loss", "reorder"):
            if not 0 <= getattr(self, name) <= 1:
                raise SimulationError(f"{name} is a probability from 0 to 1, got {getattr(self, name)}")
        if not (0 <= self.jitter_ms <= 60_000):
            raise SimulationError(f"jitter_ms must lie between 0 and 60000, got {self.jitter_ms}")


def from_recording(
    recording: Recording, *, loop: bool = False, channels: int | None = None, rate_hz: float | None = None
) -> Source:
    """Yield a recording's samples with its own ``millis``; a loop continues ``millis``.

    Parameters
    ----------
    recording
        From ``semg.recordings.csv_format.load_recording``.
    channels
        Keep the first so many channels.
    rate_hz
        Play as if recorded at this rate: times are stretched, samples are not changed.

    Raises
    ------
    SimulationError
        More channels are wanted than there are.
    """
    samples = recording.labelled.samples
    if channels is not None and channels > samples.shape[1]:
        raise SimulationError(f"{recording.path.name} has {samples.shape[1]} channels, but {channels} were asked for")
    samples = samples[:, :channels]
    stretch = 1.0 if rate_hz is None else recording.labelled.rate_hz / rate_hz
    first_ms = float(recording.device_ms[0])
    elapsed_ms = (recording.device_ms - first_ms) * stretch
    period_ms = 1000.0 / recording.labelled.rate_hz * stretch
    # A device's counter wraps at 32 bits; a recording in epoch time goes on in epoch time.
    wrap_ms = EPOCH_MS_FROM if first_ms < EPOCH_MS_FROM else EPOCH_MS_BEFORE

    def play() -> Source:
        for turn in itertools.count():
            passed_ms = elapsed_ms + turn * (elapsed_ms[-1] + period_ms)
            device_ms = np.rint(first_ms + passed_ms).astype(np.int64) % wrap_ms
            yield Chunk(passed_ms / 1000.0, device_ms, samples)
            if not loop:
                return

    return play()


def sample_times(first: int, count: int, rate_hz: float, start_ms: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return due moments (s) and device times (ms) of samples of a device that samples at an exact rate.

    The device time is the whole part of the exact one, on a 32-bit counter: what the sketch's schedule gives.
    """
    number = np.arange(first, first + count, dtype=np.float64)
    # The small addend keeps 7 * 1000 / 200 and the like from falling just below the whole number.
    device_ms = start_ms + np.floor(number * 1000.0 / rate_hz + 1e-6).astype(np.int64)
    return number / rate_hz, device_ms % EPOCH_MS_FROM


def from_arrays(blocks: Iterator[NDArray[Any]], rate_hz: float, start_ms: int = 0) -> Source:
    """Yield consecutive blocks of samples the times of a device that samples at an exact rate."""
    done = 0
    for samples in blocks:
        offset_s, device_ms = sample_times(done, len(samples), rate_hz, start_ms)
        yield Chunk(offset_s, device_ms, samples)
        done += len(samples)


def encode_text(user_id: int, chunk: Chunk) -> list[bytes]:
    """Return each sample's text v1 datagram; the same bytes as ``encode_v1``, faster for whole numbers."""
    times = chunk.device_ms.tolist()
    if np.all(chunk.samples == np.rint(chunk.samples)):
        rows = chunk.samples.astype(np.int64).tolist()
        return [f"{user_id},{ms},{','.join(map(str, row))}".encode() for ms, row in zip(times, rows, strict=True)]
    return [encode_v1(user_id, ms, row) for ms, row in zip(times, chunk.samples.tolist(), strict=True)]
