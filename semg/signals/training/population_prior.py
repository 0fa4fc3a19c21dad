"""Population priors: what other people's data say beforehand of a new person's features ("base" in files and tables).

A prior keeps statistics of each person by itself, so that any of them can be left out: a training never starts from
its own person's data, and a consent that was withdrawn takes effect at once. Priors hold no samples and no windows.
The model is hierarchical: windows scatter around the mean of their repetition, repetitions around their gesture's,
and people around the gesture of the same name. A person's few repetitions are weighed against that (the closed form
of a Gaussian prior with a Gaussian likelihood); the more repetitions there are, the less the prior says.
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
"""With so many repetitions of a gesture a person's own scatter counts as much as the base's."""
WINDOWS_A_REPETITION = 20.0
"""About so many windows of a repetition are independent of each other, as measured by few-shot trainings."""
RIDGE = 0.05
"""Part by which every covariance of people is shrunk."""
PREDICTIVE_PART = 0.5
"""Of the scatter of repetitions, with which the dense branch is trained; all of it costs what is easy to tell apart."""


@dataclass(frozen=True, slots=True)
class PersonStatistics:
    """One person's part of a base.

    Attributes
    ----------
    name
        Who: a profile's number, or what the names of the recordings have in common.
    digests
        Of each recording that went in, so that nobody is tested on a base that holds them.
    classes
        Gesture names in the order of the means.
    within, repetition
        ``(F, F)``: scatter of windows around their repetition, and of repetitions around their gesture.
    means
        ``(K, F)``, centred.
    turn_means, turn_covariance
        As ``RotationModel``: for bringing people's bands into one order.
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
    """Return a person's statistics from aligned sessions; arguments as ``align``, ``stretch`` tells repetitions."""
    features = aligned.features[usable].astype(np.float64)
    y, stretch, session = y[usable], stretch[usable], session[usable]
    size, n_classes = features.shape[1], len(classes)
    ids, place = np.unique(stretch, return_inverse=True)
    of_repetition = np.zeros((len(ids), size))
    np.add.at(of_repetition, place, features)
    of_repetition /= np.bincount(place)[:, None]
    first = np.unique(place, return_index=True)[1]
    rep_y, rep_session = y[first], session[first]
    means = np.stack([of_repetition[rep_y == k].mean(axis=0) for k in range(n_classes)])
    apart = features - of_repetition[place]
    within = np.mean([_scatter(apart[y == k], 0) for k in range(n_classes)], axis=0)
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
        aligned.turn_model.means.astype(np.float64),
        np.linalg.inv(aligned.turn_model.precision.astype(np.float64)),
    )


def _scatter(apart: NDArray[np.float64], lost: int) -> NDArray[np.float64]:
    return np.asarray(apart.T @ apart / max(1, len(apart) - lost))


def specs_of(session: LabelledSamples, options: TrainingOptions) -> tuple[WindowSpec, ConditioningSpec]:
    """Return how a training on a session cuts and conditions its windows."""
    conditioning = ConditioningSpec(session.sensor, session.rate_hz, session.mains_hz)
    return WindowSpec(session.rate_hz, options.window_ms, options.hop_ms, options.settle_ms), conditioning


