"""The grid of windows as a formula (``semg.signals.windows``), for whole runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semg.domain import WindowSpec


def window_ends(spec: WindowSpec, n_samples: int) -> NDArray[np.int64]:
    """Return the index of the last sample of every window in a run of ``n_samples`` since a reset; int64 ``(N,)``."""
    first = spec.settle_samples + spec.window_samples - 1
    return np.arange(first, n_samples, spec.hop_samples, dtype=np.int64)
