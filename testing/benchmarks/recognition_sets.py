"""The data sets of the recognition benchmark, and how their recordings are read and divided.

A set's files are named ``<name>_<person>-<session>.csv.gz``. Methods are chosen on its ``tuned`` people only; everybody
else reports. A set that is added to ``DATA_SETS`` is measured by every protocol that its sessions allow.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from semg.domain import Sensor
from semg.errors import RecordingError
from semg.recordings.csv_format import read_recording
from semg.signals.dataset import LabelledSamples
from semg.signals.model.classifier import Classifier
from semg.signals.model.electrode_rotation import Rotation


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """One set of recordings.

    Attributes
    ----------
    name
        Prefix of its files.
    tuned
        People that methods may be chosen on.
    learned
        Sessions that a classifier is trained on, in time order.
    new_days
        Later sessions with the placement renewed, each tried on its own.
    postures
        Sessions in another arm posture than all of ``learned``.
    judged
        The two figures that methods are compared by: trimmed ones where labels follow a clock, ahead of the hand.
    """

    name: str
    what: str
    sensor: Sensor
    rate_hz: float
    tuned: tuple[str, ...]
    learned: tuple[str, ...]
    new_days: tuple[str, ...]
    postures: tuple[str, ...] = ()
    judged: tuple[str, str] = ("balanced_accuracy", "macro_f1")

    def path(self, folder: Path, person: str, session: str) -> Path:
        """Return the file of a person's session."""
        return folder / f"{self.name}_{person}-{session}.csv.gz"

    def people(self, folder: Path) -> list[str]:
        """Return the people of a folder who have every session."""
        last = f"-{self.new_days[-1]}.csv.gz"
        names = sorted(
            p.name.removeprefix(f"{self.name}_").removesuffix(last) for p in folder.glob(f"{self.name}_*{last}")
        )
        sessions = (*self.learned, *self.new_days, *self.postures)
        return [name for name in names if all(self.path(folder, name, session).is_file() for session in sessions)]


DATA_SETS = (
    DataSet(
        name="myo",
        what="band, 8 channels, raw",
        sensor="raw",
        rate_hz=200.0,
        tuned=("10000", "12378", "12548", "19999", "26082", "40052"),
        learned=("1", "2"),
        new_days=("3",),
        judged=("trimmed_accuracy", "trimmed_macro_f1"),
    ),
    DataSet(
        name="unibo",
        what="4 electrodes, envelope",
        sensor="envelope",
        rate_hz=500.0,
        tuned=("1", "2"),
        learned=("1", "2", "3", "4", "5"),
        new_days=("6", "7", "8"),
        postures=("5p3",),
    ),
)


@dataclass
class Person:
    """One person of a set; recordings are read when they are asked for, and kept.

    Attributes
    ----------
    fitted
        Classifiers fitted on ``learned`` by kind and seed, for the protocols that share them.
    """

    name: str
    of: DataSet
    folder: Path
    fitted: dict[tuple[str, int], Classifier] = field(default_factory=dict)
    _read: dict[str, LabelledSamples] = field(default_factory=dict)

    def recording(self, session: str) -> LabelledSamples:
        """Return a session.

        Raises
        ------
        RecordingError
            When the file has another rate than the set.
        """
        if session not in self._read:
            path = self.of.path(self.folder, self.name, session)
            read = read_recording(path, sensor=self.of.sensor)
            if abs(read.rate_hz - self.of.rate_hz) > 0.02 * self.of.rate_hz:
                raise RecordingError(f"{path.name}: expected {self.of.rate_hz:g} Hz, got {read.rate_hz:g} Hz.")
            self._read[session] = read
        return self._read[session]

    @property
    def learned(self) -> tuple[LabelledSamples, ...]:
        """The sessions to train on."""
        return tuple(self.recording(session) for session in self.of.learned)

    @property
    def everything(self) -> tuple[LabelledSamples, ...]:
        """Every session in the usual posture."""
        return (*self.learned, *(self.recording(session) for session in self.of.new_days))

    def divided(self, session: str) -> tuple[LabelledSamples, LabelledSamples]:
        """Return a new session's calibration, the first stretch of each gesture, and its test, the rest of it."""
        whole = self.recording(session)
        first = first_repetitions(whole, 1)
        return keep(whole, first), keep(whole, [i for i in range(len(whole.stretches)) if i not in first])

    @property
    def calibration(self) -> LabelledSamples:
        """The calibration of the first new day."""
        return self.divided(self.of.new_days[0])[0]

    @property
    def test(self) -> LabelledSamples:
        """The test of the first new day."""
        return self.divided(self.of.new_days[0])[1]


def first_repetitions(session: LabelledSamples, count: int, skip: int = 0) -> set[int]:
    """Return the numbers of each gesture's stretches from ``skip`` on, ``count`` of them, in the order of recording."""
    chosen: set[int] = set()
    for ids in stretches_of(session).values():
        chosen.update(ids[skip : skip + count])
    return chosen


def stretches_of(session: LabelledSamples) -> dict[str, list[int]]:
    """Return the numbers of each gesture's stretches in the order of recording."""
    by_label: dict[str, list[int]] = {}
    for i in dict.fromkeys(session.stretch[session.stretch >= 0].tolist()):
        by_label.setdefault(session.stretches[i].label, []).append(i)
    return by_label


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


def people_of(data_set: DataSet, folder: Path, only: str = "all") -> list[Person]:
    """Return the people of a group: ``tuned``, ``reported`` or ``all``."""
    if only not in ("all", "tuned", "reported"):
        sys.exit(f"--only must be all, tuned or reported, got {only!r}.")
    names = data_set.people(folder)
    return [Person(n, data_set, folder) for n in names if only == "all" or (n in data_set.tuned) == (only == "tuned")]


def named(values: str | Sequence[str], known: Iterable[str], option: str) -> list[str]:
    """Return an option's values, comma separated, checked against those that are known."""
    given = [str(each) for each in (values.split(",") if isinstance(values, str) else values)]
    known = list(known)
    if given == ["all"]:
        return known
    if unknown := sorted(set(given) - set(known)):
        sys.exit(f"{option}: no {', '.join(unknown)}; there are {', '.join(known)}.")
    return given
