"""Condition raw values before windows are cut, live and offline with the same code.

Raw EMG passes causal IIR filters derived from the sampling rate: a high-pass against electrode drift and ADC
offset, a notch at the mains frequency, and a band limit at the upper end of surface EMG. An envelope has been
rectified and smoothed by its sensor board and passes through.

The filters run sample by sample in float64 with their state kept between calls, so that the output does not
depend, in any bit, on how a stream is cut into chunks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semg.domain import ConditioningSpec

BAND_LIMIT_HZ = 450.0
"""Surface EMG holds next to no power above 400-500 Hz (De Luca et al., J. Biomech. 43 (2010) 1573)."""
NOTCH_QUALITY = 30.0
"""A notch 1.7 Hz wide at 50 Hz: power lines wander by some tenths of a hertz; a wider one costs signal."""


def design_filters(spec: ConditioningSpec) -> NDArray[np.float64] | None:
    """Return the second-order sections of a conditioning.

    Parameters
    ----------
    spec
        ``high_pass_hz`` 0 leaves the high-pass out, ``mains_hz`` 0 the notch. A high-pass above a tenth of the
        rate is lowered to it, because at slow rates it would remove the signal as well.

    Returns
    -------
    Float64 ``(n_sections, 6)`` in scipy's order, or None when nothing is to be filtered.
    """
    from scipy import signal  # half a second and 76 MiB, for who conditions

    if spec.sensor == "envelope":
        return None
    nyquist_hz = spec.rate_hz / 2
    sections: list[NDArray[np.float64]] = []
    if spec.high_pass_hz > 0:
        cutoff_hz = min(spec.high_pass_hz, spec.rate_hz / 10)
        sections.append(signal.butter(2, cutoff_hz, "highpass", fs=spec.rate_hz, output="sos"))
    if 0 < spec.mains_hz < 0.9 * nyquist_hz:
        b, a = signal.iirnotch(spec.mains_hz, NOTCH_QUALITY, fs=spec.rate_hz)
        sections.append(np.concatenate([b, a])[None, :])
    if nyquist_hz > 1.05 * BAND_LIMIT_HZ:
        sections.append(signal.butter(4, BAND_LIMIT_HZ, "lowpass", fs=spec.rate_hz, output="sos"))
    return np.ascontiguousarray(np.vstack(sections), dtype=np.float64) if sections else None


class Conditioner:
    """The streaming conditioning of one profile; one thread at a time.

    Parameters
    ----------
    spec
        Filters to apply.
    n_channels
        Number of columns of the samples.
    """

    def __init__(self, spec: ConditioningSpec, n_channels: int) -> None:
        from scipy import signal  # half a second and 76 MiB, for who conditions

        self.spec = spec
        self.n_channels = n_channels
        self._sections = design_filters(spec)
        # Steady state for a constant input of 1: scaled by the first sample, an ADC offset causes no step.
        self._rest_state = None if self._sections is None else signal.sosfilt_zi(self._sections)
        self._state: NDArray[np.float64] | None = None

    def reset(self) -> None:
        """Reset the filter state: the next sample is the first of a new run."""
        self._state = None

    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the conditioned form of the samples that follow those of the previous call.

        Parameters
        ----------
        samples
            Float32 ``(n, n_channels)``, in the sensor's own unit.

        Returns
        -------
        Float32 ``(n, n_channels)``, never a view of the input.

        Raises
        ------
        ValueError
            When the number of columns is not ``n_channels``.
        """
        from scipy import signal  # half a second and 76 MiB, for who conditions

        if samples.ndim != 2 or samples.shape[1] != self.n_channels:
            raise ValueError(f"samples must be (n, {self.n_channels}), got {samples.shape}")
        if self._sections is None or self._rest_state is None or len(samples) == 0:
            return np.array(samples, dtype=np.float32)
        raw = samples.astype(np.float64)
        if self._state is None:
            self._state = self._rest_state[:, :, None] * raw[0]
        filtered, self._state = signal.sosfilt(self._sections, raw, axis=0, zi=self._state)
        return np.asarray(filtered, dtype=np.float32)


class BatchConditioner:
    """The streaming conditioning of many streams with the same spec; one thread at a time.

    Returns for each stream, bit for bit, what a separate ``Conditioner`` would return: the same filter runs over each
    signal separately, only the calls are shared.

    Parameters
    ----------
    spec, n_channels
        As ``Conditioner``.
    """

    def __init__(self, spec: ConditioningSpec, n_channels: int) -> None:
        from scipy import signal  # half a second and 76 MiB, for who conditions

        self._sections = design_filters(spec)
        n_sections = 0 if self._sections is None else len(self._sections)
        self._rest_state = None if self._sections is None else signal.sosfilt_zi(self._sections)
        self._states = np.zeros((0, n_channels, n_sections, 2))

    def make_room(self, n_streams: int) -> None:
        """Extend the state to a number of streams."""
        added = np.zeros((max(0, n_streams - len(self._states)), *self._states.shape[1:]))
        self._states = np.concatenate([self._states, added])

    def process(
        self, streams: NDArray[np.int64], starting: NDArray[np.bool_], samples: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the conditioned form of the samples that follow those of each stream's previous call.

        Parameters
        ----------
        streams
            Which streams, each once, ``(k,)``.
        starting
            Which of them start a run with these samples, ``(k,)``.
        samples
            Float32 ``(k, n, n_channels)``, n at least 1.

        Returns
        -------
        Float32 ``(k, n, n_channels)``.
        """
        from scipy import signal  # half a second and 76 MiB, for who conditions

        if self._sections is None or self._rest_state is None:
            return samples
        raw = samples.transpose(0, 2, 1).astype(np.float64, order="C")  # (k, n, C) -> (k, C, n)
        states = self._states[streams]
        if starting.any():
            states[starting] = self._rest_state * raw[starting, :, 0, None, None]
        filtered, after = signal.sosfilt(self._sections, raw, axis=2, zi=states.transpose(2, 0, 1, 3))
        self._states[streams] = after.transpose(1, 2, 0, 3)
        return np.asarray(filtered.transpose(0, 2, 1), dtype=np.float32)


def condition(spec: ConditioningSpec, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return one uninterrupted run of samples conditioned from a reset state; shapes as ``Conditioner.process``."""
    return Conditioner(spec, samples.shape[1]).process(samples)
