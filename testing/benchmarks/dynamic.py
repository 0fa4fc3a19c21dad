"""Short dynamic gestures: one decision a performance, by several methods on the same trials in the same run.

    python testing/benchmarks/dynamic.py --recordings DIR [--only tuned|reported] [--source held,simulated]

No recording of a real snap, tap or flick is at hand. Two stand-ins, and neither is a claim about real ones:

- ``held``: the onsets of the seven **held** gestures of the band recordings (``recognition_sets``), each trial cut
  from its onset as if the gesture were dynamic. It tells whether onsets are found in real signals.
- ``simulated``: a synthetic forearm (``semg.signals.synthesis``) that performs a snap, a tap, a double tap and a flick
  beside three held gestures. Tap and double tap use the same muscles: only the course tells them apart.

Trained on two sessions and 0, 1 or 3 repetitions of a third, tried on the third from its fourth repetition on, the same
performances each time. A performance that no trial began in counts as wrong with every method. ``tuned`` people (and
arms 0 to 5) are those that the method was chosen on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import fire
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from semg.domain import REST, ConditioningSpec, WindowSpec  # noqa: E402
from semg.signals.dataset import LabelledSamples, grid_windows  # noqa: E402
from semg.signals.features import log_covariance  # noqa: E402
from semg.signals.model.dynamic import (  # noqa: E402
    SEGMENTS,
    Arrays,
    Thresholds,
    TrialSpec,
    energy_course,
    trial_features,
)
from semg.signals.model.forward import softmax  # noqa: E402
from semg.signals.training.dynamic_fit import DynamicSet, dynamic_set, fit_dynamic, fit_trials  # noqa: E402
from semg.signals.training.dynamic_trials import Trials, find_trials  # noqa: E402
from semg.signals.training.train import fit  # noqa: E402
from testing.benchmarks.recognition_sets import DATA_SETS, first_repetitions, keep, people_of  # noqa: E402
from testing.benchmarks.recognition_tables import interval, sign_flip_p  # noqa: E402
from testing.kits.short_gestures import marked, short_recording  # noqa: E402

PRODUCT, BASELINE = "course + covariance", "windows of stretches, mean"
ARMS = {"tuned": range(6), "reported": range(6, 12), "all": range(12)}
REPETITIONS = (0, 1, 3)
DTW_STEPS, NEIGHBOURS = 12, 3
Features = Callable[[NDArray[np.float32]], NDArray[np.float32]]
FEATURES: dict[str, Features] = {
    PRODUCT: lambda trials: trial_features(trials, False),
    "course": lambda trials: energy_course(trials, SEGMENTS),
    "covariance": log_covariance,
    "covariance of thirds": lambda trials: np.concatenate(
        [log_covariance(each) for each in np.array_split(trials, 3, axis=2)], axis=1
    ),
}


@dataclass(frozen=True, slots=True)
class Wearer:
    """One person or simulated arm: sessions in time order, whose performances are marked as dynamic."""

    name: str
    sessions: tuple[LabelledSamples, ...]


def held_onsets(recordings: str, only: str) -> Iterator[Wearer]:
    """Yield the people of the band set, with every held gesture as if it were dynamic."""
    band = next(each for each in DATA_SETS if each.name == "myo")
    for person in people_of(band, Path(recordings), only):
        yield Wearer(person.name, tuple(marked(each, lambda label: label != REST) for each in person.everything))


def simulated(only: str) -> Iterator[Wearer]:
    """Yield simulated arms with three sittings each."""
    for seed in ARMS[only]:
        yield Wearer(f"arm {seed}", tuple(short_recording(seed, index).labelled for index in (1, 2, 3)))


def only_labelled(session: LabelledSamples, stretches: set[int]) -> LabelledSamples:
    """Return a session in which only some stretches are labelled; what comes before an onset stays heard."""
    chosen = np.isin(session.stretch, sorted(stretches))
    return replace(session, stretch=np.where(chosen, session.stretch, -1).astype(np.int32))


def try_wearer(wearer: Wearer, repetitions: int) -> dict[str, dict[str, float]]:
    """Return each method's figures on one person's third session, and those of the onsets under ``onsets``."""
    *learned, new = wearer.sessions
    seen = first_repetitions(new, repetitions) if repetitions else set()
    calibration = only_labelled(new, seen) if seen else None
    test = only_labelled(new, set(range(len(new.stretches))) - first_repetitions(new, max(REPETITIONS)))
    conditioning, window = ConditioningSpec("raw", new.rate_hz, new.mains_hz), WindowSpec(new.rate_hz)
    data = dynamic_set(learned, calibration, new.channels, conditioning, window)
    assert data is not None
    spec, arrays = fit_dynamic(data)
    thresholds = Thresholds.of(arrays)
    known = find_trials(data.grids, arrays, window, data.spec, thresholds)
    known = known.select(np.isin(known.labels, spec.classes))
    tested = dynamic_set([test], None, new.channels, conditioning, window)
    assert tested is not None
    trials = find_trials(tested.grids, arrays, window, data.spec, thresholds)
    y = np.array([spec.classes.index(label) for label in known.labels], np.int64)
    newest = known.session == len(data.grids) - 1 if calibration is not None else None
    scores: dict[str, NDArray[np.float32]] = {}
    for name, features in FEATURES.items():
        fitted = fit_trials(features(known.signals), y, known.session, newest)
        scores[name] = _discriminant(fitted, features(trials.signals))
    scores["time warping"] = warped(known.signals, y, trials.signals)
    scores["windows of trials, mean"] = _windows_of_trials(data, spec, arrays, known, y, newest, tested, trials)
    scores[BASELINE] = _windows_of_stretches(learned, keep(new, seen) if seen else None, spec, test, trials, window)
    return {name: _figures(each, spec, test, trials) for name, each in scores.items()} | {
        "onsets": _onsets(spec, test, trials)
    }


def warped(known: NDArray[np.float32], y: NDArray[np.int64], trials: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return for each trial the negative mean distance of each class's nearest courses, after dynamic time warping."""
    courses, others = (
        energy_course(each, DTW_STEPS).reshape(len(each), DTW_STEPS, -1).astype(np.float64) for each in (known, trials)
    )
    found = np.zeros((len(trials), int(y.max()) + 1), np.float32)
    for row, other in zip(found, others, strict=True):
        distance = np.sqrt(np.square(courses[:, :, None] - other[None, None]).sum(axis=-1))
        path = np.full((len(courses), DTW_STEPS + 1, DTW_STEPS + 1), np.inf)
        path[:, 0, 0] = 0.0
        for a in range(DTW_STEPS):
            for b in range(DTW_STEPS):
                least = np.minimum(np.minimum(path[:, a, b + 1], path[:, a + 1, b]), path[:, a, b])
                path[:, a + 1, b + 1] = distance[:, a, b] + least
        for k in range(len(row)):
            row[k] = -np.sort(path[y == k, -1, -1])[:NEIGHBOURS].mean()
    return found


