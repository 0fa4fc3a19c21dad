"""What each part of a classifier is worth: train on sessions 1 and 2 of a person, test on session 3.

``python testing/benchmarks/recognition_parts.py WHAT --recordings DIR``, where WHAT is

- ``branches``: the network, the closed-form branch and both together, of one and the same classifier; how true its
  confidences are, and what voting and rejection do;
- ``closed_form``: the closed-form branch with other priors, lags, random gains and high-pass;
- ``rolls``: plain log-covariance and LDA with the channels of session 3 rolled and mirrored. It looks at the labels of
  the test, so it tells how a band was worn, and is no figure of a classifier;
- ``within``: plain log-covariance and LDA inside session 3, every fifth repetition held out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import fire
import numpy as np
from numpy.typing import NDArray

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from semg.domain import ConditioningSpec, WindowSpec
from semg.recordings import read_recording
from semg.signals import runtime
from semg.signals.classifier import Classifier
from semg.signals.dataset import LabelledSamples, WindowSet, make_windows
from semg.signals.decisions import Voter
from semg.signals.features import choose_lags, lagged, log_covariance
from semg.signals.fitting import class_shares, fit_linear, fit_scale
from semg.signals.metrics import score, score_trimmed
from semg.signals.options import TrainingOptions
from semg.signals.splits import split_held_out
from semg.signals.training import fit

TUNED_ON = ("10000", "12378", "12548", "19999", "26082", "40052")
COLUMNS = ("accuracy", "balanced", "macro-F1", "trimmed acc", "trimmed F1")
BINS = 10
VARIANTS: dict[str, dict[str, float]] = {
    "lags, gains 0.25, balance 0.25": {},
    "no lags": {"n_lags": 0},
    "gains 0": {"gain_jitter": 0},
    "gains 0.1": {"gain_jitter": 0.1},
    "gains 0.4": {"gain_jitter": 0.4},
    "balance 0": {"balance": 0},
    "balance 0.5": {"balance": 0.5},
    "balance 1": {"balance": 1},
    "high-pass 0 Hz": {"high_pass_hz": 0},
    "high-pass 20 Hz": {"high_pass_hz": 20},
    "no notch": {"mains_hz": 0},
    "mixing 0.075": {"mixing_jitter": 0.075},
    "turned by a quarter electrode": {"turn": 0.25},
    "plain": {"n_lags": 0, "gain_jitter": 0, "balance": 0},
    "plain, high-pass 20 Hz": {"n_lags": 0, "gain_jitter": 0, "balance": 0, "high_pass_hz": 20},
    "plain, mixing 0.075": {"n_lags": 0, "gain_jitter": 0, "balance": 0, "mixing_jitter": 0.075},
    "plain, turned by a quarter": {"n_lags": 0, "gain_jitter": 0, "balance": 0, "turn": 0.25},
}
"""What is changed in the closed-form branch, one thing at a time; ``plain`` is log-covariance and LDA."""


def branches(recordings: str, only: str = "all", seed: int = 0) -> None:
    """Print the branches of each person's classifier apart and together, its calibration and its decisions."""
    _head()
    rows: dict[str, list[list[float]]] = {"together": [], "network": [], "closed form": []}
    sure: list[list[float]] = []
    for person, learned, test in _people(recordings, only):
        classifier = fit(learned, "cnn", seed=seed)
        data = make_windows([test], classifier.channels, classifier.conditioning, classifier.window)
        truth = _truth(classifier.classes, data)
        share, sharpness = classifier.arrays["mix"]
        for name, used in zip(rows, (share, 1.0, 0.0), strict=True):
            mix = np.array([used, sharpness], np.float32)
            part = replace(classifier, arrays=dict(classifier.arrays) | {"mix": mix})
            rows[name].append(_figures(truth, part.predict_proba(data.windows), data))
            _line(person, name, rows[name][-1])
        sure.append([*_calibration(truth, classifier, data), *_decisions(truth, classifier, data)])
        lags = [int(lag) for lag in classifier.arrays["lags"]]
        print(
            f"{'':<10}network's share {share:.1f}, sharpness {sharpness:.2f}, lags {lags or 'none'}; {_say(sure[-1])}"
        )
    for name, each in rows.items():
        _line("mean", name, list(np.mean(each, axis=0)))
        _line("worst", name, list(np.min(each, axis=0)))
    print(f"{'mean':<10}{_say(list(np.mean(sure, axis=0)))}")


