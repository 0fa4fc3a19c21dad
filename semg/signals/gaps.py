"""What a gap is: one rule for text, boards and files.

``ingest`` and the readers of files decide by it once, and keep what they decided (``starts_run``); whoever reads
samples later follows that flag.
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