def _discriminant(fitted: Arrays, features: NDArray[np.float32]) -> NDArray[np.float32]:
    scores = (features - fitted["dynamic_centre"]) @ fitted["dynamic_coef"].T + fitted["dynamic_intercept"]
    return softmax(scores)


def _windows_of_trials(
    data: DynamicSet, spec: TrialSpec, arrays: Arrays, known: Trials, y: NDArray[np.int64],
    newest: NDArray[np.bool_] | None, tested: DynamicSet, trials: Trials,
) -> NDArray[np.float32]:  # fmt: skip
    """Return the mean probability over a trial's windows, of log-covariance + LDA fitted on the windows of trials."""
    length, hop = data.window.window_samples, data.window.hop_samples

    def cut(signals: NDArray[np.float32]) -> NDArray[np.float32]:
        starts = range(0, signals.shape[2] - length + 1, hop)
        return np.stack([signals[:, :, start : start + length] for start in starts], axis=1)

    own, other = cut(known.signals), cut(trials.signals)
    n = own.shape[1]
    fitted = fit_trials(
        log_covariance(own.reshape(-1, *own.shape[2:])), y.repeat(n), known.session.repeat(n),
        None if newest is None else newest.repeat(n),
    )  # fmt: skip
    rows = _discriminant(fitted, log_covariance(other.reshape(-1, *other.shape[2:])))
    return np.asarray(rows.reshape(len(trials), n, -1).mean(axis=1))


