"""Compare a strong contraction with rest, before a capture: which channels respond, and what may be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from semg.domain import ConditioningSpec, Device
from semg.signals.conditioning import Conditioner
from semg.signals.quality import Level, assess_channels

SEGMENT_S = 0.1
SETTLE_S = 0.3
"""Left out at the beginning: the filters settle."""
CLEAR, WEAK = 2.0, 1.4
"""Level of the contraction in units of rest above which a channel responds clearly, and at all."""
FLOOR = 0.002
"""Of the ADC's range: a level below it is no signal, so that noise of a count or two is not compared."""
MIN_SECONDS = 1.0

Answer = Literal["clear", "weak", "none", "loose"]


@dataclass(frozen=True, slots=True)
class ChannelResponse:
    """How a channel responds; ``times`` is its level in units of rest, ``reason`` says what is wrong with it."""

    channel: str
    answer: Answer
    times: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ContractionCheck:
    """The result of a check: a level, a sentence, and each channel."""

    level: Level
    sentence: str
    channels: tuple[ChannelResponse, ...] = ()


def check_contraction(rest: NDArray[np.float32], strong: NDArray[np.float32], device: Device) -> ContractionCheck:
    """Compare the samples of a contraction with those of rest.

    Parameters
    ----------
    rest, strong
        Float32 ``(n, n_channels)``, raw, of a second or more each.
    device
        Names of the channels, rate, range and kind of sensor.
    """
    if min(len(rest), len(strong)) < MIN_SECONDS * device.rate_hz:
        return ContractionCheck("bad", "Too few samples arrived for the check. Look at the stream, then check again.")
    quality = assess_channels(rest, device)
    quiet, loud = _levels(rest, device, 0.5), _levels(strong, device, 0.75)
    floor = FLOOR * (device.adc_max - device.adc_min)
    found = []
    for index, name in enumerate(device.channels):
        times = float(max(loud[index], 1e-9) / max(quiet[index], floor, 1e-9))
        if quality[index].level == "bad":
            found.append(ChannelResponse(name, "loose", times, quality[index].reason))
        else:
            found.append(
                ChannelResponse(name, "clear" if times >= CLEAR else "weak" if times >= WEAK else "none", times)
            )
    return ContractionCheck(*_verdict(found), tuple(found))


def _levels(samples: NDArray[np.float32], device: Device, part: float) -> NDArray[np.float64]:
    """Return each channel's level: a quantile of the RMS (of an envelope, the mean) of short segments."""
    spec = ConditioningSpec(device.sensor, device.rate_hz, device.mains_hz)
    conditioned = Conditioner(spec, samples.shape[1]).process(samples)[round(SETTLE_S * device.rate_hz) :]
    length = max(2, round(SEGMENT_S * device.rate_hz))
    pieces = conditioned[: len(conditioned) // length * length].astype(np.float64)
    pieces = pieces.reshape(-1, length, samples.shape[1])
    if device.sensor == "envelope":
        levels = pieces.mean(axis=1) - device.adc_min
    else:
        levels = np.sqrt((pieces**2).mean(axis=1))
    return np.asarray(np.quantile(levels, part, axis=0))


def _verdict(found: Sequence[ChannelResponse]) -> tuple[Level, str]:
    clear = [one.channel for one in found if one.answer == "clear"]
    weak = [one.channel for one in found if one.answer == "weak"]
    loose = [one for one in found if one.answer == "loose"]
    hint = f" Check {_listed([one.channel for one in loose])}: {loose[0].reason}." if loose else ""
    if clear:
        silent = len(found) - len(clear) - len(loose)
        others = f" {silent} of {len(found)} respond little, which is usual away from the muscle." if silent else ""
        return ("fair" if loose else "good"), f"The contraction is clear on {_listed(clear)}.{others}{hint}"
    if weak:
        return "fair", (
            f"The contraction is weak, and shows on {_listed(weak)} only. Tighten the band, place it over the thickest "
            f"part of the muscle, and contract as strongly as possible.{hint}"
        )
    return "bad", (
        "The contraction cannot be told from rest on any channel. Check that the electrodes touch the skin over the "
        f"muscle, and that this person's device is the one worn; then check again.{hint}"
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
