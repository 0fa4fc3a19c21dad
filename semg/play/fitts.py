"""Figures of a Fitts' law test after ISO/TS 9241-411:2012: throughput of tapping tasks, and how straight the way was.

The browser computes the same for what it shows at once (``streamlit_apps/ui/play/fitts.js``); what is computed here is
stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from semg.errors import InvalidValueError

MIN_SELECTIONS = 5
"""Of one sequence: a standard deviation of fewer says nothing."""
WIDTH_OF_SD = 4.133
"""Width of the middle 96 % of a normal distribution in standard deviations, sqrt(2 pi e)."""
Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One movement to a target.

    Attributes
    ----------
    origin, target
        Centres of the target before and of this one, in units of the field. Their line is the axis of the task.
    start, end
        Where the cursor was when the movement began, and when the target was selected or its time was over.
    ms
        From the selection before to this one, less the dwell time.
    travelled
        Length of the cursor's way.
    overshoots
        How often the cursor left the target before it was selected.
    selected
        False: the time was over.
    """

    origin: Point
    target: Point
    start: Point
    end: Point
    ms: float
    travelled: float
    overshoots: int
    selected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceFigures:
    """Figures of a sequence, which is one amplitude with one width.

    Attributes
    ----------
    index
        Index of difficulty that was asked for, in bits.
    effective_index
        The one that was performed, in bits.
    throughput
        In bits/s.
    """

    amplitude: float
    width: float
    index: float
    effective_amplitude: float
    effective_width: float
    effective_index: float
    movement_s: float
    throughput: float
    trials: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FittsFigures:
    """Figures of a test.

    Attributes
    ----------
    throughput
        Mean over the sequences, in bits/s.
    error_rate
        Share of the trials that ended beside the target or by their time.
    path_efficiency
        Mean over the selections of straight distance by travelled distance.
    overshoots
        Mean over all trials.
    """

    throughput: float
    movement_s: float
    error_rate: float
    path_efficiency: float
    overshoots: float
    trials: int
    sequences: tuple[SequenceFigures, ...]


def sequence_figures(amplitude: float, width: float, trials: Sequence[Trial]) -> SequenceFigures:
    """Compute a sequence's effective width, amplitude and index of difficulty, and its throughput.

    We = 4.133 SD of the selections along the axis of their task; Ae = the mean of what was covered along it;
    IDe = log2(Ae / We + 1); throughput = IDe / mean movement time.

    Raises
    ------
    InvalidValueError
        There are fewer than five selections, or there was no movement.
    """
    done = [one for one in trials if one.selected]
    if len(done) < MIN_SELECTIONS:
        raise _refused(
            f"choose a longer time limit or wider targets, and play again: a sequence had {len(done)} selections, and "
            f"{MIN_SELECTIONS} are needed for a figure"
        )
    errors = [_along(one, one.target, one.end) for one in done]
    covered = fmean(_along(one, one.start, one.end) for one in done)
    effective_width, movement_s = WIDTH_OF_SD * stdev(errors), fmean(one.ms for one in done) / 1000
    if covered <= 0 or movement_s <= 0 or effective_width <= 0:
        raise _refused("play again and move to each target: there was no movement to measure in a sequence")
    effective_index = math.log2(covered / effective_width + 1)
    return SequenceFigures(
        amplitude=amplitude,
        width=width,
        index=math.log2(amplitude / width + 1),
        effective_amplitude=covered,
        effective_width=effective_width,
        effective_index=effective_index,
        movement_s=movement_s,
        throughput=effective_index / movement_s,
        trials=len(trials),
        errors=sum(1 for one in trials if not is_hit(one, width)),
    )


def fitts_figures(sequences: Sequence[tuple[float, float, Sequence[Trial]]]) -> FittsFigures:
    """Compute the figures of a test from its sequences: amplitude, width and trials of each.

    Raises
    ------
    InvalidValueError
        There is no sequence, or one cannot be measured (``sequence_figures``).
    """
    if not sequences:
        raise _refused("play again: no sequence was played to its end")
    each = tuple(sequence_figures(amplitude, width, trials) for amplitude, width, trials in sequences)
    trials = [one for _, _, played in sequences for one in played]
    moved = [one for one in trials if one.selected and one.travelled > 0]
    if not moved:
        raise _refused("play again and move to each target: the cursor did not move")
    return FittsFigures(
        throughput=fmean(one.throughput for one in each),
        movement_s=fmean(one.movement_s for one in each),
        error_rate=sum(one.errors for one in each) / len(trials),
        path_efficiency=fmean(min(1.0, math.dist(one.start, one.end) / one.travelled) for one in moved),
        overshoots=fmean(one.overshoots for one in trials),
        trials=len(trials),
        sequences=each,
    )


def is_hit(trial: Trial, width: float) -> bool:
    """Return whether a trial ended with a selection inside its target."""
    return trial.selected and math.dist(trial.end, trial.target) <= width / 2


def _along(trial: Trial, since: Point, until: Point) -> float:
    """Return the way from one point to another along the axis of a trial's task."""
    axis = trial.target[0] - trial.origin[0], trial.target[1] - trial.origin[1]
    length = math.hypot(*axis)
    if length == 0:
        raise _refused("play again: a target was where the one before it was")
    return ((until[0] - since[0]) * axis[0] + (until[1] - since[1]) * axis[1]) / length


def _refused(message: str) -> InvalidValueError:
    return InvalidValueError("play", message)
