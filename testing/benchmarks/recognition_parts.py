"""What each part of a classifier is worth.

``python testing/benchmarks/recognition_parts.py WHAT --recordings DIR``, where WHAT is

- ``branches``: the closed form, the dense branch, the network and all together, of one and the same classifier fitted
  on the learned sessions of a data set (``--set``), on its new days with a calibration and without;
- ``features``: the closed form alone on other features: without bands, with delayed channels, with other crossings;
- ``few``: the branches fitted on 1, 2 and 4 repetitions of each gesture and as much rest, with a base and without;
- ``times``: microseconds a window of a classifier, stored and following;
- ``rolls``: plain log-covariance and LDA with the channels of session 3 rolled and mirrored. It looks at the labels of
  the test, so it tells how a band was worn, and is no figure of a classifier.

Windows are answered as the classifier is stored: nothing is learned from the test.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import fire
import numpy as np
from numpy.typing import NDArray

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from semg.domain import REST, ConditioningSpec, WindowSpec
from semg.priors.building import make_base
from semg.signals.dataset import LabelledSamples, WindowSet, make_windows
from semg.signals.features import band_covariance, lagged, log_covariance
from semg.signals.model.classifier import Classifier
from semg.signals.training.alignment import align, session_effects
from semg.signals.training.fitting import BRANCH_BALANCE, class_shares, fit_discriminant
from semg.signals.training.hybrid_fit import CALIBRATION_PART
from semg.signals.training.metrics import score, score_trimmed
from semg.signals.training.options import TrainingOptions
from semg.signals.training.train import fit
from semg.signals.training.trainer import join
from testing.benchmarks.recognition_protocols import times_us
from testing.benchmarks.recognition_sets import DATA_SETS, Person, first_repetitions, keep, people_of, stretches_of

COLUMNS = ("accuracy", "balanced", "macro-F1", "trimmed acc", "trimmed F1")
MIXES = {
    "all three": (1 / 3, 1 / 3),
    "closed form": (0.0, 0.0),
    "dense": (0.0, 1.0),
    "network": (1.0, 0.0),
    "without network": (0.0, 0.5),
}
"""Shares of the network and of the dense branch."""
Features = Callable[[NDArray[np.float32]], NDArray[np.float32]]
Row = list[float]
BAND = next(each for each in DATA_SETS if each.name == "myo")


def branches(recordings: str, only: str = "all", seed: int = 0, set: str = "myo") -> None:  # noqa: A002
    """Print each branch alone and all together, of each person's classifier, on every new day of a data set."""
    rows: dict[str, list[Row]] = {}
    for person in _people(recordings, only, set):
        stored = fit(person.learned, "cnn", seed=seed)
        for session in person.of.new_days:
            calibration, test = person.divided(session)
            _try_mixes(stored, test, f"{person.name} {session} across", "across", rows)
            adapted = fit(person.learned, "cnn", seed=seed, calibration=calibration)
            _try_mixes(adapted, test, f"{person.name} {session} calibrated", "calibrated", rows)
    _means(rows)


def times(recordings: str, seed: int = 0) -> None:
    """Print how long the first person's classifier takes for a window."""
    person = people_of(BAND, Path(recordings))[0]
    for name, us in times_us(fit(person.learned, "cnn", seed=seed), person.test).items():
        print(f"{name:<30}{us:8.0f} us a window")


def features(recordings: str, only: str = "tuned") -> None:
    """Print the mean over people of the closed form on other features, across sessions and calibrated."""
    variants: dict[str, Features] = {
        "log-covariance": log_covariance,
        "channels joined by those 5 and 10 ms before": lambda w: log_covariance(lagged(w, (1, 2))),
    }
    for hz in (25, 35, 50, 70):
        variants[f"two bands crossing at {hz} Hz"] = lambda w, hz=hz: band_covariance(w, hz / 200)  # type: ignore[misc]
    rows: dict[str, list[Row]] = {}
    for person in _people(recordings, only):
        if person.test.rate_hz != 200 or person.test.sensor != "raw":
            sys.exit("The features are compared on raw signals of 200 Hz.")
        for what, calibration in (("across", None), ("calibrated", person.calibration)):
            for name, of in variants.items():
                rows.setdefault(f"{what}: {name}", []).append(_closed_form(person, calibration, of))
    _means(rows)


def few(recordings: str, only: str = "tuned", seed: int = 0) -> None:
    """Print the branches after 1, 2 and 4 repetitions of each gesture in session 3, tried on those from the fifth."""
    base = make_base("others", {each.name: each.everything for each in people_of(BAND, Path(recordings))})
    rows: dict[str, list[Row]] = {}
    for person in _people(recordings, only):
        session = _as_much_rest(person.recording(BAND.new_days[0]))
        test = keep(session, first_repetitions(session, 10_000, 4))
        for repetitions in (1, 2, 4):
            learned = keep(session, first_repetitions(session, repetitions))
            for with_base in (False, True):
                prior = base.without(names=[person.name]) if with_base else None
                classifier = fit([learned], "cnn", seed=seed, base=prior)
                what = f"{repetitions} rep., {'base' if with_base else 'no base'}"
                _try_mixes(classifier, test, f"{person.name} {what}", what, rows)
    _means(rows)


