"""The protocols of the recognition benchmark: what is fitted on which part of a person's recordings, and what tests it.

Session 3 is divided first: *calibration* is the first stretch of each gesture (10 s of rest, 5 s of the others), the
*test* is the rest of it, in every protocol across sessions, with a calibration or without.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from semg.domain import ClassifierKind
from semg.recordings.csv_format import read_recording
from semg.signals.dataset import LabelledSamples, make_windows
from semg.signals.model.adaptation import Adapter
from semg.signals.model.classifier import Classifier
from semg.signals.model.electrode_rotation import Rotation
from semg.signals.training.calibration import reliability
from semg.signals.training.population_prior import PopulationPrior
from semg.signals.training.report import figures
from semg.signals.training.train import fit
from semg.signals.training.trainer import follow

TUNED_ON = ("10000", "12378", "12548", "19999", "26082", "40052")


@dataclass(frozen=True, slots=True)
class Person:
    """Sessions 1 and 2, and session 3 divided."""

    name: str
    learned: tuple[LabelledSamples, ...]
    calibration: LabelledSamples
    test: LabelledSamples
    third: LabelledSamples


def load_person(folder: Path, name: str, ending: str = "-3.csv.gz") -> Person:
    """Return a person's recordings."""
    one, two = (read_recording(folder / f"myo_{name}-{session}.csv.gz") for session in (1, 2))
    third = read_recording(folder / f"myo_{name}{ending}")
    first = first_repetitions(third, 1)
    others = [i for i in range(len(third.stretches)) if i not in first]
    return Person(name, (one, two), keep(third, first), keep(third, others), third)


def first_repetitions(session: LabelledSamples, count: int, skip: int = 0) -> set[int]:
    """Return the numbers of each gesture's stretches from ``skip`` on, ``count`` of them, in the order of recording."""
    ids = list(dict.fromkeys(session.stretch[session.stretch >= 0].tolist()))
    seen: dict[str, int] = {}
    chosen = set()
    for i in ids:
        label = session.stretches[i].label
        place = seen.get(label, 0)
        seen[label] = place + 1
        if skip <= place < skip + count:
            chosen.add(i)
    return chosen


def keep(session: LabelledSamples, stretches: Iterable[int]) -> LabelledSamples:
    """Return the samples of some stretches only; what was cut out is a gap, as in a file."""
    mask = np.isin(session.stretch, sorted(stretches))
    rows = np.flatnonzero(mask)
    starts = session.starts_run[rows].copy()
    starts[1:] |= np.diff(rows) > 1
    starts[:1] = True
    return replace(session, samples=session.samples[rows], starts_run=starts, stretch=session.stretch[rows])


def turned(session: LabelledSamples, turn: Rotation) -> LabelledSamples:
    """Return a session as if the band had been worn turned: the same channel names, other electrodes."""
    return replace(session, samples=np.ascontiguousarray(session.samples[:, list(turn)]))


def tried(classifier: Classifier, test: LabelledSamples, *, adapt: bool = True) -> dict[str, float]:
    """Return percentages: accuracy, balanced, macro-F1, trimmed accuracy and macro-F1, calibration error; and windows.

    With ``adapt`` the classifier follows the test's stream as live; otherwise it stays as it is stored.
    """
    data = make_windows([test], classifier.channels, classifier.conditioning, classifier.window)
    probabilities = follow(classifier, data) if adapt else classifier.predict_proba(data.windows)
    found = figures(classifier.classes, data, probabilities).as_json()
    truth = np.searchsorted(np.array(classifier.classes), data.labels).astype(np.int64)
    values = {name: 100 * found[name] for name in ("accuracy", "balanced_accuracy", "macro_f1")}
    values |= {f"trimmed_{name}": 100 * found["trimmed"][name] for name in ("accuracy", "macro_f1")}
    return values | {
        "calibration_error": 100 * (reliability(truth, probabilities).calibration_error or 0.0),
        "windows": float(found["windows"]),
        "chance": 100 * found["chance"],
    }


def within(person: Person, kind: ClassifierKind, seed: int) -> dict[str, float]:
    """Fit on session 3 without the last repetition of each gesture and every fifth before it, try on those."""
    session = person.third
    by_label: dict[str, list[int]] = {}
    for i in dict.fromkeys(session.stretch[session.stretch >= 0].tolist()):
        by_label.setdefault(session.stretches[i].label, []).append(i)
    held = {i for ids in by_label.values() for i in ids[::-1][::5]}
    rest = [i for i in range(len(session.stretches)) if i not in held]
    return tried(fit([keep(session, rest)], kind, seed=seed), keep(session, held))


def few(
    person: Person, repetitions: int, kind: ClassifierKind, seed: int, base: PopulationPrior | None
) -> dict[str, float]:
    """Fit on the first repetitions of each gesture of session 3, try on those from the fourth on."""
    session = person.third
    learned, test = first_repetitions(session, repetitions), first_repetitions(session, 10_000, 3)
    classifier = fit([keep(session, learned)], kind, seed=seed, base=base)
    return tried(classifier, keep(session, test))


def times_us(classifier: Classifier, session: LabelledSamples) -> dict[str, float]:
    """Return the median time of a window in microseconds: alone and in batches of 64, frozen; and following, alone."""
    import time

    windows = make_windows([session], classifier.channels, classifier.conditioning, classifier.window).windows
    adapter = Adapter(classifier)

    def median(call: object, size: int, rounds: int) -> float:
        taken = []
        for place in range(rounds):
            first = (place * size) % (len(windows) - size)
            part: NDArray[np.float32] = windows[first : first + size]
            started = time.perf_counter()
            call(part)  # type: ignore[operator]
            taken.append(time.perf_counter() - started)
        return float(np.median(taken)) / size * 1e6

    started = time.perf_counter()
    for place in range(1000):
        adapter.predict_proba(windows[place : place + 1])
    following = (time.perf_counter() - started) * 1e3
    return {
        "alone": median(classifier.predict_proba, 1, 500),
        "of 64": median(classifier.predict_proba, 64, 60),
        "alone, following (mean)": following,
    }


def people_in(folder: Path, ending: str) -> list[str]:
    """Return the people of a folder."""
    return sorted(path.name.removeprefix("myo_").removesuffix(ending) for path in folder.glob(f"myo_*{ending}"))


def mean_of(rows: Sequence[dict[str, float]], name: str) -> float:
    """Return a figure's mean over people."""
    return float(np.mean([row[name] for row in rows]))
