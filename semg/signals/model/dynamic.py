"""Recognise short dynamic gestures: a snap, a double tap, a flick are trials, each decided once.

A stretch of activity that begins from rest is cut whole, from shortly before its onset on, and judged by the course of
its energy and by its covariance. What is judged is a stream of overlapping windows, so that a live stream and a
recording of the same samples give the same decisions, bit for bit: the newest hop of each window continues the one
before it, and where it does not (a gap, a lost window, another session) the detector begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from semg.signals.features import log_covariance
from semg.signals.model.forward import softmax

Arrays = Mapping[str, NDArray[np.float32]]

MAX_TRIAL_CLASSES, MAX_HOPS = 128, 400
POWER_FLOOR = 1e-2
"""Added to every mean power, of scaled signals whose power is about 1 while gestures are performed: a silent channel
has a logarithm, and what lies far below the level of any activity tells nothing."""
SEGMENTS = 6
"""Segments of a trial whose energies are its course."""
QUIET_HOPS = 3
"""Hops below the lower threshold after which the detector is ready for the next onset."""
LEVEL_HOPS = 2
"""Hops whose mean power is compared with the thresholds: 100 ms, where a single hop is as short as one spike."""
REST_RATE, ACTIVE_RATE = 0.02, 0.0005
"""How far the rest level follows a quiet hop, and any other: an electrode whose contact has changed leaves no detector
that waits for ever. A level that fell faster than it rose lay below rest, and missed a third more onsets
(``docs/recognition.md``)."""


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """What the detector cuts, and what the trials are judged as.

    Attributes
    ----------
    classes
        Labels of the trial classifier, in the order of its probabilities: the dynamic gestures first, then the labels
        whose stretches activity began in too, which are never decided.
    n_dynamic
        Number of dynamic gestures.
    before_hops, after_hops
        Hops of a trial up to the one that its onset was found at, and behind it.
    """

    classes: tuple[str, ...]
    n_dynamic: int
    before_hops: int
    after_hops: int

    @property
    def dynamic(self) -> tuple[str, ...]:
        """The dynamic gestures."""
        return self.classes[: self.n_dynamic]

    @property
    def hops(self) -> int:
        """Hops of a trial."""
        return self.before_hops + self.after_hops

    def as_json(self) -> dict[str, Any]:
        """Return the spec as a classifier's metadata hold it."""
        return asdict(self) | {"classes": list(self.classes)}

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> TrialSpec:
        """Return the spec of a classifier's metadata.

        Raises
        ------
        KeyError, TypeError, ValueError
            A field is missing, of another kind or out of bounds.
        """
        classes = tuple(str(name) for name in stored["classes"])
        numbers = [stored[name] for name in ("n_dynamic", "before_hops", "after_hops")]
        if any(isinstance(each, bool) or not isinstance(each, int) for each in numbers):
            raise ValueError("the numbers of a trial must be whole")
        spec = TrialSpec(classes, *numbers)
        if not (1 <= spec.n_dynamic <= len(classes) <= MAX_TRIAL_CLASSES and len(set(classes)) == len(classes)):
            raise ValueError(f"{len(classes)} labels of trials, {spec.n_dynamic} of them dynamic, are out of bounds")
        if not (1 <= spec.before_hops <= MAX_HOPS and 1 <= spec.after_hops <= MAX_HOPS):
            raise ValueError(f"a trial of {spec.before_hops} and {spec.after_hops} hops is out of bounds")
        return spec


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Levels of activity, in nats (the natural logarithm of the channels' mean power).

    Attributes
    ----------
    rest
        The person's level at rest, which the detector begins with and follows.
    on, off
        How far above it activity begins, and below which it is over.
    """

    rest: float
    on: float
    off: float

    @classmethod
    def of(cls, arrays: Arrays) -> Self:
        """Return the thresholds that are stored with a classifier."""
        return cls(*(float(each) for each in arrays["dynamic_levels"]))


class OnsetDetector:
    """Cuts the trials of one stream of windows; one thread at a time.

    Parameters
    ----------
    spec
        Length of the trials.
    thresholds
        Of the onset.
    """

    def __init__(self, spec: TrialSpec, thresholds: Thresholds) -> None:
        self.spec, self.thresholds = spec, thresholds
        self._rest = thresholds.rest
        self._forget()

    def _forget(self) -> None:
        """Begin anew; the rest level stays, as it is the person's and not the moment's."""
        self._hops: list[NDArray[np.float32]] = []
        self._powers: list[float] = []
        self._left: int | None = None
        self._quiet, self._armed = 0, False

    def push(self, newest: NDArray[np.float32], continues: bool) -> NDArray[np.float32] | None:
        """Return the trial that a window completes, if it does.

        Parameters
        ----------
        newest
            Float32 ``(C, hop_samples)``: the newest hop of the stream's next window, with comparable channels.
        continues
            Whether that window continues the one before it; otherwise what was heard until now is forgotten.

        Returns
        -------
        Float32 ``(C, hops * hop_samples)``, or None.
        """
        if not continues:
            self._forget()
        self._hops.append(newest)
        self._powers.append(float(np.square(newest, dtype=np.float64).mean()))
        del self._hops[: -self.spec.hops], self._powers[:-LEVEL_HOPS]
        rise = float(np.log(sum(self._powers) / len(self._powers) + POWER_FLOOR)) - self._rest
        if self._left is not None:
            self._left -= 1
            if self._left:
                return None
            self._left = None
            return np.concatenate(self._hops, axis=1)
        self._follow(rise)
        if self._armed and rise > self.thresholds.on and len(self._hops) >= self.spec.before_hops:
            self._left, self._armed, self._quiet = self.spec.after_hops, False, 0
        return None

    def _follow(self, rise: float) -> None:
        """Follow the level of rest, and be ready again after enough of it."""
        if rise >= self.thresholds.off:
            self._quiet = 0
            self._rest += ACTIVE_RATE * rise
            return
        self._rest += REST_RATE * rise
        self._quiet += 1
        self._armed |= self._quiet >= QUIET_HOPS


class DynamicRecogniser:
    """Recognises the dynamic gestures of one stream of windows; one thread at a time.

    Parameters
    ----------
    spec, arrays
        Of the classifier.
    hop_samples
        Distance of the windows.
    envelope
        Whether the signals are envelopes.
    """

    def __init__(self, spec: TrialSpec, arrays: Arrays, hop_samples: int, envelope: bool) -> None:
        self.spec, self._arrays, self._hop, self._envelope = spec, arrays, hop_samples, envelope
        self._detector = OnsetDetector(spec, Thresholds.of(arrays))
        self._last: NDArray[np.float32] | None = None

    def push(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of the dynamic gestures after one more window ``(C, T)``, ``(n_dynamic,)``.

        All 0 but for the window that completes a trial: a performance is judged once. The remainder to 1 is the
        probability that it was none of them.
        """
        last, self._last = self._last, window.copy()  # a window may be a view of a whole request
        continues = last is not None and bool(continue_last(np.stack([last, window]), self._hop)[1])
        judged = self.push_hop(window[:, -self._hop :], continues)
        return np.zeros(self.spec.n_dynamic, np.float32) if judged is None else judged

    def push_hop(self, newest: NDArray[np.float32], continues: bool) -> NDArray[np.float32] | None:
        """Return the probabilities ``(n_dynamic,)`` of the trial that a window completes, None where it completes none.

        The window is known by its newest hop ``(C, hop_samples)``, conditioned, and by whether it continues the last.
        """
        trial = self._detector.push(scale_trials(self._arrays, newest[None])[0], continues)
        if trial is None:
            return None
        return judge(self._arrays, trial[None], self._envelope)[0, : self.spec.n_dynamic]

    def push_all(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``push`` of consecutive windows ``(N, C, T)``, ``(N, n_dynamic)``."""
        rows = [self.push(window) for window in windows]
        return np.stack(rows) if rows else np.zeros((0, self.spec.n_dynamic), np.float32)


def continue_last(windows: NDArray[np.float32], hop_samples: int) -> NDArray[np.bool_]:
    """Return which of consecutive windows ``(N, C, T)`` continue the one before them, ``(N,)``; the first does not.

    They do where they share all but a hop with it.
    """
    same = (windows[1:, :, :-hop_samples] == windows[:-1, :, hop_samples:]).all(axis=(1, 2))
    return np.concatenate([np.zeros(min(1, len(windows)), bool), same])


def performed(probabilities: NDArray[np.float32], needed: float) -> int | None:
    """Return the index of the dynamic gesture that a window's probabilities decide, or None.

    Parameters
    ----------
    probabilities
        ``(n_dynamic,)``, of ``DynamicRecogniser.push``.
    needed
        Probability that a label which begins must reach.
    """
    best = int(probabilities.argmax())
    return best if probabilities[best] > 0 and probabilities[best] >= needed else None


def scale_trials(arrays: Arrays, signals: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return signals ``(N, C, T)`` with comparable channels, as the trial classifier was fitted on them."""
    return (signals - arrays["dynamic_offset"][:, None]) * arrays["dynamic_gain"][:, None]


def judge(arrays: Arrays, trials: NDArray[np.float32], envelope: bool) -> NDArray[np.float32]:
    """Return the probabilities ``(N, K)`` of scaled trials ``(N, C, T)`` in the order of ``TrialSpec.classes``."""
    centred = trial_features(trials, envelope).astype(np.float64) - arrays["dynamic_centre"]
    return softmax(centred @ arrays["dynamic_coef"].T.astype(np.float64) + arrays["dynamic_intercept"])


def trial_features(trials: NDArray[np.float32], envelope: bool) -> NDArray[np.float32]:
    """Return the features of trials: the course of each channel's energy, and the log-covariance of the whole.

    Parameters
    ----------
    trials
        Float32 ``(N, C, T)``, scaled.

    Returns
    -------
    Float32 ``(N, C * SEGMENTS + F)``, with ``F`` of ``log_covariance``.
    """
    return np.concatenate([energy_course(trials, SEGMENTS), log_covariance(trials, with_mean=envelope)], axis=1)


def energy_course(trials: NDArray[np.float32], segments: int) -> NDArray[np.float32]:
    """Return the logarithm of each channel's mean power in equal segments of trials.

    Parameters
    ----------
    trials
        Float32 ``(N, C, T)``, scaled.
    segments
        Their number.

    Returns
    -------
    Float32 ``(N, segments * C)``, segment by segment.
    """
    n, n_channels, length = trials.shape
    edges = np.linspace(0, length, segments + 1).round().astype(np.int64)
    power = np.square(trials.astype(np.float64))
    means = np.stack([power[:, :, a:b].mean(axis=2) for a, b in zip(edges[:-1], edges[1:], strict=True)], axis=1)
    return np.log(means + POWER_FLOOR).reshape(n, segments * n_channels).astype(np.float32)
