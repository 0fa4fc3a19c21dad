"""Find samples that a device sends again: a stalled converter, a driver that fills gaps, a rate set too high.

A signal of low resolution repeats values by itself, so equal values are counted only beyond what the signal explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from semg.domain import Device
from semg.signals.quality import ChannelQuality, Level

HELD_S = 0.1
"""The shortest stretch of equal values that is called held: a fifth of a usual window."""
REPEATED_FAIR, REPEATED_BAD = 0.05, 0.2
"""Share of samples that repeat the one before, beyond what the signal explains.

Measured in 3 s of real recordings: at most 1.5 % of what was recorded (at most 0.1 % with eight channels); where every
second sample is repeated 43 to 50 %, unless all channels rest below the converter's resolution.
"""
ALONE = "stands still now and then while others move"
"""The reason of a channel that is held alone."""
_SEGMENT_S = 0.25
"""What a signal explains is estimated in pieces of this length: a muscle rests and works within a second."""
_SURE = 1e-4
"""Largest expected number of stretches as long as one, for it to be called held."""
_MOVED = 3.0
"""Smallest change after a stretch, of all channels together, in steps of the converter.

A signal that goes on where it was has not been held.
"""
_ITERATIONS = 40
_EDGE = 0.001


@dataclass(frozen=True, slots=True)
class HeldSamples:
    """What was sent again.

    Attributes
    ----------
    repeated
        Share of samples equal to the one before in all channels, beyond what the signal explains.
    held_s
        Sum of the stretches of at least ``HELD_S`` in which all channels stand still.
    longest_s
        The longest of them; 0 without one.
    length_s
        How much signal was looked at.
    channels
        Indices of channels that stood still so long alone, while others moved.
    """

    repeated: float
    held_s: float
    longest_s: float
    length_s: float
    channels: tuple[int, ...] = ()

    @property
    def level(self) -> Level:
        """How bad that is; what is held is repeated too."""
        if self.repeated > REPEATED_BAD or self.held_s > REPEATED_BAD * self.length_s:
            return "bad"
        return "fair" if self.repeated > REPEATED_FAIR or self.held_s else "good"

    @property
    def is_held(self) -> bool:
        """Whether held stretches explain most of it."""
        return self.held_s > 0.5 * self.repeated * self.length_s

    @property
    def reason(self) -> str:
        """What was found in all channels at once."""
        if self.is_held:
            return f"all channels stand still for up to {self.longest_s:.2g} s"
        return "good" if self.level == "good" else f"{self.repeated:.0%} of the samples repeat the one before"


def find_held(samples: NDArray[np.float32], device: Device, at_us: NDArray[np.int64] | None = None) -> HeldSamples:
    """Find repeated samples and held stretches.

    Parameters
    ----------
    samples
        Float32 ``(n, n_channels)``, as the device sent them, in time order.
    device
        Its rate, and the range of its values: a channel at an end of it repeats values because it is clipped.
    at_us
        Time of each sample, int64 ``(n,)``: what lies on both sides of a gap is not compared. None without gaps.

    Notes
    -----
    A step is the difference of two consecutive samples. How often all channels stay the same by themselves is estimated
    from the other steps, piece by piece: each channel's share of steps without a change, or that of a discrete Laplace
    distribution with the channel's mean change, whichever is larger; channels are taken as independent of one another.
    """
    length_s = len(samples) / device.rate_hz
    steps = _steps(samples, device, at_us)
    if steps is None:
        return HeldSamples(0.0, 0.0, 0.0, length_s)
    if not steps.columns:
        # Of a single channel, and of envelopes, a loose electrode is as likely: that is called flat.
        stands_s = length_s if device.sensor == "raw" and device.n_channels > 1 and not steps.at_end.all() else 0.0
        return HeldSamples(float(stands_s > 0), stands_s, stands_s, length_s)
    same = (steps.moves == 0) & steps.joined[:, None]
    frames = same.all(axis=1) & ~steps.at_end.all(axis=1)
    piece = max(8, round(_SEGMENT_S * device.rate_hz))
    explained = np.zeros(len(frames))
    for begin in range(0, len(frames), piece):
        part = slice(max(0, min(begin, len(frames) - piece)), begin + piece)
        explained[begin : begin + piece] = _explained(steps.moves[part][steps.joined[part] & ~frames[part]])
    repeated = (frames - explained * steps.joined).sum() / max(1, steps.joined.sum())
    shortest = max(2, round(HELD_S * device.rate_hz))
    held = _held(steps, frames, slice(None), shortest, 2 * piece)
    alone = []
    for position, index in enumerate(steps.columns):
        still = same[:, position] & ~frames & ~steps.at_end[:, position]
        if len(steps.columns) > 1 and _held(steps, still, slice(position, position + 1), shortest, 2 * piece):
            alone.append(index)
    held_s, longest_s = sum(held) / device.rate_hz, max(held, default=0) / device.rate_hz
    return HeldSamples(float(max(0.0, repeated)), held_s, longest_s, length_s, tuple(alone))


def mark_held(channels: Sequence[ChannelQuality], found: HeldSamples) -> tuple[ChannelQuality, ...]:
    """Return channels' assessments, with those marked that stood still alone and have no worse finding."""
    marked = [
        replace(one, level="fair", reason=ALONE) if index in found.channels and one.level == "good" else one
        for index, one in enumerate(channels)
    ]
    return tuple(marked)


