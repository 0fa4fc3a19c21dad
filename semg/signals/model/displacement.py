"""The displacement that all classes of a new session share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PRIOR_CLASSES, CALIBRATED_PRIOR_CLASSES = 1.0, 6.0
"""Weight of no displacement, in classes; a calibration has told where the session's features lie
(``docs/recognition.md``)."""
MEDIAN_ROUNDS, MEDIAN_FLOOR = 8, 0.3


def common_displacement(
    displacements: NDArray[np.float64], believed: NDArray[np.float64], prior_classes: float = PRIOR_CLASSES
) -> NDArray[np.float64]:
    """Return the displacement common to the classes: their geometric median, with a weight ``prior_classes`` at zero.

    A class that is assigned another's windows seems to have moved far. In a mean it would pull all others along, and be
    confirmed by the windows that it is then assigned; in a median it is outvoted (Weiszfeld's iteration).

    Parameters
    ----------
    displacements
        ``(K, F)``: displacement of each class.
    believed
        ``(K,)``: weight of each.
    """
    common = believed @ displacements / (believed.sum() + prior_classes)
    for _ in range(MEDIAN_ROUNDS):
        weights = believed / (np.sqrt(np.square(displacements - common).sum(axis=1)) + MEDIAN_FLOOR)
        prior = prior_classes / (np.sqrt(np.square(common).sum()) + MEDIAN_FLOOR)
        common = weights @ displacements / (weights.sum() + prior)
    return np.asarray(common)
