"""Covariances that can be inverted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf_shrinkage

MIN_POWER = 1e-9
"""Power a feature is given where a covariance has none, as that of features that never changed."""


def shrink(covariance: NDArray[np.float64], part: float) -> NDArray[np.float64]:
    """Return a covariance ``(F, F)`` moved by a part towards features that are independent and alike.

    As ``sklearn.covariance.shrunk_covariance``, which leaves a covariance without any power singular.
    """
    power = max(MIN_POWER, float(np.trace(covariance)) / len(covariance))
    return (1 - part) * covariance + part * power * np.eye(len(covariance))


def shrunk_covariance_of(apart: NDArray[np.float64], min_part: float = 0.0) -> NDArray[np.float64]:
    """Return the covariance ``(F, F)`` of centred rows ``(N, F)``, shrunk as Ledoit and Wolf say.

    O. Ledoit, M. Wolf: A well-conditioned estimator for large-dimensional covariance matrices, J. Multivar. Anal. 88
    (2004) 365. The part is scikit-learn's.

    Parameters
    ----------
    min_part
        Shrink by so much at least.
    """
    part = max(min_part, float(ledoit_wolf_shrinkage(apart, assume_centered=True)))
    return shrink(apart.T @ apart / len(apart), part)
