"""Population priors of a new person's features, from other people's data (called "base" in files and tables).

A prior keeps the statistics of each person separately, so that any person can be left out: a training never uses a
prior with its own person's data, and a withdrawn consent takes effect at once. Priors hold no samples and no windows.
The model is hierarchical: windows scatter around the mean of their repetition, repetitions around their gesture's,
and people around the gesture of the same name. A person's few repetitions are combined with it (the closed form of a
Gaussian prior with a Gaussian likelihood); the more repetitions there are, the less the prior counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from semg.domain import ConditioningSpec, WindowSpec
from semg.errors import ArtifactError
from semg.signals.dataset import LabelledSamples
from semg.signals.features import choose_crossover_hz
from semg.signals.model.electrode_rotation import RotationModel, band_feature_indices, feature_indices
from semg.signals.training.alignment import Aligned
from semg.signals.training.covariance import shrink
from semg.signals.training.options import TrainingOptions

FORMAT = "semg-base-2"
MAX_BASE_BYTES = 512 * 2**20
BASE_REPETITIONS = 3.0
"""Number of repetitions of a gesture at which a person's own scatter counts as much as the prior's."""
WINDOWS_A_REPETITION = 20.0
"""Effective number of independent windows in a repetition, as measured by few-shot trainings."""
RIDGE = 0.05
"""Part by which every covariance of people is shrunk."""
PREDICTIVE_PART = 0.5
"""Fraction of the predictive scatter used to train the dense branch; all of it would blur well separated gestures."""


@dataclass(frozen=True, slots=True)
class PersonStatistics:
    """One person's contribution to a population prior.

    Attributes
    ----------
    name
        A profile's number, or the common part of the recordings' names.
    digests
        Of each recording included, so that nobody is tested with a prior that holds their data.
    classes
        Gesture names in the order of the means.
    within, repetition
        ``(F, F)``: scatter of windows around their repetition, and of repetitions around their gesture.
    means
        ``(K, F)``, centred.
    turn_means, turn_covariance
        As in ``RotationModel``: for rotating people's bands into a common channel order.
    """

    name: str
    digests: tuple[str, ...]
    classes: tuple[str, ...]
    n_repetitions: int
    within: NDArray[np.float64] = field(repr=False)
    repetition: NDArray[np.float64] = field(repr=False)
    means: NDArray[np.float64] = field(repr=False)
    turn_means: NDArray[np.float64] = field(repr=False)
    turn_covariance: NDArray[np.float64] = field(repr=False)


def person_statistics(
    name: str,
    digests: Sequence[str],
    classes: Sequence[str],
    aligned: Aligned,
    y: NDArray[np.int64],
    stretch: NDArray[np.int32],
    session: NDArray[np.int64],
    usable: NDArray[np.bool_],
) -> PersonStatistics:
    """Return a person's statistics from aligned sessions; arguments as ``align``, ``stretch`` numbers repetitions."""
    features = aligned.features[usable].astype(np.float64)
    y, stretch, session = y[usable], stretch[usable], session[usable]
    size, n_classes = features.shape[1], len(classes)
    ids, index = np.unique(stretch, return_inverse=True)
    of_repetition = np.zeros((len(ids), size))
    np.add.at(of_repetition, index, features)
    of_repetition /= np.bincount(index)[:, None]
    first = np.unique(index, return_index=True)[1]
    rep_y, rep_session = y[first], session[first]
    means = np.stack([of_repetition[rep_y == k].mean(axis=0) for k in range(n_classes)])
    residuals = features - of_repetition[index]
    within = np.mean([_scatter(residuals[y == k], 0) for k in range(n_classes)], axis=0)
    between = []
    for s in np.unique(rep_session):
        for k in range(n_classes):
            mine = of_repetition[(rep_y == k) & (rep_session == s)]
            if len(mine) > 1:
                between.append(_scatter(mine - mine.mean(axis=0), 1))
    repetition = np.mean(between, axis=0) if between else np.zeros((size, size))
    return PersonStatistics(
        name,
        tuple(digests),
        tuple(classes),
        len(ids),
        within,
        repetition,
        means - means.mean(axis=0),
        aligned.rotation_model.means.astype(np.float64),
        np.linalg.inv(aligned.rotation_model.precision.astype(np.float64)),
    )


