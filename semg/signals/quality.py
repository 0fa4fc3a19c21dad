"""Assess signal quality: per channel flat, saturated, mains hum, noise; per stream rate and gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from semg.domain import Device

Level = Literal["good", "fair", "bad"]

MIN_SECONDS = 0.5
"""Less than this says nothing about a channel."""
SATURATED_FAIR, SATURATED_BAD = 0.002, 0.05
"""Share of samples at an end of the ADC's range."""
HUM_SHARE = 0.5
"""Share of the power at the mains frequency and its harmonics above which hum is reported."""
HUM_FAIR, HUM_BAD = 0.005, 0.03
"""Amplitude (RMS) of the hum, as a fraction of the ADC's range."""
NOISE_FAIR, NOISE_BAD = 0.08, 0.2
"""RMS in the quietest tenth of the time, as a fraction of the ADC's range."""
RATE_FAIR, RATE_BAD = 0.03, 0.15
"""Difference between the measured and the device's rate, as a fraction of the latter."""
LOSS_FAIR, LOSS_BAD = 0.01, 0.05
"""Share of samples that did not arrive."""
MAX_EMPTY = 10_000
"""Slots that one gap leaves empty, at most: a bound for what a wrong time could ask for."""
_HALF_BAND_HZ = 1.5
_EDGE = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelQuality:
    """Assessment of one channel. Figures are fractions of 1; ``rms`` is in the sensor's own unit."""

    channel: str
    level: Level
    reason: str
    rms: float
    saturated: float
    hum: float


@dataclass(frozen=True, slots=True)
class StreamQuality:
    """Assessment of a stream as a whole."""

    level: Level
    reason: str
    rate_hz: float
    loss: float


def assess_channels(
    samples: NDArray[np.float32],
    device: Device,
    *,
    has_quiet: bool = True,
    at_us: NDArray[np.int64] | None = None,
) -> tuple[ChannelQuality, ...]:
    """Assess each channel from the last seconds of raw samples.

    Parameters
    ----------
    samples
        Float32 ``(n, n_channels)``, as the device sent them.
    device
        Names of the channels, range of the ADC, kind of sensor, mains frequency.
    has_quiet
        Whether quiet intervals can be expected, whose noise is assessed; not during a continuous performance.
    at_us
        Time of each sample, int64 ``(n,)``, in time order: hum is a steady wave, which what was lost must not break up.
        None where nothing is lost.

    Returns
    -------
    One assessment per channel; the worst finding determines the level and the reason.

    Raises
    ------
    ValueError
        The number of columns is not that of the device.
    """
    if samples.ndim != 2 or samples.shape[1] != device.n_channels:
        raise ValueError(f"samples must be (n, {device.n_channels}), got {samples.shape}")
    if len(samples) < MIN_SECONDS * device.rate_hz:
        return tuple(
            ChannelQuality(channel=name, level="bad", reason="no samples", rms=0.0, saturated=0.0, hum=0.0)
            for name in device.channels
        )
    slots = np.arange(len(samples)) if at_us is None else _slots(at_us)
    return tuple(
        _channel(name, samples[:, i].astype(np.float64), slots, device, has_quiet)
        for i, name in enumerate(device.channels)
    )


def assess_stream(server_us: NDArray[np.int64], rate_hz: float, window_s: float) -> StreamQuality:
    """Assess whether samples arrive at the device's rate and without loss.

    Parameters
    ----------
    server_us
        Server time of the samples of the last ``window_s`` seconds, int64 ``(n,)``, in time order.
    """
    if len(server_us) < MIN_SECONDS * rate_hz:
        return StreamQuality("bad", "no samples arrive", len(server_us) / window_s, 1.0)
    steps_us = np.diff(server_us)
    step_us = float(np.median(steps_us))
    measured_hz = 1e6 / step_us if step_us > 0 else len(server_us) / window_s
    missing = float(np.maximum(np.round(steps_us * rate_hz / 1e6) - 1, 0)[steps_us > 1.5e6 / rate_hz].sum())
    loss = missing / (missing + len(server_us))
    off = abs(measured_hz - rate_hz) / rate_hz
    rate_text = f"{measured_hz:.0f} samples/s, the device is set to {rate_hz:g}"
    if off > RATE_BAD:
        return StreamQuality("bad", rate_text, measured_hz, loss)
    if loss > LOSS_FAIR:
        level: Level = "bad" if loss > LOSS_BAD else "fair"
        return StreamQuality(level, f"{loss:.1%} of the samples are lost in transit", measured_hz, loss)
    if off > RATE_FAIR:
        return StreamQuality("fair", rate_text, measured_hz, loss)
    return StreamQuality("good", f"{measured_hz:.0f} samples/s, nothing lost", measured_hz, loss)