def closed_form(recordings: str, only: str = "tuned", seed: int = 0) -> None:
    """Print the mean over people of variants of the closed-form branch alone."""
    rows: dict[str, list[list[float]]] = {name: [] for name in VARIANTS}
    for _, learned, test in _people(recordings, only):
        for name, changed in VARIANTS.items():
            rows[name].append(_variant(learned, test, seed, **changed))
    _head()
    for name, each in rows.items():
        _line("mean", name, list(np.mean(each, axis=0)))


def rolls(recordings: str, only: str = "all") -> None:
    """Print what plain log-covariance and LDA score with session 3 as it is and with its best turn of the band."""
    for person, learned, test in _people(recordings, only):
        classifier = fit(learned, "logcov_lda")
        data = make_windows([test], classifier.channels, classifier.conditioning, classifier.window)
        truth, n = _truth(classifier.classes, data), len(classifier.channels)
        found: dict[str, float] = {}
        for name, around in (("roll", np.arange(n)), ("mirrored, roll", np.arange(n)[::-1])):
            for places in range(n):
                turned = np.ascontiguousarray(data.windows[:, np.roll(around, places)])
                found[f"{name} {places}"] = _figures(truth, classifier.predict_proba(turned), data)[1]
        best = max(found, key=lambda name: found[name])
        print(f"{person:<10}balanced {found['roll 0']:.1f} as worn, {found[best]:.1f} with {best}", flush=True)


def within(recordings: str, only: str = "all") -> None:
    """Print what plain log-covariance and LDA score inside session 3, on whole repetitions held out."""
    _head()
    rows: list[list[float]] = []
    for person, _, session in _people(recordings, only):
        data = _windows([session], 10.0)
        split = split_held_out(data)
        if split is None:
            sys.exit(f"Session 3 of {person} has gestures with one repetition only: nothing can be held out.")
        seen, unseen = data.select(split.train), data.select(split.test)
        rows.append(_linear(seen, unseen, n_lags=0, gain_jitter=0, balance=0, seed=0, rate_hz=session.rate_hz))
        _line(person, "logcov_lda", rows[-1], f"{len(unseen):>8} windows")
    _line("mean", "logcov_lda", list(np.mean(rows, axis=0)))
    _line("worst", "logcov_lda", list(np.min(rows, axis=0)))


def _people(recordings: str, only: str) -> Iterator[tuple[str, list[LabelledSamples], LabelledSamples]]:
    """Give each person's name, sessions 1 and 2, and session 3."""
    folder, ending = Path(recordings), "-3.csv.gz"
    people = sorted(path.name.removeprefix("myo_").removesuffix(ending) for path in folder.glob(f"myo_*{ending}"))
    if not people:
        sys.exit(f"No myo_<person>{ending} in {folder}: give the folder of the recordings.")
    if only not in ("all", "tuned", "reported"):
        sys.exit(f"--only must be all, tuned or reported, got {only!r}.")
    for person in people:
        if only == "all" or (person in TUNED_ON) == (only == "tuned"):
            *learned, test = (read_recording(folder / f"myo_{person}-{session}.csv.gz") for session in (1, 2, 3))
            yield person, learned, test


def _windows(sessions: Sequence[LabelledSamples], high_pass_hz: float, mains_hz: float = 50.0) -> WindowSet:
    first = sessions[0]
    conditioning = ConditioningSpec(first.sensor, first.rate_hz, mains_hz, high_pass_hz)
    return make_windows(sessions, first.channels, conditioning, WindowSpec(first.rate_hz))


def _variant(
    learned: Sequence[LabelledSamples],
    test: LabelledSamples,
    seed: int,
    n_lags: float = 2,
    gain_jitter: float = 0.25,
    balance: float = 0.25,
    high_pass_hz: float = 10.0,
    mains_hz: float = 50.0,
    mixing_jitter: float = 0.0,
    turn: float = 0.0,
) -> list[float]:
    return _linear(
        _windows(learned, high_pass_hz, mains_hz),
        _windows([test], high_pass_hz, mains_hz),
        n_lags=n_lags,
        gain_jitter=gain_jitter,
        balance=balance,
        seed=seed,
        rate_hz=test.rate_hz,
        mixing_jitter=mixing_jitter,
        turn=turn,
    )


