"""Check that a classifier can be trained on sessions, with messages for the person who recorded them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from semg.errors import TrainingError
from semg.signals.dataset import LabelledSamples, WindowSet

RATE_TOLERANCE = 0.01
"""Fraction by which the rates of one device's sessions may differ when measured from their clocks."""


def session_name(session: LabelledSamples, number: int) -> str:
    """Return the name of a session for a message."""
    return f"session {session.stretches[0].session}" if session.stretches else f"session number {number}"


def check_sessions(sessions: Sequence[LabelledSamples], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Return the channels to use.

    Raises
    ------
    TrainingError
        When there are no data, when a wanted channel is missing, or when the sessions' devices differ.
    """
    if not sessions:
        raise TrainingError("There are no sessions to train on: choose at least one completed session.")
    if not any(len(session.samples) for session in sessions):
        raise TrainingError(
            "The chosen sessions hold no samples: check that the device was sending while they were recorded."
        )
    if not any(session.stretches for session in sessions):
        raise TrainingError("The chosen sessions hold no labelled repetition: record gestures with a capture plan.")
    first = sessions[0]
    for number, session in enumerate(sessions, 1):
        name = session_name(session, number)
        if wanted is not None:
            missing = [channel for channel in wanted if channel not in session.channels]
            if missing:
                raise TrainingError(
                    f"The channel {', '.join(missing)} was chosen, but {name} has only "
                    f"{', '.join(session.channels)}. Choose channels that every session has."
                )
        elif session.channels != first.channels:
            raise TrainingError(
                f"The channels differ between sessions: {session_name(first, 1)} has {', '.join(first.channels)}, "
                f"{name} has {', '.join(session.channels)}. Train on sessions of one device, or choose the "
                "channels that they share."
            )
        if abs(session.rate_hz - first.rate_hz) > RATE_TOLERANCE * first.rate_hz:
            raise TrainingError(
                f"The sampling rates differ: {session_name(first, 1)} has {first.rate_hz:g} Hz, {name} has "
                f"{session.rate_hz:g} Hz. Train on sessions of one rate."
            )
        if session.sensor != first.sensor:
            raise TrainingError(
                f"The sensors differ: {session_name(first, 1)} has {first.sensor} signals, {name} has "
                f"{session.sensor} signals. Train on sessions of one kind of sensor."
            )
    chosen = tuple(wanted) if wanted is not None else first.channels
    if not chosen or len(set(chosen)) != len(chosen):
        raise TrainingError(f"Choose at least one channel, and each only once; got {', '.join(chosen) or 'none'}.")
    return chosen


def check_windows(
    data: WindowSet, sessions: Sequence[LabelledSamples], window_ms: float, min_repetitions: int = 2
) -> None:
    """Check that the windows of the sessions suffice for training and testing.

    Raises
    ------
    TrainingError
        When there is none, when there are none of some gesture, when there is one gesture only, or when a gesture
        was performed only once.
    """
    performed = {stretch.label for session in sessions for stretch in session.stretches if not stretch.dynamic}
    if len(data) == 0:
        raise TrainingError(
            f"No window of {window_ms:g} ms fits into any repetition: record longer repetitions, and check the "
            "sessions for gaps in the signal."
        )
    repetitions: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for stretch_id, session in set(zip(data.stretch.tolist(), data.session_index.tolist(), strict=True)):
        stretch = data.stretches[stretch_id]
        repetitions[stretch.label].add((session, stretch.repetition))
    empty = sorted(performed - set(repetitions))
    if empty:
        raise TrainingError(
            f"No window of {window_ms:g} ms fits into the repetitions of {', '.join(empty)}: record them again, "
            "longer, or leave this gesture out."
        )
    if len(repetitions) < 2:
        only = next(iter(repetitions))
        held = "held gesture" if any(one.dynamic for each in sessions for one in each.stretches) else "gesture"
        raise TrainingError(
            f"Only the {held} {only} was recorded; a classifier needs at least two, for example rest and fist."
        )
    single = sorted(label for label, each in repetitions.items() if len(each) < min_repetitions)
    if single:
        raise TrainingError(
            f"There is only one repetition of {', '.join(single)}: record every gesture at least twice, because one "
            "repetition is held out to test the classifier."
        )


def check_calibration(calibration: WindowSet, classes: Sequence[str]) -> None:
    """Check that a calibration session suffices to determine how the band is worn now.

    Raises
    ------
    TrainingError
        When it holds no window, a gesture that the classifier does not know, or fewer than two gestures.
    """
    found = set(calibration.labels.tolist())
    unknown = sorted(found - set(classes))
    if unknown:
        raise TrainingError(
            f"The calibration holds the gesture {', '.join(unknown)}, which the sessions to adapt do not have. They "
            f"have {', '.join(classes)}."
        )
    if len(found) < 2:
        raise TrainingError(
            "The calibration holds fewer than two gestures with windows: perform 10 s of rest and every gesture once."
        )
