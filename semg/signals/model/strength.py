"""How strong a contraction is, from 0 (the person's rest) to 1 (as strong as it was at most in the training)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FULL_PERCENTILE = 95.0
LEAST_RATIO = 1.2
"""Of the amplitude at full strength and at rest: below it nothing can be told apart."""


@dataclass(frozen=True, slots=True)
class AmplitudeRange:
    """Amplitudes of a person's windows at rest, and when gestures are performed as strongly as in the training."""

    rest: float
    full: float

    def strength(self, amplitude: float) -> float:
        """Return the strength of a window's amplitude, within 0 and 1."""
        return min(1.0, max(0.0, (amplitude - self.rest) / (self.full - self.rest)))

    def as_json(self) -> dict[str, float]:
        """Return the stored form."""
        return asdict(self)

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> AmplitudeRange:
        """Return the range of its stored form.

        Raises
        ------
        ValueError, KeyError, TypeError
            It is none.
        """
        found = AmplitudeRange(float(stored["rest"]), float(stored["full"]))
        if not (0 <= found.rest < found.full < np.inf):
            raise ValueError(f"expected an amplitude of rest below that of full strength, got {stored}")
        return found


def amplitudes_of(windows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the root mean square of conditioned windows ``(N, C, T)`` over channels and time, ``(N,)``."""
    values = windows.reshape(len(windows), -1)
    powers = np.einsum("ij,ij->i", values, values, dtype=np.float64)
    return np.asarray(np.sqrt(powers / max(1, values.shape[1])))


def measure_range(windows: NDArray[np.float32], is_rest: NDArray[np.bool_]) -> AmplitudeRange | None:
    """Return the amplitude range of labelled windows; None where gestures are hardly stronger than rest, or one lacks.

    Parameters
    ----------
    windows
        Conditioned, ``(N, C, T)``.
    is_rest
        Those of rest, ``(N,)``.
    """
    if is_rest.all() or not is_rest.any():
        return None
    amplitudes = amplitudes_of(windows)
    rest = float(np.median(amplitudes[is_rest]))
    full = float(np.percentile(amplitudes[~is_rest], FULL_PERCENTILE))
    return AmplitudeRange(rest, full) if full > LEAST_RATIO * rest else None
