"""Cut windows from a stream, live and offline on the same grid.

The grid is counted from the last reset of the conditioning: window ``k`` ends, inclusive, at sample
``settle_samples + window_samples - 1 + k * hop_samples`` after it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semg.domain import ConditioningSpec, WindowSpec
from semg.signals.conditioning import Conditioner


def cut(conditioned: NDArray[np.float32], ends: NDArray[np.int64], spec: WindowSpec) -> NDArray[np.float32]:
    """Return the windows that end at given samples.

    Parameters
    ----------
    conditioned
        Float32 ``(n, C)``.
    ends
        Index of each window's last sample, int64 ``(N,)``; none below ``window_samples - 1``.
    spec
        Determines the window's length ``T``.

    Returns
    -------
    Float32 ``(N, C, T)``, contiguous, a copy.
    """
    n_channels, length = conditioned.shape[1], spec.window_samples
    if len(ends) == 0:
        return np.empty((0, n_channels, length), np.float32)
    every = np.lib.stride_tricks.sliding_window_view(conditioned, length, axis=0)
    return np.ascontiguousarray(every[ends - (length - 1)])


class StreamWindower:
    """Cuts a stream that arrives in chunks into the windows of the grid; one thread at a time.

    Buffers the last ``window_samples - 1`` samples and at most one chunk in addition.
    """

    def __init__(self, spec: WindowSpec, n_channels: int) -> None:
        self.spec = spec
        self.n_channels = n_channels
        self._keep = spec.window_samples - 1
        self._buffer = np.zeros((4 * spec.window_samples + 64, n_channels), np.float32)
        self._filled = 0
        self._next_end = 0
        self.reset()

    def reset(self) -> None:
        """Start a new grid: the next sample is the first after a reset."""
        self._filled = 0
        self._next_end = self.spec.settle_samples + self.spec.window_samples - 1

    @property
    def samples_until_due(self) -> int:
        """Number of samples until the next window is complete."""
        return self._next_end + 1

    def push(self, conditioned: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the windows that a chunk completes.

        Parameters
        ----------
        conditioned
            Float32 ``(n, n_channels)``: the samples that follow those of the previous call.

        Returns
        -------
        windows
            Float32 ``(N, C, T)``, contiguous, a copy.
        ends
            Int64 ``(N,)``: index into the chunk of each window's last sample.
        """
        n = len(conditioned)
        ends = np.arange(self._next_end, n, self.spec.hop_samples, dtype=np.int64)
        self._next_end += len(ends) * self.spec.hop_samples - n
        held = self._append(conditioned)
        if len(ends) == 0:
            return np.empty((0, self.n_channels, self.spec.window_samples), np.float32), ends
        return cut(held, ends + (len(held) - n), self.spec), ends

    def _append(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]:
        """Append the chunk to the buffered samples, return both, and keep the tail that later windows need."""
        n = len(chunk)
        if self._filled + n > len(self._buffer):
            kept = min(self._keep, self._filled)
            self._buffer[:kept] = self._buffer[self._filled - kept : self._filled].copy()
            self._filled = kept
        if self._filled + n <= len(self._buffer):
            self._buffer[self._filled : self._filled + n] = chunk
            self._filled += n
            return self._buffer[: self._filled]
        held = np.concatenate([self._buffer[: self._filled], chunk])
        self._filled = min(self._keep, len(held))
        self._buffer[: self._filled] = held[len(held) - self._filled :]
        return held


class WindowStream:
    """Channel selection, conditioning and windows of one profile's stream, as live and offline both use it.

    Parameters
    ----------
    conditioning, spec
        As stored with the classifier.
    columns
        Indices of the classifier's channels in a sample, in its order.
    """

    def __init__(self, conditioning: ConditioningSpec, spec: WindowSpec, columns: Sequence[int]) -> None:
        self.spec = spec
        self.columns = np.asarray(columns, dtype=np.intp)
        self._conditioner = Conditioner(conditioning, len(self.columns))
        self._windower = StreamWindower(spec, len(self.columns))

    def push(self, samples: NDArray[np.float32], starts_run: bool) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the windows that a chunk completes; see ``StreamWindower.push``.

        Parameters
        ----------
        samples
            Float32 ``(n, all channels of the device)``.
        starts_run
            True when the chunk does not continue the previous one: conditioning and grid are reset.
        """
        if starts_run:
            self.reset()
        return self._windower.push(self._conditioner.process(samples[:, self.columns]))

    def reset(self) -> None:
        """Reset: the next sample is the first of a run."""
        self._conditioner.reset()
        self._windower.reset()

    @property
    def samples_until_due(self) -> int:
        """Number of samples until the next window is complete."""
        return self._windower.samples_until_due