@dataclass(frozen=True, slots=True)
class ClassPrior:
    """What a base says of one training, in that training's order of channels and of classes.

    Attributes
    ----------
    covariance, repetition, between
        ``(F, F)``: scatter of windows inside a repetition, of repetitions, of a class's mean between people.
    means
        ``(K, F)``: of each class; the common mean (0) for a class that the base does not know.
    repetitions
        How many of each gesture the person has.
    """

    covariance: NDArray[np.float64]
    repetition: NDArray[np.float64]
    between: NDArray[np.float64]
    means: NDArray[np.float64]
    repetitions: float

    def update(
        self, covariance: NDArray[np.float64], means: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return covariance and class means of a person's own windows, weighed against the base."""
        part = BASE_REPETITIONS / (BASE_REPETITIONS + max(1.0, self.repetitions))
        moved, unsure = self._weighed(means)
        return (1 - part) * covariance + part * (self.covariance + self.repetition) + unsure, moved

    def predictive(self, means: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return class means as ``update``, and how repetitions that are still to come will scatter around them."""
        moved, unsure = self._weighed(means)
        return moved, PREDICTIVE_PART * shrink(self.repetition + unsure, RIDGE)

    def _weighed(self, means: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the class means weighed against the base's, and the covariance of what is not known of them."""
        noise = (self.repetition + self.covariance / WINDOWS_A_REPETITION) / max(1.0, self.repetitions)
        gain = np.linalg.solve(self.between + noise, self.between).T
        level = means.mean(axis=0)
        moved = level + self.means + (means - level - self.means) @ gain.T
        unsure = self.between - gain @ self.between
        return moved, (unsure + unsure.T) / 2


@dataclass(frozen=True, slots=True)
class PopulationPrior:
    """Statistics of several people, for one way of cutting and conditioning windows."""

    name: str
    window: WindowSpec
    conditioning: ConditioningSpec
    n_channels: int
    crossing: float
    people: tuple[PersonStatistics, ...]

    @staticmethod
    def of(
        name: str, session: LabelledSamples, options: TrainingOptions, people: Sequence[PersonStatistics]
    ) -> PopulationPrior:
        """Return the base of people whose devices are like that of a session."""
        window, conditioning = specs_of(session, options)
        n_channels = len(session.channels)
        crossing = 0.0
        if session.sensor != "envelope":
            crossing = choose_crossover_hz(n_channels, window.window_samples, window.rate_hz)
        return PopulationPrior(name, window, conditioning, n_channels, crossing, tuple(people))

    def fitting(self, window: WindowSpec, conditioning: ConditioningSpec, n_channels: int) -> PopulationPrior | None:
        """Return this base when it fits a training's windows and channels, else None."""
        fits = (
            n_channels == self.n_channels
            and conditioning.sensor == self.conditioning.sensor
            and window.window_samples == self.window.window_samples
            and abs(window.rate_hz - self.window.rate_hz) <= 0.01 * self.window.rate_hz
            and len(self.people) > 1
        )
        return self if fits else None

    def describe(self) -> str:
        """Return in words what it was made of."""
        return (
            f"base {self.name} of {len(self.people)} people ({self.n_channels} channels, {self.window.rate_hz:g} Hz, "
            f"{self.conditioning.sensor}, windows of {self.window.window_ms:g} ms)"
        )

    def without(self, names: Collection[str] = (), digests: Collection[str] = ()) -> PopulationPrior:
        """Return the base without some people: by their name, or because a recording of theirs went in."""
        left = (p for p in self.people if p.name not in names and not set(p.digests) & set(digests))
        return replace(self, people=tuple(left))

    def prior(
        self, classes: Sequence[str], repetitions: float, turn_model: RotationModel, envelope: bool
    ) -> ClassPrior | None:
        """Return what this base says of a training; ``turn_model`` tells how its band is worn."""
        if len(self.people) < 2:
            return None
        names, turned = self._in_one_order(envelope)
        size = self.people[0].within.shape[0]
        count = np.zeros(len(names))
        total, total_turn = np.zeros((len(names), size)), np.zeros((len(names), self.people[0].turn_means.shape[1]))
        for person in turned:
            rows = [names.index(name) for name in person.classes]
            count[rows] += 1
            total[rows] += person.means
            total_turn[rows] += person.turn_means
        means = total / count[:, None]
        within, repetition = (
            np.mean([getattr(person, what) for person in turned], axis=0) for what in ("within", "repetition")
        )
        apart = np.concatenate([p.means - means[[names.index(name) for name in p.classes]] for p in turned])
        between = shrink(apart.T @ apart / max(1, len(apart) - len(names)), RIDGE)
        gestures = np.concatenate([p.means for p in turned])
        scatter = shrink(gestures.T @ gestures, RIDGE)
        scatter /= sum(len(p.classes) for p in turned)
        shared = [(k, names.index(name)) for k, name in enumerate(classes) if name in names]
        own = np.zeros((len(classes), size))
        if len(shared) >= 2:
            mine, theirs = (list(each) for each in zip(*shared, strict=True))
            best = _match(
                turn_model.means[mine],
                (total_turn / count[:, None])[theirs],
                turn_model.precision,
                feature_indices(self.n_channels, envelope),
            )
            order = self._feature_places(envelope)[best]
            own[mine] = means[theirs][:, order] - means[theirs][:, order].mean(axis=0)
            within, repetition, between, scatter = (
                each[np.ix_(order, order)] for each in (within, repetition, between, scatter)
            )
        if len(shared) < len(classes):
            between = scatter  # of a gesture that nobody else made only the scatter of all gestures is known
        return ClassPrior(shrink(within, RIDGE), shrink(repetition, RIDGE), between, own, repetitions)

    def _in_one_order(self, envelope: bool) -> tuple[list[str], list[PersonStatistics]]:
        """Return the gesture names and everybody's statistics turned into the first one's order of channels."""
        places = feature_indices(self.n_channels, envelope)
        of_features = self._feature_places(envelope)
        names = sorted({name for person in self.people for name in person.classes})
        precision = np.linalg.inv(np.mean([person.turn_covariance for person in self.people], axis=0))
        known: dict[str, list[NDArray[np.float64]]] = {}
        turned = []
        for person in self.people:
            shared = [k for k, name in enumerate(person.classes) if name in known]
            best = 0
            if len(shared) >= 2:
                reference = np.stack([np.mean(known[person.classes[k]], axis=0) for k in shared])
                best = _match(reference, person.turn_means[shared], precision, places)
            order, turn_order = of_features[best], places[best]
            moved = replace(
                person,
                within=person.within[np.ix_(order, order)],
                repetition=person.repetition[np.ix_(order, order)],
                means=person.means[:, order],
                turn_means=person.turn_means[:, turn_order],
            )
            turned.append(moved)
            for name, mean in zip(moved.classes, moved.turn_means, strict=True):
                known.setdefault(name, []).append(mean)
        return names, turned

    def _feature_places(self, envelope: bool) -> NDArray[np.intp]:
        return band_feature_indices(self.n_channels, 2 if self.crossing > 0 else 1, envelope)

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
            "crossing": self.crossing,
            "people": people,
        }
        text = json.dumps(described, sort_keys=True)
        return bytes(save(arrays, metadata={"semg": _digest(text, arrays) + text}))

    @staticmethod
    def from_bytes(data: bytes) -> PopulationPrior:
        """Return the base of stored bytes.

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
    places: NDArray[np.intp],
) -> int:
    """Return which turn brings class means nearest to others of the same classes, a common shift left out."""
    wanted = reference - reference.mean(axis=0)
    distances = []
    for order in places:
        apart = means[:, order] - means[:, order].mean(axis=0) - wanted
        distances.append(float(np.einsum("kf,fg,kg->", apart, precision, apart)))
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
