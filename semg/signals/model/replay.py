"""Replay stored samples through a classifier as the live path does: what would have been decided.

Windows come from the live path's own ``BatchWindowStream``, one at a time through the ``Adapter``, decisions from the
live path's ``BatchVoter``: from the same state and samples, the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from semg.block_table import BlockTable
from semg.domain import DecisionSpec
from semg.errors import ArtifactError
from semg.event_types import EventSpec, GestureEvent
from semg.signals.batch_windows import BatchWindowStream, StreamSpec
from semg.signals.model.classifier import Classifier
from semg.signals.model.decisions import BatchVoter
from semg.signals.model.dynamic import DynamicRecogniser, performed
from semg.signals.model.gesture_events import EventMachine
from semg.signals.model.strength import amplitudes_of

Part = Literal["all", "closed form", "network", "dense"]
"""A classifier that is kept in a version: ``all`` is their mean, which decides live."""
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True, slots=True)
class Replayed:
    """Decisions on stored samples, oldest first.

    Attributes
    ----------
    classes
        Labels of the classifier, the short dynamic gestures behind the held ones.
    winners
        Index of each decision's label, int64 ``(n,)``; -1 when it was rejected.
    confidences
        Mean probability of the class decided or rejected, float64 ``(n,)``; of a short gesture that of its performance.
    probabilities
        Of the held gestures in each decision's own window, float32 ``(n, K)``.
    ends_us
        Server time of each window's last sample, int64 ``(n,)``.
    once
        Which decisions are the one decision on the performance of a short gesture, bool ``(n,)``.
    strengths
        Of each window, float64 ``(n,)`` from 0 to 1; NaN where the classifier does not know the person's range.
    """

    classes: tuple[str, ...]
    winners: NDArray[np.int64]
    confidences: NDArray[np.float64]
    probabilities: NDArray[np.float32]
    ends_us: NDArray[np.int64]
    once: NDArray[np.bool_]
    strengths: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ends_us)

    @property
    def labels(self) -> list[str | None]:
        """Label of each decision; None when it was rejected."""
        return [None if winner < 0 else self.classes[winner] for winner in self.winners.tolist()]

    def between(self, since_us: int, until_us: int) -> Replayed:
        """Return the decisions on windows that end in ``[since_us, until_us)``."""
        kept = (self.ends_us >= since_us) & (self.ends_us < until_us)
        return Replayed(self.classes, *(column[kept] for column in self.columns))

    @property
    def columns(self) -> tuple[NDArray[Any], ...]:
        """All but the labels, in the order of the fields."""
        return (self.winners, self.confidences, self.probabilities, self.ends_us, self.once, self.strengths)

    def events(self, spec: EventSpec, user_id: int = 0, model_version: int = 0) -> list[GestureEvent]:
        """Return the gesture events of these decisions, as of a stream that begins and ends with them."""
        machine = EventMachine(user_id, spec, model_version)
        made: list[GestureEvent] = []
        columns = (self.ends_us.tolist(), self.confidences.tolist(), self.strengths.tolist(), self.once.tolist())
        for label, at_us, confidence, strength, once in zip(self.labels, *columns, strict=True):
            known = None if math.isnan(strength) else strength
            made += machine.push(label, at_us, confidence, known, once=once)
        return made


def parts_of(classifier: Classifier) -> tuple[Part, ...]:
    """Return which classifiers a version keeps."""
    if classifier.kind != "cnn":
        return ("all",)
    has_dense = "dense0_weight" in classifier.arrays
    return PARTS if has_dense else tuple(part for part in PARTS if part != "dense")


def keep_part(classifier: Classifier, part: Part) -> Classifier:
    """Return a classifier that decides by one of its parts alone.

    Raises
    ------
    ArtifactError
        The version has no such part.
    """
    if part not in parts_of(classifier):
        raise ArtifactError(f"this version has the classifiers {', '.join(parts_of(classifier))}, not {part}")
    if part == "all":
        return classifier
    mix = np.array(classifier.arrays["mix"], np.float32)
    mix[:-1] = 0.0
    if part == "network":
        mix[0] = 1.0
    elif part == "dense":
        mix[1] = 1.0
    arrays: Mapping[str, NDArray[np.float32]] = {**classifier.arrays, "mix": mix}
    return replace(classifier, arrays=arrays)


class Replay:
    """A stream that is replayed in pieces; one thread at a time.

    Parameters
    ----------
    classifier
        What decides; see ``keep_part``.
    columns, n_channels
        Indices of the classifier's channels in a sample of so many values.
    decision
        Votes, rejection and hysteresis.
    follows
        Whether the classifier follows the stream, as it does live.
    """

    def __init__(
        self,
        classifier: Classifier,
        columns: tuple[int, ...],
        n_channels: int,
        decision: DecisionSpec,
        *,
        follows: bool = True,
    ) -> None:
        from semg.signals.model.adaptation import Adapter  # brings numba, for who replays

        self._stream = BatchWindowStream(StreamSpec(classifier.window, classifier.conditioning, columns, n_channels))
        self._slot = self._stream.add_stream()
        self._classifier = classifier
        self._adapter = Adapter(classifier) if follows and Adapter.can_follow(classifier) else None
        self._number: int | None = None
        self._recogniser: DynamicRecogniser | None = None
        self._decision = decision
        self._voter = BatchVoter()
        self._voter.set_stream(0, decision, len(classifier.classes))

    def add_edge(self, server_us: int) -> None:
        """Begin anew at the first sample from this time on, as where a session begins or ends."""
        self._stream.add_edge(self._slot, server_us)

    def push(self, table: BlockTable) -> Replayed:
        """Return the decisions that the next blocks, in time order, complete."""
        spec = self._classifier.spec
        n, n_held = len(table), len(spec.classes)
        due = [] if not n else self._stream.push(
            table, np.arange(n), np.full(n, self._slot), np.cumsum(table.counts), np.cumsum(table.value_counts)
        )  # fmt: skip
        winners, confidences, ends_us, once, strengths = [], [], [], [], []
        rows = [np.empty((0, n_held), np.float32)]
        for cut in due:
            row = self._predict(cut.windows, int(cut.numbers[0]))
            winner, confidence = self._voter.push(np.zeros(1, np.int64), cut.starts_run, row, np.array([n_held]))
            judged = None if self._recogniser is None else self._judge(self._recogniser.push(cut.windows[0]))
            rows.append(row)
            winners.append(int(winner[0]) if judged is None else n_held + judged[0])
            confidences.append(float(confidence[0]) if judged is None else judged[1])
            ends_us.append(int(cut.server_us[0]))
            once.append(judged is not None)
            known = None if spec.amplitude is None else spec.amplitude.strength(float(amplitudes_of(cut.windows)[0]))
            strengths.append(math.nan if known is None else known)
        return Replayed(
            (*spec.classes, *spec.dynamic),
            np.array(winners, np.int64),
            np.array(confidences, np.float64),
            np.concatenate(rows),
            np.array(ends_us, np.int64),
            np.array(once, bool),
            np.array(strengths, np.float64),
        )

    def _judge(self, probabilities: NDArray[np.float32]) -> tuple[int, float] | None:
        best = performed(probabilities, self._decision.begin_confidence)
        return None if best is None else (best, float(probabilities[best]))

    def _predict(self, windows: NDArray[np.float32], number: int) -> NDArray[np.float32]:
        if number != self._number:
            self._number = number
            self._recogniser = self._classifier.dynamic_recogniser()
            if self._adapter is not None:
                self._adapter.reset()
        predictor = self._classifier if self._adapter is None else self._adapter
        return predictor.predict_proba(windows)


def joined(parts: list[Replayed], classifier: Classifier) -> Replayed:
    """Return the decisions of consecutive pieces as one."""
    spec = classifier.spec
    nothing = (np.empty(0, np.int64), np.empty(0), np.empty((0, len(spec.classes)), np.float32),
               np.empty(0, np.int64), np.empty(0, bool), np.empty(0))  # fmt: skip
    columns = zip(nothing, *(one.columns for one in parts), strict=True)
    return Replayed((*spec.classes, *spec.dynamic), *(np.concatenate(pieces) for pieces in columns))
