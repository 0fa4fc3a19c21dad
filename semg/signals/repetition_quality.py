"""Assess the quality of a recorded session's repetitions, shown when training data are chosen."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from semg.domain import REST, Block, Device
from semg.signals.held_samples import find_held, mark_held
from semg.signals.quality import Level, assess_channels, assess_stream, worst

QUIET_AS_REST = 1.3
"""A performance during which no channel's RMS is this many times that of rest may not have been performed."""
_FIGURE = re.compile(r"\d[\d.]*")
BAD_SHARE, FAIR_SHARE = 0.2, 0.1
"""A session is bad when more than this share of its repetitions are, and fair when more than this share is not good."""


@dataclass(frozen=True, slots=True)
class RepetitionQuality:
    """Assessment of a repetition, with each channel's RMS, float64 ``(n_channels,)``."""

    gesture: str
    level: Level
    reason: str
    rms: NDArray[np.float64]


def judge_repetition(
    blocks: Sequence[Block], gesture: str, length_s: float, device: Device, rate_hz: float
) -> RepetitionQuality:
    """Assess the samples of one repetition.

    Parameters
    ----------
    blocks
        In time order; late ones and those with another number of channels are ignored.
    device
        Its channels, range, kind of sensor and mains frequency; ``rate_hz`` is the session's.
    """
    usual = [block for block in blocks if not block.late and block.samples.shape[1] == device.n_channels]
    if not usual:
        return RepetitionQuality(gesture, "bad", "no samples", np.zeros(device.n_channels))
    samples = np.concatenate([block.samples for block in usual])
    at_us = np.concatenate([block.server_us for block in usual])
    stream = assess_stream(at_us, rate_hz, length_s)
    found: list[tuple[Level, str]] = [] if stream.level == "good" else [(stream.level, stream.reason)]
    held = find_held(samples, replace(device, rate_hz=rate_hz), at_us)
    found += [] if held.level == "good" else [(held.level, held.reason)]
    channels = mark_held(assess_channels(samples, device, has_quiet=gesture == REST, at_us=at_us), held)
    found += [(each.level, f"{each.channel}: {each.reason}") for each in channels if each.level != "good"]
    level = worst([each for each, _ in found])
    reason = next((text for each, text in found if each == level), "good")
    return RepetitionQuality(gesture, level, reason, np.array([each.rms for each in channels]))


def join_portions(judged: Sequence[RepetitionQuality]) -> RepetitionQuality:
    """Return the assessment of a repetition that was read in portions of equal length, at least one.

    It has the level that its portions speak for, as a session that of its repetitions.
    """
    if len(judged) == 1:
        return judged[0]
    level, _ = judge_session(judged)
    reasons = Counter(each.reason for each in judged if (each.level != "good") == (level != "good"))
    rms = np.sqrt(np.mean([each.rms**2 for each in judged], axis=0))
    return RepetitionQuality(judged[0].gesture, level, reasons.most_common(1)[0][0], rms)


def compare_with_rest(judged: Mapping[int, RepetitionQuality]) -> dict[int, RepetitionQuality]:
    """Return the assessments, with performances that are as quiet as rest marked for review."""
    rests = [each.rms for each in judged.values() if each.gesture == REST and each.rms.any()]
    if not rests:
        return dict(judged)
    quiet = np.maximum(np.median(rests, axis=0), 1e-9)
    made = dict(judged)
    for number, each in judged.items():
        if each.gesture != REST and each.level == "good" and float((each.rms / quiet).max()) < QUIET_AS_REST:
            made[number] = RepetitionQuality(each.gesture, "fair", "as quiet as rest: was it performed?", each.rms)
    return made


def judge_session(judged: Sequence[RepetitionQuality]) -> tuple[Level, str]:
    """Return a session's level and the most frequent reason among its repetitions."""
    if not judged:
        return "fair", "nothing is labelled"
    bad = [each for each in judged if each.level == "bad"]
    wrong = [each for each in judged if each.level != "good"]
    if len(bad) > BAD_SHARE * len(judged):
        level: Level = "bad"
    elif bad or len(wrong) > FAIR_SHARE * len(judged):
        level = "fair"
    else:
        return "good", f"{len(judged) - len(wrong)} of {len(judged)} intervals are good"
    reasons = [each.reason for each in (bad if level == "bad" else wrong)]
    kind, n = Counter(_kind(reason) for reason in reasons).most_common(1)[0]
    reason = next(reason for reason in reasons if _kind(reason) == kind)
    return level, f"{n} of {len(judged)} intervals: {reason}"


def _kind(reason: str) -> str:
    """Return a reason without its figures: 7 % and 6 % lost are one finding; a channel keeps its number."""
    channel, colon, why = reason.partition(": ")
    return f"{channel}: {_FIGURE.sub('', why)}" if colon else _FIGURE.sub("", reason)
