"""Definition of a gap: one rule for text, boards and files.

``ingest`` and the readers of files apply it once, and store the result (``starts_run``); all later readers of samples
use that flag.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

PERIODS = 1.5
SLACK_US = 1000.0
"""Time stamps of text are whole milliseconds: a step may seem so much longer than it was."""

Microseconds = TypeVar("Microseconds", float, NDArray[np.float64])


def gap_step_us(period_us: Microseconds) -> Microseconds:
    """Return the step in device time from which on it is a gap: 1.5 sample periods and a millisecond.

    Parameters
    ----------
    period_us
        The nominal time from sample to sample; a float, or an array for many devices.
    """
    return PERIODS * period_us + SLACK_US
