"""Find repetitions of a session that look odd: too weak, too late, or unlike the others of their gesture.

Each performance is compared with rest and with the other performances of its own session: one sitting, one placement.
What is said is advice; a repetition that looks odd may be right. How often good ones are called odd, and wrong ones
found, is measured on real recordings (``testing/benchmarks/odd_repetitions.py``, figures in ``docs/recognition.md``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from semg.domain import REST, ConditioningSpec
from semg.signals.conditioning import Conditioner
from semg.signals.features import log_covariance

STEP_S = 0.05
"""Length of a point of the envelope."""
MIN_POINTS = 10
"""A shorter repetition is not judged."""
WINDOW_POINTS, HOP_POINTS = 4, 2
"""Windows of the comparison with siblings, in points of the envelope: 200 ms every 100 ms."""
ACTIVE_PART = 0.5
"""What reaches this part of a performance's strength above rest is its active part."""
AS_REST, MOST_AS_REST = 1.15, 1.6
"""No stronger than most of this session's rests, within these bounds and in units of rest: nothing was performed."""
FROM_REST = 1.4
"""Unless its siblings are hardly stronger either."""
WEAK_PART = 0.25
"""Weak: less than this part of the siblings' strength above rest."""
LATE_S = 0.9
"""Late: so much later than the others of the session begin."""
UNLIKE = 4.0
"""Unlike: so many times the usual distance of a repetition to its siblings."""
ANOTHER_PART = 0.6
"""Looks like another gesture: the distance to that one's repetitions is at most this part of that to its own."""
ANOTHER_FROM = 1.5
"""Nor does one that is no farther than this from its own, in units of the usual distance."""
MIN_SIBLINGS = 2

Kind = Literal["nothing", "weak", "late", "another", "unlike"]


@dataclass(frozen=True, slots=True)
class Performance:
    """One repetition, conditioned.

    Attributes
    ----------
    samples
        Float32 ``(n, C)``, conditioned, from the prompt on.
    envelope
        Float64 ``(points, C)``: RMS (of an envelope sensor the mean) of every ``STEP_S``, in the sensor's own unit.
    is_sibling
        Whether the others are compared with it: not if it is excluded from training.
    """

    gesture: str
    samples: NDArray[np.float32]
    envelope: NDArray[np.float64]
    rate_hz: float
    is_envelope: bool
    is_sibling: bool = True


@dataclass(frozen=True, slots=True)
class Oddity:
    """What is odd about a repetition, with a sentence for a reader."""

    kind: Kind
    reason: str


def perform(
    gesture: str, samples: NDArray[np.float32], spec: ConditioningSpec, *, is_sibling: bool = True
) -> Performance:
    """Return a repetition as it is compared.

    Parameters
    ----------
    samples
        Float32 ``(n, C)``, raw, in time order, from the prompt on.
    spec
        The session's rate, kind of sensor and mains frequency.
    """
    conditioned = Conditioner(spec, samples.shape[1]).process(samples)
    is_envelope = spec.sensor == "envelope"
    return Performance(
        gesture, conditioned, _envelope(conditioned, spec.rate_hz, is_envelope), spec.rate_hz, is_envelope, is_sibling
    )


def find_odd(performances: Mapping[int, Performance]) -> dict[int, Oddity]:
    """Return those performances of one session that look odd, by their number.

    Parameters
    ----------
    performances
        Of the whole session, rest too, by any number. Without rest, the quietest moments stand for it.
    """
    judged = {n: one for n, one in performances.items() if one.gesture != REST and len(one.envelope) >= MIN_POINTS}
    if not judged:
        return {}
    scale = _rest_scale(list(performances.values()))
    measured = {n: _measure(one, scale) for n, one in judged.items()}
    siblings = {n for n, one in judged.items() if one.is_sibling}
    resting = _resting(list(performances.values()), scale)
    onsets = {n: _onset_s(n, judged, measured, siblings, resting) for n in judged}
    usual_onset = _median([onsets[n] for n in siblings])
    spreads = [d for n in siblings if (d := _own_distance(n, judged, measured, siblings)) is not None]
    usual_distance = _median(spreads)
    as_rest = _as_rest(list(performances.values()), scale)
    found: dict[int, Oddity] = {}
    for n in judged:
        oddity = (
            _weak(n, judged, measured, siblings, as_rest)
            or _late(onsets[n], usual_onset)
            or _unlike(n, judged, measured, siblings, usual_distance)
        )
        if oddity is not None:
            found[n] = oddity
    return found