def _linear(
    seen: WindowSet,
    unseen: WindowSet,
    *,
    n_lags: float,
    gain_jitter: float,
    balance: float,
    seed: int,
    rate_hz: float,
    mixing_jitter: float = 0.0,
    turn: float = 0.0,
) -> list[float]:
    """Give the figures of log-covariance and LDA fitted on some windows and tried on others.

    ``mixing_jitter`` is the spread of a random matrix that mixes each training window's channels; ``turn`` adds
    copies with the band turned both ways by that part of an electrode's distance, interpolated between neighbours.
    """
    # A training leaves the start of every stretch out as well.
    seen = seen.select(seen.into_stretch_ms >= np.minimum(TrainingOptions().skip_start_ms, 0.2 * seen.stretch_ms))
    classes = sorted(set(seen.labels.tolist()))
    y = _truth(classes, seen)
    arrays = fit_scale(seen.windows, envelope=False)
    scaled = runtime.scale(arrays, seen.windows)
    n, n_channels, length = scaled.shape
    lags = choose_lags(n_channels, length, rate_hz)[: int(n_lags)]
    rng = np.random.default_rng([seed, 1])
    made = scaled * np.exp(gain_jitter * rng.standard_normal((n, n_channels, 1))).astype(np.float32)
    identity = np.eye(n_channels)
    if mixing_jitter:
        made = (identity + mixing_jitter * rng.standard_normal((n, n_channels, n_channels))).astype(np.float32) @ made
    copies = [made]
    for places in (1, -1) if turn else ():
        turned = (1 - turn) * identity + turn * np.roll(identity, places, axis=0)
        copies.append(turned.astype(np.float32) @ made)
    features = np.concatenate([log_covariance(lagged(copy, lags)) for copy in copies])
    arrays |= fit_linear(features, np.tile(y, len(copies)), class_shares(y, len(classes), balance))
    tried = log_covariance(lagged(runtime.scale(arrays, unseen.windows), lags))
    return _figures(_truth(classes, unseen), runtime.linear_scores(arrays, tried), unseen)


def _truth(classes: Sequence[str], data: WindowSet) -> NDArray[np.int64]:
    return np.searchsorted(np.array(classes), data.labels).astype(np.int64)


def _figures(truth: NDArray[np.int64], scores: NDArray[np.float32], data: WindowSet) -> list[float]:
    """Give the values of ``COLUMNS`` in percent; ``scores`` ``(N, K)`` are largest at the predicted class."""
    predicted, n_classes = scores.argmax(axis=1), scores.shape[1]
    all_of_it = score(truth, predicted, n_classes)
    trimmed = score_trimmed(truth, predicted, data.into_stretch_ms, n_classes)
    values = (all_of_it.accuracy, all_of_it.balanced_accuracy, all_of_it.macro_f1, trimmed.accuracy, trimmed.macro_f1)
    return [100 * value for value in values]


def _calibration(truth: NDArray[np.int64], classifier: Classifier, data: WindowSet) -> list[float]:
    """Give mean confidence, accuracy, and their mean distance over ten bins of confidence, in percent."""
    probabilities = classifier.predict_proba(data.windows)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    apart = [abs(float(np.sum(confidence[bins == b]) - np.sum(right[bins == b]))) for b in range(BINS)]
    return [100 * float(confidence.mean()), 100 * float(right.mean()), 100 * sum(apart) / len(truth)]


def _decisions(truth: NDArray[np.int64], classifier: Classifier, data: WindowSet) -> list[float]:
    """Give the rejected part, and the correct part of what was not rejected, in percent; a stretch starts anew."""
    probabilities = classifier.predict_proba(data.windows)
    voter = Voter(classifier.decision, len(classifier.classes))
    rejected = right = 0
    for row in range(len(data)):
        if row and data.stretch[row] != data.stretch[row - 1]:
            voter.reset()
        decided, _ = voter.push(probabilities[row])
        rejected += decided is None
        right += decided == truth[row]
    return [100 * rejected / len(data), 100 * right / max(1, len(data) - rejected)]


def _head() -> None:
    print(f"{'':<42}" + "".join(f"{name:>13}" for name in COLUMNS))


def _line(who: str, what: str, values: Sequence[float], extra: str = "") -> None:
    print(f"{who:<10}{what:<32}" + "".join(f"{value:>13.1f}" for value in values) + extra, flush=True)


def _say(values: Sequence[float]) -> str:
    return (
        f"mean confidence {values[0]:.1f}, correct {values[1]:.1f}, calibration error {values[2]:.1f}; "
        f"decisions: {values[3]:.1f} rejected, {values[4]:.1f} of the others correct"
    )


if __name__ == "__main__":
    fire.Fire({"branches": branches, "closed_form": closed_form, "rolls": rolls, "within": within})
