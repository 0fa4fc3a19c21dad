"""Figures of a reaction test: median and spread of the times until the right gesture was recognised.

The browser computes the same for what it shows at once (``streamlit_apps/ui/play/reaction.js``); what is computed here
is stored. The times contain the platform's latency: window, vote, network and screen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from semg.errors import InvalidValueError

MIN_TRIALS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """One prompt.

    Attributes
    ----------
    foreperiod_ms
        How long nothing was shown before, by chance.
    ms
        From the prompt to the arrival of the first decision for its gesture; None: missed.
    first
        The gesture that was recognised first after the prompt; None: none.
    early
        How often a gesture was recognised before the prompt, which began the foreperiod anew.
    """

    gesture: str
    foreperiod_ms: float
    ms: float | None
    first: str | None
    early: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionFigures:
    """Figures of a test; times are of the answered prompts, None without any.

    Attributes
    ----------
    iqr_ms
        Distance of the quartiles ``q1_ms`` and ``q3_ms`` (linear interpolation; Hyndman & Fan 1996, type 7).
    wrong_first
        Prompts after which another gesture was recognised first.
    """

    median_ms: float | None
    q1_ms: float | None
    q3_ms: float | None
    iqr_ms: float | None
    trials: int
    answered: int
    missed: int
    wrong_first: int
    early: int


def reaction_figures(trials: Sequence[Reaction]) -> ReactionFigures:
    """Compute the figures of a test.

    Raises
    ------
    InvalidValueError
        There are fewer than five prompts.
    """
    if len(trials) < MIN_TRIALS:
        raise InvalidValueError("play", f"play at least {MIN_TRIALS} prompts: there were {len(trials)}")
    times = sorted(one.ms for one in trials if one.ms is not None)
    q1, median, q3 = (interpolated(times, share) for share in (0.25, 0.5, 0.75))
    return ReactionFigures(
        median_ms=median,
        q1_ms=q1,
        q3_ms=q3,
        iqr_ms=None if q1 is None or q3 is None else q3 - q1,
        trials=len(trials),
        answered=len(times),
        missed=len(trials) - len(times),
        wrong_first=sum(1 for one in trials if one.first is not None and one.first != one.gesture),
        early=sum(one.early for one in trials),
    )


def interpolated(ordered: Sequence[float], share: float) -> float | None:
    """Return a quantile of values in order, by linear interpolation; None for no values."""
    if not ordered:
        return None
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])