def _windows_of_stretches(
    learned: Sequence[LabelledSamples], calibration: LabelledSamples | None, spec: TrialSpec, test: LabelledSamples,
    trials: Trials, window: WindowSpec,
) -> NDArray[np.float32]:  # fmt: skip
    """Return the mean probability over the windows behind an onset, of log-covariance + LDA fitted as for held ones."""
    plain = [marked(each, lambda _: False) for each in learned]
    classifier = fit(
        plain, "logcov_lda", calibration=None if calibration is None else marked(calibration, lambda _: False)
    )
    windows, ends = grid_windows(test, classifier.channels, classifier.conditioning, classifier.window)
    after = spec.after_hops
    first = np.searchsorted(ends, trials.onset + window.window_samples - window.hop_samples)
    last = np.searchsorted(ends, trials.onset + after * window.hop_samples)
    columns = [classifier.classes.index(name) for name in spec.classes]
    rows = [classifier.predict_proba(windows[a : b + 1]).mean(axis=0) for a, b in zip(first, last, strict=True)]
    return np.array(rows)[:, columns]


def _figures(scores: NDArray[np.float32], spec: TrialSpec, test: LabelledSamples, trials: Trials) -> dict[str, float]:
    """Return the balanced accuracy of performances, and how many other onsets were called a dynamic gesture."""
    named = scores.argmax(axis=1)
    recall: dict[str, list[bool]] = {}
    for index in np.unique(test.stretch[test.stretch >= 0]).tolist():
        one = test.stretches[index]
        if one.dynamic:
            at = np.flatnonzero(trials.stretch == index)
            recall.setdefault(one.label, []).append(len(at) > 0 and spec.classes[named[at[0]]] == one.label)
    others = ~np.isin(trials.labels, [*spec.dynamic, ""])
    wrong = float((named[others] < spec.n_dynamic).mean()) if others.any() else np.nan
    return {
        "balanced": 100 * float(np.mean([np.mean(each) for each in recall.values()])),
        "performances": float(sum(map(len, recall.values()))),
        "others": 100 * wrong,
    }


def _onsets(spec: TrialSpec, test: LabelledSamples, trials: Trials) -> dict[str, float]:
    """Return the performances without an onset and with several, and the onsets in a minute of rest."""
    counts = {
        index: int((trials.stretch == index).sum()) for index in np.unique(test.stretch[test.stretch >= 0]).tolist()
    }
    own = [n for index, n in counts.items() if test.stretches[index].dynamic]
    resting = [index for index in counts if test.stretches[index].label == REST]
    minutes = float(np.isin(test.stretch, resting).sum()) / test.rate_hz / 60
    return {
        "performances": float(len(own)),
        "missed": float(sum(n == 0 for n in own)),
        "doubled": float(sum(n > 1 for n in own)),
        "rest_per_min": sum(counts[index] for index in resting) / minutes,
    }


def show(source: str, repetitions: int, found: dict[str, dict[str, dict[str, float]]]) -> Iterator[str]:
    """Yield a table of one source and number of repetitions, methods over people."""
    people = list(found)
    onsets = [found[person]["onsets"] for person in people]
    missed, doubled, n = (int(sum(each[k] for each in onsets)) for k in ("missed", "doubled", "performances"))
    rest = float(np.mean([each["rest_per_min"] for each in onsets]))
    yield f"\n### {source}, {repetitions} repetitions of the new session: {len(people)} people, {n} performances"
    yield f"Onsets: {missed} missed, {doubled} doubled, {rest:.1f} a minute of rest\n"
    yield "| method | balanced [95 %] | worst | other onsets called dynamic | product's lead (p) | each |"
    yield "|---|---|---|---|---|---|"
    product = np.array([found[person][PRODUCT]["balanced"] for person in people])
    for method in (name for name in found[people[0]] if name != "onsets"):
        values = np.array([found[person][method]["balanced"] for person in people])
        low, high = interval(values)
        others = float(np.nanmean([found[person][method]["others"] for person in people]))
        lead = product - values
        each = " ".join(f"{value:.0f}" for value in values)
        yield (
            f"| {method} | {values.mean():.1f} [{low:.1f}, {high:.1f}] | {values.min():.1f} | {others:.1f} "
            f"| {lead.mean():+.1f} ({sign_flip_p(lead):.2f}) | {each} |"
        )


def main(recordings: str = "", only: str = "all", source: str = "held,simulated") -> None:
    """Print the tables of the sources that are named; ``held`` needs the recordings."""
    for name in source if isinstance(source, tuple | list) else str(source).split(","):
        wearers = list(held_onsets(recordings, only) if name == "held" else simulated(only))
        if not wearers:
            sys.exit(f"No recordings of the band set in {recordings!r}.")
        for repetitions in REPETITIONS:
            found = {each.name: try_wearer(each, repetitions) for each in wearers}
            print("\n".join(show(name, repetitions, found)), flush=True)  # noqa: T201


if __name__ == "__main__":
    fire.Fire(main)