def _scatter(residuals: NDArray[np.float64], lost: int) -> NDArray[np.float64]:
    return np.asarray(residuals.T @ residuals / max(1, len(residuals) - lost))


def specs_of(session: LabelledSamples, options: TrainingOptions) -> tuple[WindowSpec, ConditioningSpec]:
    """Return the window and conditioning specs of a training on a session."""
    conditioning = ConditioningSpec(session.sensor, session.rate_hz, session.mains_hz)
    return WindowSpec(session.rate_hz, options.window_ms, options.hop_ms, options.settle_ms), conditioning


@dataclass(frozen=True, slots=True)
class ClassPrior:
    """Prior of one training, in that training's order of channels and classes.

    Attributes
    ----------
    covariance, repetition, between
        ``(F, F)``: covariance of windows within a repetition, of repetitions, of a class's mean between people.
    means
        ``(K, F)``: of each class; the common mean (0) for a class that is not in the prior.
    repetitions
        Number of repetitions of each gesture that the person has.
    """

    covariance: NDArray[np.float64]
    repetition: NDArray[np.float64]
    between: NDArray[np.float64]
    means: NDArray[np.float64]
    repetitions: float

    def update(
        self, covariance: NDArray[np.float64], means: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the posterior covariance and class means, given those of a person's own windows."""
        part = BASE_REPETITIONS / (BASE_REPETITIONS + max(1.0, self.repetitions))
        moved, unsure = self._weighed(means)
        return (1 - part) * covariance + part * (self.covariance + self.repetition) + unsure, moved

    def predictive(self, means: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the class means of ``update``, and the predictive covariance of future repetitions around them."""
        moved, unsure = self._weighed(means)
        return moved, PREDICTIVE_PART * shrink(self.repetition + unsure, RIDGE)

    def _weighed(self, means: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the posterior class means, and the posterior covariance of these means."""
        noise = (self.repetition + self.covariance / WINDOWS_A_REPETITION) / max(1.0, self.repetitions)
        gain = np.linalg.solve(self.between + noise, self.between).T
        level = means.mean(axis=0)
        moved = level + self.means + (means - level - self.means) @ gain.T
        unsure = self.between - gain @ self.between
        return moved, (unsure + unsure.T) / 2


@dataclass(frozen=True, slots=True)
class PopulationPrior:
    """Statistics of several people, for one window and conditioning spec."""

    name: str
    window: WindowSpec
    conditioning: ConditioningSpec
    n_channels: int
    crossover: float
    people: tuple[PersonStatistics, ...]

    @staticmethod
    def of(
        name: str, session: LabelledSamples, options: TrainingOptions, people: Sequence[PersonStatistics]
    ) -> PopulationPrior:
        """Return the prior of people whose devices match that of a session."""
        window, conditioning = specs_of(session, options)
        n_channels = len(session.channels)
        crossover = 0.0
        if session.sensor != "envelope":
            crossover = choose_crossover_hz(n_channels, window.window_samples, window.rate_hz)
        return PopulationPrior(name, window, conditioning, n_channels, crossover, tuple(people))

    def fitting(self, window: WindowSpec, conditioning: ConditioningSpec, n_channels: int) -> PopulationPrior | None:
        """Return this prior when it fits a training's windows and channels, otherwise None."""
        fits = (
            n_channels == self.n_channels
            and conditioning.sensor == self.conditioning.sensor
            and window.window_samples == self.window.window_samples
            and abs(window.rate_hz - self.window.rate_hz) <= 0.01 * self.window.rate_hz
            and len(self.people) > 1
            and self.people[0].within.shape[0] == self._feature_indices(conditioning.sensor == "envelope").shape[1]
        )
        return self if fits else None

    def describe(self) -> str:
        """Return a description for people."""
        return (
            f"base {self.name} of {len(self.people)} people ({self.n_channels} channels, {self.window.rate_hz:g} Hz, "
            f"{self.conditioning.sensor}, windows of {self.window.window_ms:g} ms)"
        )

    def without(self, names: Collection[str] = (), digests: Collection[str] = ()) -> PopulationPrior:
        """Return the prior without some people, given by their names or by a recording that is included."""
        left = (p for p in self.people if p.name not in names and not set(p.digests) & set(digests))
        return replace(self, people=tuple(left))

    def prior(
        self, classes: Sequence[str], repetitions: float, rotation_model: RotationModel, envelope: bool
    ) -> ClassPrior | None:
        """Return the prior of a training; ``rotation_model`` determines how its band is worn."""
        if len(self.people) < 2:
            return None
        names, rotated = self._in_common_order(envelope)
        size = self.people[0].within.shape[0]
        count = np.zeros(len(names))
        total, rotation_sum = np.zeros((len(names), size)), np.zeros((len(names), self.people[0].turn_means.shape[1]))
        for person in rotated:
            rows = [names.index(name) for name in person.classes]
            count[rows] += 1
            total[rows] += person.means
            rotation_sum[rows] += person.turn_means
        means = total / count[:, None]
        within, repetition = (
            np.mean([getattr(person, what) for person in rotated], axis=0) for what in ("within", "repetition")
        )
        residuals = np.concatenate([p.means - means[[names.index(name) for name in p.classes]] for p in rotated])
        between = shrink(residuals.T @ residuals / max(1, len(residuals) - len(names)), RIDGE)
        gestures = np.concatenate([p.means for p in rotated])
        scatter = shrink(gestures.T @ gestures, RIDGE)
        scatter /= sum(len(p.classes) for p in rotated)
        shared = [(k, names.index(name)) for k, name in enumerate(classes) if name in names]
        own = np.zeros((len(classes), size))
        if len(shared) >= 2:
            mine, theirs = (list(each) for each in zip(*shared, strict=True))
            best = _match(
                rotation_model.means[mine],
                (rotation_sum / count[:, None])[theirs],
                rotation_model.precision,
                feature_indices(self.n_channels, envelope),
            )
            order = self._feature_indices(envelope)[best]
            own[mine] = means[theirs][:, order] - means[theirs][:, order].mean(axis=0)
            within, repetition, between, scatter = (
                each[np.ix_(order, order)] for each in (within, repetition, between, scatter)
            )
        if len(shared) < len(classes):
            between = scatter  # for a gesture of nobody else only the scatter of all gestures is known
        return ClassPrior(shrink(within, RIDGE), shrink(repetition, RIDGE), between, own, repetitions)

    def _in_common_order(self, envelope: bool) -> tuple[list[str], list[PersonStatistics]]:
        """Return the gesture names and everybody's statistics, rotated into the first person's channel order."""
        indices = feature_indices(self.n_channels, envelope)
        of_features = self._feature_indices(envelope)
        names = sorted({name for person in self.people for name in person.classes})
        precision = np.linalg.inv(np.mean([person.turn_covariance for person in self.people], axis=0))
        known: dict[str, list[NDArray[np.float64]]] = {}
        rotated = []
        for person in self.people:
            shared = [k for k, name in enumerate(person.classes) if name in known]
            best = 0
            if len(shared) >= 2:
                reference = np.stack([np.mean(known[person.classes[k]], axis=0) for k in shared])
                best = _match(reference, person.turn_means[shared], precision, indices)
            order, rotation_order = of_features[best], indices[best]
            moved = replace(
                person,
                within=person.within[np.ix_(order, order)],
                repetition=person.repetition[np.ix_(order, order)],
                means=person.means[:, order],
                turn_means=person.turn_means[:, rotation_order],
            )
            rotated.append(moved)
            for name, mean in zip(moved.classes, moved.turn_means, strict=True):
                known.setdefault(name, []).append(mean)
        return names, rotated

    def _feature_indices(self, envelope: bool) -> NDArray[np.intp]:
        return band_feature_indices(self.n_channels, 2 if self.crossover > 0 else 1, envelope)

    def to_bytes(self) -> bytes:
        """Return the stored form: safetensors with the description as JSON in its header."""
        arrays, people = {}, []
        for index, person in enumerate(self.people):
            for what in _MATRICES:
                matrix = getattr(person, what)
                kept = matrix[np.triu_indices(len(matrix))] if what in _SYMMETRIC else matrix
                arrays[f"{index}_{what}"] = np.ascontiguousarray(kept, dtype=np.float32)
            people.append({"name": person.name, "digests": person.digests, "classes": person.classes,
                           "n_repetitions": person.n_repetitions})  # fmt: skip
        described = {
            "format": FORMAT,
            "name": self.name,
            "window": asdict(self.window),
            "conditioning": asdict(self.conditioning),
            "n_channels": self.n_channels,
            "crossing": self.crossover,
            "people": people,
        }
        text = json.dumps(described, sort_keys=True)
        return bytes(save(arrays, metadata={"semg": _digest(text, arrays) + text}))

    @staticmethod
    def from_bytes(data: bytes) -> PopulationPrior:
        """Return the prior of stored bytes.

        Raises
        ------
        ArtifactError
            When the bytes are cut off, altered, too large, or of another format.
        """
        if len(data) > MAX_BASE_BYTES:
            raise ArtifactError(f"A base has at most {MAX_BASE_BYTES:,} bytes, these are {len(data):,}.")
        try:
            arrays = load(data)
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
            digest, text = header["semg"][:64], header["semg"][64:]
            if digest != _digest(text, arrays):
                raise ArtifactError("The base's digest does not match its content: the bytes were altered.")
            described = json.loads(text)
            if described.get("format") != FORMAT:
                raise ArtifactError(f"Expected a base of format {FORMAT}, got {described.get('format')!r}.")
            people = []
            for index, each in enumerate(described["people"]):
                found = {what: arrays[f"{index}_{what}"].astype(np.float64) for what in _MATRICES}
                full = {what: _square(found[what]) if what in _SYMMETRIC else found[what] for what in _MATRICES}
                if not all(np.isfinite(matrix).all() for matrix in full.values()):
                    raise ArtifactError("A base's numbers must be finite.")
                people.append(
                    PersonStatistics(
                        each["name"], tuple(each["digests"]), tuple(each["classes"]), int(each["n_repetitions"]), **full
                    )  # fmt: skip
                )
            return PopulationPrior(
                str(described["name"]),
                WindowSpec(**described["window"]),
                ConditioningSpec(**described["conditioning"]),
                int(described["n_channels"]),
                float(described["crossing"]),
                tuple(people),
            )
        except ArtifactError:
            raise
        except (
            SafetensorError,
            ArithmeticError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as exc:
            raise ArtifactError(f"The bytes are no stored base, or only a part of one ({exc}).") from exc


_MATRICES = ("within", "repetition", "means", "turn_means", "turn_covariance")
_SYMMETRIC = ("within", "repetition", "turn_covariance")


def _match(
    reference: NDArray[np.floating],
    means: NDArray[np.floating],
    precision: NDArray[np.floating],
    indices: NDArray[np.intp],
) -> int:
    """Return the index of the rotation that brings class means nearest to reference means, up to a common shift."""
    wanted = reference - reference.mean(axis=0)
    distances = []
    for order in indices:
        residuals = means[:, order] - means[:, order].mean(axis=0) - wanted
        distances.append(float(np.einsum("kf,fg,kg->", residuals, precision, residuals)))
    return int(np.argmin(distances))


def _square(upper: NDArray[np.float64]) -> NDArray[np.float64]:
    size = int((np.sqrt(8 * len(upper) + 1) - 1) / 2)
    if size * (size + 1) // 2 != len(upper):
        raise ValueError("a matrix has an impossible number of values")
    full = np.zeros((size, size))
    full[np.triu_indices(size)] = upper
    return full + np.triu(full, 1).T


def _digest(text: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        digest.update(f"|{name}|{arrays[name].shape}|".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
