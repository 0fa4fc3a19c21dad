"""What days change, and what could be won of it: closed forms of a set with many days, on every choice of days.

``python testing/benchmarks/recognition_days.py --recordings DIR`` fits the aligned closed form on some days of each
person that methods may be chosen on and tries it on each of the others, 28 tests of two people, with

- the features: log-covariance; with each channel's level; with the time-domain features;
- what is known of the new day: nothing; the mean of all its windows (without labels, the whole day at once); the true
  shift common to its gestures (from its labels: what following one shift can gain at the most);
- the gestures' means refitted to the day's windows, without labels, by expectation and maximisation with the scatter of
  gestures between the training's days as their prior: from the whole day at once, and as the windows come.

Balanced accuracy of windows, in percent: the mean, the worst test, and the most that a test loses against the first
row. What knows nothing of the new day is a figure of a classifier; the rest says what is lost where.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import fire
import numpy as np
from numpy.typing import NDArray

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from semg.domain import ConditioningSpec, WindowSpec
from semg.signals.dataset import WindowSet, make_windows
from semg.signals.features import LEVEL_FLOOR, envelope_features, log_covariance, time_domain
from semg.signals.model.forward import log_softmax
from semg.signals.training.alignment import align, session_effects
from semg.signals.training.covariance import shrunk_covariance_of
from semg.signals.training.fitting import BRANCH_BALANCE, class_shares
from semg.signals.training.metrics import score
from testing.benchmarks.recognition_sets import DATA_SETS, Person, people_of

Matrix = NDArray[np.float64]
LEARNED = (("1", "2", "3", "4", "5"), ("4", "5", "6", "7", "8"), ("1", "2", "6", "7", "8"), ("1", "3", "5", "7"))
"""Choices of days to learn; each of the others is a test, beside another posture for the first choice."""
FEATURES: dict[str, Callable[[NDArray[np.float32]], NDArray[np.floating]]] = {
    "log-covariance": lambda scaled: log_covariance(scaled, with_mean=True),
    "and levels": lambda scaled: envelope_features(scaled, LEVEL_FLOOR),
    "and time domain": lambda scaled: np.hstack([log_covariance(scaled, with_mean=True), time_domain(scaled)]),
}
ROUNDS, WINDOWS_ALIKE, BLOCK = 25, 20.0, 20
"""Rounds of a refit over a whole day; windows that count as one observation; windows between two refits."""


class Closed:
    """A closed form of some days.

    Parameters
    ----------
    days
        Their windows, all with every gesture.
    features
        Of scaled windows.
    """

    def __init__(self, days: list[WindowSet], features: Callable[[NDArray[np.float32]], NDArray[np.floating]]) -> None:
        windows = np.concatenate([day.windows for day in days])
        labels = np.concatenate([day.labels for day in days])
        self.classes, y = np.unique(labels, return_inverse=True)
        session = np.repeat(np.arange(len(days)), [len(day) for day in days])
        into = np.concatenate([day.into_stretch_ms for day in days])
        length = np.concatenate([day.stretch_ms for day in days])
        usable = np.asarray(into >= np.minimum(500, 0.2 * length))
        n = len(self.classes)
        aligned = align(windows, y, session, n, 0.0, envelope=True, calibrated=False, usable=usable, levels=False)
        self._features, self._offset, self._gain = features, aligned.offset, aligned.gain
        values = features(aligned.scaled).astype(np.float64)[usable]
        y, session = y[usable], session[usable]
        effects = session_effects(values, y, session, n, len(days))
        self._centre = effects.mean(axis=0)
        centred = values - effects[session]
        self.means = np.stack([centred[y == k].mean(axis=0) for k in range(n)])
        self.frequency = np.bincount(y, minlength=n) / len(y)
        self._log_shares = np.log(class_shares(y, n, BRANCH_BALANCE))
        self._pooled = shrunk_covariance_of(centred - self.means[y])
        self._prepare_refit(values - self._centre, y, session, len(days))

    def _prepare_refit(self, values: Matrix, y: NDArray[np.int64], session: NDArray[np.int64], days: int) -> None:
        """Whiten the scatter within a day's gesture; along its axes days scatter independently."""
        n = len(self.means)
        of_day = np.stack([[values[(session == d) & (y == k)].mean(axis=0) for k in range(n)] for d in range(days)])
        within = shrunk_covariance_of(values - of_day[session, y])
        apart = of_day - of_day.mean(axis=0)
        common = apart.mean(axis=1)
        own = (apart - common[:, None]).reshape(-1, values.shape[1])
        lost = days / (days - 1)
        white = np.linalg.inv(np.linalg.cholesky(within))
        spread, axes = np.linalg.eigh(white @ shrunk_covariance_of(own) @ white.T * lost * n / (n - 1))
        self._to_axes = axes.T @ white
        self._own = np.maximum(spread, 0.0)
        self._common = np.diag(self._to_axes @ shrunk_covariance_of(common) @ self._to_axes.T) * lost
        self._day_means = of_day.mean(axis=0) @ self._to_axes.T

    def features(self, windows: NDArray[np.float32]) -> Matrix:
        """Return the features of windows, centred as those of an unknown day, ``(N, F)``."""
        scaled = (windows - self._offset[:, None]) * self._gain[:, None]
        return np.asarray(self._features(scaled) - self._centre, np.float64)

    def scores(self, features: Matrix) -> Matrix:
        """Return the discriminant's scores, ``(N, K)``."""
        coef = np.linalg.solve(self._pooled, self.means.T)
        return np.asarray(features @ coef - 0.5 * np.sum(self.means.T * coef, axis=0) + self._log_shares)

    def refitted(self, features: Matrix, *, at_once: bool) -> Matrix:
        """Return the scores with means refitted to the windows: all at once, or to those before each block."""
        on_axes = features @ self._to_axes.T
        if at_once:
            return self._scores_on_axes(on_axes, self._refit(on_axes, self._day_means, ROUNDS))
        answers, means = np.zeros((len(features), len(self.means))), self._day_means
        for start in range(0, len(features), BLOCK):
            rows = slice(start, start + BLOCK)
            answers[rows] = self._scores_on_axes(on_axes[rows], means)
            means = self._refit(on_axes[: start + BLOCK], means, 1)
        return answers

    def _scores_on_axes(self, values: Matrix, means: Matrix) -> Matrix:
        return np.asarray(values @ means.T - 0.5 * np.square(means).sum(axis=1) + self._log_shares)

    def _refit(self, values: Matrix, means: Matrix, rounds: int) -> Matrix:
        for _ in range(rounds):
            part = np.exp(log_softmax(self._scores_on_axes(values, means)))
            count = np.maximum(part.sum(axis=0), 1e-3)
            moved = (part.T @ values) / count[:, None] - self._day_means
            weight = 1.0 / (self._own + WINDOWS_ALIKE / count[:, None])
            common = (weight * moved).sum(axis=0) / (1.0 / np.maximum(self._common, 1e-9) + weight.sum(axis=0))
            means = self._day_means + common + self._own * weight * (moved - common)
        return means