def worst(levels: Sequence[Level]) -> Level:
    """Return the worst of some levels; ``good`` if there is none."""
    order: tuple[Level, ...] = ("good", "fair", "bad")
    return order[max((order.index(level) for level in levels), default=0)]


def _slots(at_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the index of each sample on a grid of the measured period, int64 ``(n,)``: gaps leave slots empty."""
    steps_us = np.diff(at_us).astype(np.float64)
    usual = steps_us[steps_us <= 1.5 * np.median(steps_us)] if len(steps_us) else steps_us
    period_us = float(usual.mean()) if len(usual) else 1.0
    if period_us <= 0:
        return np.arange(len(at_us))
    steps = np.where(steps_us > 1.5 * period_us, np.minimum(np.round(steps_us / period_us), MAX_EMPTY), 1)
    return np.concatenate([[0], np.cumsum(steps)]).astype(np.int64)


def _channel(
    name: str, values: NDArray[np.float64], slots: NDArray[np.int64], device: Device, has_quiet: bool
) -> ChannelQuality:
    span = device.adc_max - device.adc_min
    centred = values - values.mean()
    rms = float(np.sqrt(np.mean(centred**2)))
    top = values >= device.adc_max - _EDGE * span
    # An envelope rests at the low end of its range.
    bottom = values <= device.adc_min + _EDGE * span if device.sensor == "raw" else np.zeros(len(values), bool)
    saturated = float(np.mean(top | bottom))
    hum_share, hum_rms = _hum(centred, slots, device)

    def judged(level: Level, reason: str) -> ChannelQuality:
        return ChannelQuality(channel=name, level=level, reason=reason, rms=rms, saturated=saturated, hum=hum_share)

    if np.ptp(values) == 0 and not top.all():
        return judged("bad", "flat: the electrode or its wire is off")
    if saturated > SATURATED_BAD:
        return judged("bad", f"saturated {saturated:.0%} of the time: lower the gain, or check the electrode")
    if hum_share > HUM_SHARE and hum_rms > HUM_BAD * span:
        return judged("bad", f"mains hum is {hum_share:.0%} of the signal: check skin contact and ground")
    floor = _floor(centred, device.rate_hz) if device.sensor == "raw" and has_quiet else 0.0
    if floor > NOISE_BAD * span:
        return judged("bad", "very noisy even in quiet moments: check skin contact")
    if saturated > SATURATED_FAIR:
        return judged("fair", f"clipped {saturated:.1%} of the time")
    if hum_share > HUM_SHARE and hum_rms > HUM_FAIR * span:
        return judged("fair", f"mains hum is {hum_share:.0%} of the signal")
    if floor > NOISE_FAIR * span:
        return judged("fair", "noisy in quiet moments, or the muscle is never at rest")
    return judged("good", "good")


def _hum(centred: NDArray[np.float64], slots: NDArray[np.int64], device: Device) -> tuple[float, float]:
    """Return the share of the power at the mains frequency and its harmonics, and their RMS.

    Samples stand in their slots and zeros in the empty ones, so that a wave keeps its phase across a gap. Of a wave of
    which the part ``p`` is there, ``p`` of the power stays at its frequency and the rest is spread: the share is
    divided by ``p``.
    """
    nyquist_hz = device.rate_hz / 2
    if device.sensor != "raw" or not 0 < device.mains_hz < 0.9 * nyquist_hz:
        return 0.0, 0.0
    # With a Hann window, a sine keeps its power ratio and leaks into one neighbouring bin only.
    n = int(slots[-1]) + 1
    placed = np.zeros(n)
    placed[slots] = centred
    power = np.abs(np.fft.rfft(placed * np.hanning(n))) ** 2
    frequencies_hz = np.fft.rfftfreq(n, 1 / device.rate_hz)
    used = frequencies_hz >= 10.0
    total = float(power[used].sum())
    if total <= 0:
        return 0.0, 0.0
    half_band_hz = max(_HALF_BAND_HZ, 2 * device.rate_hz / n)
    at_mains = np.zeros(len(power), bool)
    for harmonic_hz in np.arange(device.mains_hz, nyquist_hz, device.mains_hz):
        at_mains |= np.abs(frequencies_hz - harmonic_hz) <= half_band_hz
    share = min(1.0, float(power[at_mains & used].sum()) / total * n / len(centred))
    above_10_hz = total / max(float(power[1:].sum()), 1e-30)
    return share, float(np.sqrt(share * above_10_hz * np.mean(centred**2)))


def _floor(centred: NDArray[np.float64], rate_hz: float) -> float:
    """Return the RMS of the quietest tenth of 100 ms segments, each about its own mean."""
    length = max(2, round(0.1 * rate_hz))
    segments = centred[: len(centred) // length * length].reshape(-1, length)
    return float(np.quantile(segments.std(axis=1), 0.1))