def rolls(recordings: str, only: str = "all") -> None:
    """Print what plain log-covariance and LDA score with session 3 as it is and with its best turn of the band."""
    for person in _people(recordings, only):
        classifier = fit(person.learned, "logcov_lda")
        data = _windows(classifier, person.test)
        truth, n = _truth(classifier.classes, data), len(classifier.channels)
        found: dict[str, float] = {}
        for name, around in (("roll", np.arange(n)), ("mirrored, roll", np.arange(n)[::-1])):
            for places in range(n):
                turned = np.ascontiguousarray(data.windows[:, np.roll(around, places)])
                found[f"{name} {places}"] = _figures(truth, classifier.predict_proba(turned), data)[1]
        best = max(found, key=lambda name: found[name])
        print(f"{person.name:<10}balanced {found['roll 0']:.1f} as worn, {found[best]:.1f} with {best}", flush=True)


def _people(recordings: str, only: str, data_set: str = "myo") -> Iterator[Person]:
    of = next(each for each in DATA_SETS if each.name == data_set)
    found = people_of(of, Path(recordings), only)
    if not found:
        sys.exit(f"No recordings of {data_set} in {recordings}: give their folder.")
    print(" " * 62 + "".join(f"{name:>13}" for name in COLUMNS))
    yield from found


def _as_much_rest(session: LabelledSamples) -> LabelledSamples:
    """Return a session with as many stretches of rest as the other gestures have, spread over it."""
    by_label = stretches_of(session)
    wanted = min(len(ids) for label, ids in by_label.items() if label != REST)
    rest = by_label[REST][:: max(1, len(by_label[REST]) // wanted)]
    return keep(session, [i for label, ids in by_label.items() for i in (rest if label == REST else ids)])


def _try_mixes(classifier: Classifier, test: LabelledSamples, who: str, what: str, rows: dict[str, list[Row]]) -> None:
    data = _windows(classifier, test)
    truth, inverse_temperature = _truth(classifier.classes, data), classifier.arrays["mix"][-1]
    for name, shares in MIXES.items():
        part = replace(
            classifier, arrays=dict(classifier.arrays) | {"mix": np.array([*shares, inverse_temperature], np.float32)}
        )
        found = _figures(truth, part.predict_proba(data.windows), data)
        rows.setdefault(f"{what}: {name}", []).append(found)
        _line(f"{who}: {name}", found)


def _closed_form(person: Person, calibration: LabelledSamples | None, of: Features) -> Row:
    """Return the figures of the closed form on given features, sessions aligned as in the product."""
    first = person.learned[0]
    window, conditioning = WindowSpec(first.rate_hz), ConditioningSpec(first.sensor, first.rate_hz)
    seen = make_windows(person.learned, first.channels, conditioning, window)
    if calibration is not None:
        seen = join(seen, make_windows([calibration], first.channels, conditioning, window))
    unseen = make_windows([person.test], first.channels, conditioning, window)
    classes = sorted(set(seen.labels.tolist()))
    y, session = _truth(classes, seen), seen.session_index.astype(np.int64)
    usable = seen.into_stretch_ms >= np.minimum(TrainingOptions().skip_start_ms, 0.2 * seen.stretch_ms)
    calibrated = calibration is not None
    aligned = align(
        seen.windows, y, session, len(classes), 0.0, envelope=False, calibrated=calibrated, usable=usable
    )  # fmt: skip
    found = of(aligned.scaled)
    n_sessions = int(session.max()) + 1
    effects = session_effects(found[usable], y[usable], session[usable], len(classes), n_sessions)
    centred = found - effects[session].astype(np.float32)
    weights, of_training = np.ones(len(y)), usable
    if calibrated:
        of_training = usable & (session < n_sessions - 1)
        last = session == n_sessions - 1
        weights[last] = max(1.0, CALIBRATION_PART * of_training.sum() / (last & usable).sum())
    shares = class_shares(y[of_training], len(classes), BRANCH_BALANCE)
    arrays = fit_discriminant(centred[usable], y[usable], weights[usable], shares)
    centre = effects[-1] if calibrated else effects.mean(axis=0)
    scaled = (unseen.windows - aligned.offset[:, None]) * aligned.gain[:, None]
    scores = (of(scaled) - centre).astype(np.float64) @ arrays["lda_coef"].T + arrays["lda_intercept"]
    return _figures(_truth(classes, unseen), scores, unseen)


def _windows(classifier: Classifier, session: LabelledSamples) -> WindowSet:
    return make_windows([session], classifier.channels, classifier.conditioning, classifier.window)


def _truth(classes: Sequence[str], data: WindowSet) -> NDArray[np.int64]:
    return np.searchsorted(np.array(classes), data.labels).astype(np.int64)


def _figures(truth: NDArray[np.int64], scores: NDArray[np.floating], data: WindowSet) -> Row:
    """Return the values of ``COLUMNS`` in percent; ``scores`` ``(N, K)`` are largest at the predicted class."""
    predicted, n_classes = scores.argmax(axis=1), scores.shape[1]
    all_of_it = score(truth, predicted, n_classes)
    trimmed = score_trimmed(truth, predicted, data.into_stretch_ms, n_classes)
    values = (all_of_it.accuracy, all_of_it.balanced_accuracy, all_of_it.macro_f1, trimmed.accuracy, trimmed.macro_f1)
    return [100 * value for value in values]


def _means(rows: dict[str, list[Row]]) -> None:
    for name, each in rows.items():
        _line(f"mean of {len(each)}, {name}", list(np.mean(each, axis=0)))


def _line(what: str, values: Sequence[float]) -> None:
    print(f"{what:<62}" + "".join(f"{value:>13.1f}" for value in values), flush=True)


if __name__ == "__main__":
    fire.Fire({"branches": branches, "features": features, "few": few, "rolls": rolls, "times": times})
