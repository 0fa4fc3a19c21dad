"""Replay stored samples through a classifier as the live path does: what would have been decided.

Windows come from the live path's own ``BatchWindowStream``, one at a time through the ``Adapter``, decisions from the
live path's ``BatchVoter``: from the same state and samples, the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from semg.block_table import BlockTable
from semg.domain import DecisionSpec
from semg.errors import ArtifactError
from semg.signals.batch_windows import BatchWindowStream, StreamSpec
from semg.signals.model.classifier import Classifier
from semg.signals.model.decisions import BatchVoter

Part = Literal["all", "closed form", "network", "dense"]
"""A classifier that is kept in a version: ``all`` is their mean, which decides live."""
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True, slots=True)
class Replayed:
    """Decisions on stored samples, oldest first.

    Attributes
    ----------
    classes
        Labels of the classifier.
    winners
        Index of each decision's label, int64 ``(n,)``; -1 when it was rejected.
    confidences
        Mean probability of the class decided or rejected, float64 ``(n,)``.
    probabilities
        Of each decision's own window, float32 ``(n, K)``.
    ends_us
        Server time of each window's last sample, int64 ``(n,)``.
    """

    classes: tuple[str, ...]
    winners: NDArray[np.int64]
    confidences: NDArray[np.float64]
    probabilities: NDArray[np.float32]
    ends_us: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends_us)

    @property
    def labels(self) -> list[str | None]:
        """Label of each decision; None when it was rejected."""
        return [None if winner < 0 else self.classes[winner] for winner in self.winners.tolist()]

    def between(self, since_us: int, until_us: int) -> Replayed:
        """Return the decisions on windows that end in ``[since_us, until_us)``."""
        kept = (self.ends_us >= since_us) & (self.ends_us < until_us)
        return Replayed(
            self.classes, self.winners[kept], self.confidences[kept], self.probabilities[kept], self.ends_us[kept]
        )


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
        self._voter = BatchVoter()
        self._voter.set_stream(0, decision, len(classifier.classes))

    def add_edge(self, server_us: int) -> None:
        """Begin anew at the first sample from this time on, as where a session begins or ends."""
        self._stream.add_edge(self._slot, server_us)

    def push(self, table: BlockTable) -> Replayed:
        """Return the decisions that the next blocks, in time order, complete."""
        classes = self._classifier.classes
        n = len(table)
        due = [] if not n else self._stream.push(
            table, np.arange(n), np.full(n, self._slot), np.cumsum(table.counts), np.cumsum(table.value_counts)
        )  # fmt: skip
        winners, confidences, ends_us = [], [], []
        rows = [np.empty((0, len(classes)), np.float32)]
        for cut in due:
            row = self._predict(cut.windows, int(cut.numbers[0]))
            winner, confidence = self._voter.push(
                np.zeros(1, np.int64), cut.starts_run, row, np.array([len(classes)], np.int64)
            )
            rows.append(row)
            winners.append(int(winner[0]))
            confidences.append(float(confidence[0]))
            ends_us.append(int(cut.server_us[0]))
        return Replayed(
            classes,
            np.array(winners, np.int64),
            np.array(confidences, np.float64),
            np.concatenate(rows),
            np.array(ends_us, np.int64),
        )

    def _predict(self, windows: NDArray[np.float32], number: int) -> NDArray[np.float32]:
        if self._adapter is None:
            return self._classifier.predict_proba(windows)
        if number != self._number:
            self._adapter.reset()
            self._number = number
        return self._adapter.predict_proba(windows)


def joined(parts: list[Replayed], classes: tuple[str, ...]) -> Replayed:
    """Return the decisions of consecutive pieces as one."""
    return Replayed(
        classes,
        np.concatenate([np.empty(0, np.int64), *(one.winners for one in parts)]),
        np.concatenate([np.empty(0), *(one.confidences for one in parts)]),
        np.concatenate([np.empty((0, len(classes)), np.float32), *(one.probabilities for one in parts)]),
        np.concatenate([np.empty(0, np.int64), *(one.ends_us for one in parts)]),
    )