def tests_of(person: Person) -> Iterator[tuple[str, dict[str, Matrix], NDArray[np.int64]]]:
    """Yield each test of a person: its name, the scores of each variant, and the truth."""
    data: dict[str, WindowSet] = {}
    days = sorted({*person.of.learned, *person.of.new_days})
    for name in (*days, *person.of.postures):
        recording = person.recording(name)
        rate_hz = person.of.rate_hz
        data[name] = make_windows(
            [recording], recording.channels, ConditioningSpec("envelope", rate_hz, 50.0), WindowSpec(rate_hz)
        )
    for learned in LEARNED:
        made = {what: Closed([data[name] for name in learned], features) for what, features in FEATURES.items()}
        tests = [name for name in days if name not in learned]
        for name in tests + (list(person.of.postures) if learned == LEARNED[0] else []):
            test, answers = data[name], {}
            for what, closed in made.items():
                truth = np.searchsorted(closed.classes, test.labels).astype(np.int64)
                found = closed.features(test.windows)
                of_day = [found[truth == k].mean(axis=0) - closed.means[k] for k in np.unique(truth)]
                answers[what] = closed.scores(found)
                answers[f"{what}, the day's mean"] = closed.scores(
                    found - (found.mean(axis=0) - closed.frequency @ closed.means)
                )
                answers[f"{what}, the true shift"] = closed.scores(found - np.mean(of_day, axis=0))
                answers[f"{what}, refitted to the whole day"] = closed.refitted(found, at_once=True)
                answers[f"{what}, refitted as it comes"] = closed.refitted(found, at_once=False)
            yield f"{person.name} {'+'.join(learned)} → {name}", answers, truth


def main(recordings: str, set: str = "unibo") -> None:
    """Print a row for each variant.

    Parameters
    ----------
    recordings
        Folder of the recordings.
    set
        Name of a set of envelopes with eight days.
    """
    data_set = next((one for one in DATA_SETS if one.name == set), None)
    if data_set is None or data_set.sensor != "envelope":
        sys.exit(f"--set: expected a set of envelopes with many days, got {set!r}.")
    found: dict[str, list[float]] = {}
    for person in people_of(data_set, Path(recordings), "tuned"):
        for _, answers, truth in tests_of(person):
            for what, scores in answers.items():
                balanced = score(truth, scores.argmax(axis=1), scores.shape[1]).balanced_accuracy
                found.setdefault(what, []).append(100 * balanced)
    first = np.array(next(iter(found.values())))
    print(f"{len(first)} tests\n\n| closed form | mean | worst test | most lost |\n|---|---|---|---|")
    for what, values in found.items():
        print(f"| {what} | {np.mean(values):.1f} | {min(values):.1f} | {(np.array(values) - first).min():+.1f} |")


if __name__ == "__main__":
    fire.Fire(main)