def thumbnail(envelope: NDArray[np.float64], n_columns: int = 48) -> NDArray[np.float64]:
    """Return an envelope's mean over the channels in at most so many columns, float64 ``(columns,)``."""
    if len(envelope) == 0:
        return np.zeros(0)
    pieces = np.array_split(envelope.mean(axis=1), min(n_columns, len(envelope)))
    return np.array([piece.max() for piece in pieces])


@dataclass(frozen=True, slots=True)
class _Measured:
    """Of a performance: strength in units of rest, features of every window, ``(W, F)``, and of its active part."""

    strength: float
    course: NDArray[np.float64]
    features: NDArray[np.float64]


def _envelope(samples: NDArray[np.float32], rate_hz: float, is_envelope: bool) -> NDArray[np.float64]:
    length = max(1, round(STEP_S * rate_hz))
    whole = samples[: len(samples) // length * length].astype(np.float64)
    pieces = whole.reshape(-1, length, samples.shape[1])
    return np.asarray(pieces.mean(axis=1) if is_envelope else np.sqrt((pieces**2).mean(axis=1)))


def _rest_scale(performances: Sequence[Performance]) -> NDArray[np.float64]:
    """Return each channel's level at rest, ``(C,)``; never below a hundredth of its level in use."""
    everything = np.concatenate([one.envelope for one in performances])
    rests = [one.envelope for one in performances if one.gesture == REST and len(one.envelope)]
    level = np.median(np.concatenate(rests), axis=0) if rests else np.quantile(everything, 0.1, axis=0)
    floor = 0.02 * np.quantile(everything, 0.9, axis=0).max()
    return np.asarray(np.maximum(level, max(floor, 1e-9)))


def _measure(one: Performance, scale: NDArray[np.float64]) -> _Measured:
    strengths, strength = _strengths(one, scale), _strength(one, scale)
    active = strengths - 1.0 >= ACTIVE_PART * (strength - 1.0)
    course = _course(one, scale)
    whole = np.lib.stride_tricks.sliding_window_view(active, WINDOW_POINTS)[::HOP_POINTS].all(axis=1)
    return _Measured(strength, course, course[whole].mean(axis=0) if whole.any() else course.mean(axis=0))


def _strengths(one: Performance, scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the strength over time, in units of rest, ``(points,)``."""
    return np.asarray(np.sqrt(((one.envelope / scale) ** 2).mean(axis=1)))


def _strength(one: Performance, scale: NDArray[np.float64]) -> float:
    """Return the strength of what is held: what nearly a third of the time exceeds."""
    return float(np.quantile(_strengths(one, scale), 0.7))


def _course(one: Performance, scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the features of each window, float64 ``(W, F)``."""
    point = max(1, round(STEP_S * one.rate_hz))
    scaled = (one.samples[: len(one.envelope) * point] / scale).astype(np.float32)
    # (W', C, T), each window a view
    windows = np.lib.stride_tricks.sliding_window_view(scaled, WINDOW_POINTS * point, axis=0)[:: HOP_POINTS * point]
    return log_covariance(np.ascontiguousarray(windows), with_mean=one.is_envelope).astype(np.float64)


def _resting(performances: Sequence[Performance], scale: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the features of rest, or None where none was recorded."""
    courses = [_course(one, scale) for one in performances if one.gesture == REST and len(one.envelope) >= MIN_POINTS]
    return np.median(np.concatenate(courses), axis=0) if courses else None


def _onset_s(
    n: int,
    judged: Mapping[int, Performance],
    measured: Mapping[int, _Measured],
    siblings: set[int],
    resting: NDArray[np.float64] | None,
) -> float | None:
    """Return when a performance begins after its prompt: where the part begins that is most like its siblings.

    Each window counts by how much nearer it is to the siblings than to rest, from -1 to 1; the part is that of the
    largest sum (Bentley, Programming pearls, CACM 27 (1984) 865). A twitch during rest does not begin it.
    """
    others = _others(n, judged, siblings, judged[n].gesture)
    if resting is None or len(others) < MIN_SIBLINGS:
        return None
    centre = np.median([measured[k].features for k in others], axis=0)
    towards = centre - resting
    nearer = 2.0 * (measured[n].course - (centre + resting) / 2) @ towards / max(float(towards @ towards), 1e-9)
    sums = np.concatenate([[0.0], np.cumsum(np.clip(nearer, -1.0, 1.0))])
    gains = sums - np.minimum.accumulate(sums)
    end = int(np.argmax(gains))
    return float(np.argmin(sums[: end + 1])) * HOP_POINTS * STEP_S if gains[end] > 0 else None


def _median(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return float(np.median(known)) if known else None


def _others(n: int, judged: Mapping[int, Performance], siblings: set[int], gesture: str) -> list[int]:
    return [k for k in siblings if k != n and judged[k].gesture == gesture]


def _distance(features: NDArray[np.float64], measured: Mapping[int, _Measured], others: Sequence[int]) -> float:
    centre = np.median([measured[k].features for k in others], axis=0)
    return float(np.linalg.norm(features - centre))


def _own_distance(
    n: int, judged: Mapping[int, Performance], measured: Mapping[int, _Measured], siblings: set[int]
) -> float | None:
    others = _others(n, judged, siblings, judged[n].gesture)
    return None if len(others) < MIN_SIBLINGS else _distance(measured[n].features, measured, others)


def _as_rest(performances: Sequence[Performance], scale: NDArray[np.float64]) -> float:
    """Return the strength, in units of rest, up to which a performance is taken for rest."""
    rests = [_strength(one, scale) for one in performances if one.gesture == REST and len(one.envelope) >= MIN_POINTS]
    return float(np.clip(np.quantile(rests, 0.9) if rests else AS_REST, AS_REST, MOST_AS_REST))


def _weak(
    n: int, judged: Mapping[int, Performance], measured: Mapping[int, _Measured], siblings: set[int], as_rest: float
) -> Oddity | None:
    strength = measured[n].strength
    others = [measured[k].strength for k in _others(n, judged, siblings, judged[n].gesture)]
    usual = float(np.median(others)) if others else None
    if strength < as_rest and (usual is None or usual > FROM_REST * as_rest):
        return Oddity("nothing", "as quiet as rest: it may not have been performed")
    if usual is not None and len(others) >= MIN_SIBLINGS and strength - 1.0 < WEAK_PART * (usual - 1.0):
        return Oddity("weak", f"{strength / usual:.0%} of the strength of the others")
    return None


def _late(onset_s: float | None, usual_s: float | None) -> Oddity | None:
    if onset_s is None or usual_s is None or onset_s < usual_s + LATE_S:
        return None
    return Oddity("late", f"began {onset_s:.1f} s after the prompt, the others after {usual_s:.1f} s")


def _unlike(
    n: int,
    judged: Mapping[int, Performance],
    measured: Mapping[int, _Measured],
    siblings: set[int],
    usual: float | None,
) -> Oddity | None:
    own = _own_distance(n, judged, measured, siblings)
    if own is None or not usual:
        return None
    gesture = judged[n].gesture
    for other in dict.fromkeys(one.gesture for one in judged.values()):
        theirs = _others(n, judged, siblings, other)
        if other == gesture or len(theirs) < MIN_SIBLINGS:
            continue
        if _distance(measured[n].features, measured, theirs) < ANOTHER_PART * own and own > ANOTHER_FROM * usual:
            return Oddity("another", f"looks like {other}")
    if own > UNLIKE * usual:
        return Oddity("unlike", f"{own / usual:.1f} times as far from the others as they are from each other")
    return None