@dataclass(frozen=True, slots=True)
class _Steps:
    """Differences of consecutive samples, of the channels that change at all.

    Attributes
    ----------
    columns
        Indices of these channels; when none changes, the arrays hold all.
    moves
        Size of each step, in steps of the channel's converter, float64 ``(k, n)``.
    at_end
        Whether the value lies at an end of the range, bool ``(k, n)``.
    joined
        Whether the two samples are neighbours in time, bool ``(k,)``.
    """

    columns: tuple[int, ...]
    moves: NDArray[np.float64]
    at_end: NDArray[np.bool_]
    joined: NDArray[np.bool_]


def _steps(samples: NDArray[np.float32], device: Device, at_us: NDArray[np.int64] | None) -> _Steps | None:
    """Return the steps between samples; None for fewer than two samples."""
    if len(samples) < 2:
        return None
    values = samples.astype(np.float64)
    moves = np.abs(np.diff(values, axis=0))
    edge = _EDGE * (device.adc_max - device.adc_min)
    at_end = (values[1:] <= device.adc_min + edge) | (values[1:] >= device.adc_max - edge)
    joined = np.ones(len(moves), bool)
    if at_us is not None:
        apart_us = np.diff(at_us)
        joined = apart_us <= 1.5 * np.median(apart_us)
    columns = np.flatnonzero(moves.any(axis=0))
    if not len(columns):
        return _Steps((), moves, at_end, joined)
    quanta = np.array([moves[moves[:, index] > 0, index].min() for index in columns])
    return _Steps(tuple(columns.tolist()), moves[:, columns] / quanta, at_end[:, columns], joined)


def _explained(moves: NDArray[np.float64]) -> float:
    """Return how often all channels stay the same by themselves.

    Parameters
    ----------
    moves
        The steps in which a channel changed, in steps of the converter, ``(k, n_channels)``. Without one, all is
        explained: nothing is known.

    Notes
    -----
    These steps are chosen for a change, which is undone with the share itself: a fixed point, approached from below.
    """
    if not len(moves):
        return 1.0
    unchanged, mean = (moves == 0).mean(axis=0), moves.mean(axis=0)
    share = 0.0
    for _ in range(_ITERATIONS):
        size = np.maximum(mean * (1 - share), 1e-9)
        theta = (np.sqrt(1 + size**2) - 1) / size
        share = float(np.maximum(unchanged * (1 - share) + share, (1 - theta) / (1 + theta)).prod())
    return share


def _held(steps: _Steps, still: NDArray[np.bool_], columns: slice, shortest: int, around: int) -> list[int]:
    """Return the length of each stretch of steps without a change that the signal on both sides does not explain.

    Parameters
    ----------
    still
        Which steps have no change, bool ``(k,)``.
    columns
        The channels concerned.
    shortest, around
        The shortest stretch that counts, and how much of each side is looked at, in steps.
    """
    moves, n = steps.moves[:, columns], len(still)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], still.astype(np.int8), [0]])))
    found = []
    for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if last - first < shortest or (last < n and steps.joined[last] and moves[last].sum() < _MOVED):
            continue
        sides = np.r_[max(0, first - around) : first, last : min(n, last + around)]
        changed = moves[sides[steps.joined[sides] & ~still[sides]]]
        if n * _explained(changed) ** (last - first) < _SURE:
            found.append(last - first)
    return found
