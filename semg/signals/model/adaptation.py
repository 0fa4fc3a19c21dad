"""Unsupervised adaptation to a new session: the electrode rotation, and the shift of the features.

A ``Following`` holds what was learned from the streams of many people, a row of a ``Stack`` each. It processes the
windows of each in order and uses only those before the window that it predicts, so that a recording and a live stream
of the same samples give the same probabilities, however the stream is split into requests. ``Adapter`` is one of them
for a single stream.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semg.signals.model import kernels
from semg.signals.model.classifier import Classifier
from semg.signals.model.electrode_rotation import (
    CLEAR_NATS,
    RotationComparison,
    RotationModel,
    feature_indices,
    rotation_features,
    rotations_of,
)
from semg.signals.model.stack import Stack

BLOCK = 20
"""Adaptation takes effect after each block of this many windows."""
KEEP_ONE_IN = 4
RING = 400
"""Number of windows that rotations are compared on, one in ``KEEP_ONE_IN``: the last 80 s at the default hop."""
FIRST_LOOK, LONGEST_PAUSE = 10, 60
"""Blocks before the first comparison of rotations, and at most between two: 10 and 60 s at the default hop. A
comparison takes milliseconds, which are spread over the windows of one block; pauses double while no other rotation is
likely."""
CLEAR_OF_OTHERS_NATS = 0.5
"""Mean log-likelihood per window by which another rotation must exceed the next best, beside ``CLEAR_NATS``."""
MIN_CLASS_WINDOWS = 10
MIN_CLASSES = 3
KEPT = BLOCK // KEEP_ONE_IN
"""Windows of a block that are kept for the comparison."""


class Following:
    """What was learned from the streams of people whose weights are in a stack; one thread at a time for each row.

    Parameters
    ----------
    stack
        Of a layout that adapts.
    """

    def __init__(self, stack: Stack) -> None:
        layout, n_rows = stack.layout, len(stack.table)
        self._stack = stack
        self._possible = np.array(rotations_of(layout.n_channels), np.int64)
        self._indices = feature_indices(layout.n_channels, layout.envelope)
        n_classes, n_features = layout.n_classes, layout.n_features
        self.rotations = np.tile(self._possible[0], (n_rows, 1))
        self.shifts = np.zeros((n_rows, n_features), np.float32)
        self.pending = np.zeros(n_rows, np.int64)
        """Number of windows of each row since its last adaptation; fewer than ``BLOCK``."""
        self._features = np.zeros((n_rows, BLOCK, n_features), np.float32)
        self._windows = np.zeros((n_rows, KEPT, layout.n_channels, layout.n_samples), np.float32)
        self._prior_classes = np.zeros(n_rows)
        self._sums, self._counts = np.zeros((n_rows, n_classes, n_features)), np.zeros((n_rows, n_classes))
        self._ring = np.zeros((n_rows, RING, self._indices.shape[1]), np.float32)
        self._n_kept, self._blocks, self._pauses = (np.zeros(n_rows, np.int64) for _ in range(3))
        self._gains = np.zeros(n_rows, np.float32)
        self._models: dict[int, tuple[RotationModel, NDArray[np.float32]]] = {}
        self._comparisons: dict[int, RotationComparison] = {}

    def put(self, row: int, classifier: Classifier) -> None:
        """Begin a row with another classifier."""
        arrays, n_classes = classifier.arrays, len(classifier.classes)
        calibrated = classifier.training.get("calibrated")
        self._prior_classes[row] = kernels.CALIBRATED_PRIOR_CLASSES if calibrated else kernels.PRIOR_CLASSES
        self._gains[row] = arrays["turn_gain"][0]
        model = RotationModel(
            arrays["turn_means"].astype(np.float64),
            arrays["turn_precision"].astype(np.float64),
            np.full(n_classes, -np.log(n_classes)),
        )
        self._models[row] = model, arrays["turn_centre"]
        self.reset(row)

    def reset(self, row: int) -> None:
        """Discard what was learned: the next window is the first of another session."""
        self.rotations[row] = self._possible[0]
        self.pending[row] = self._n_kept[row] = self._blocks[row] = 0
        self._pauses[row] = FIRST_LOOK
        self._comparisons.pop(row, None)
        self._forget_shift(row)

    def passes(self, rows: NDArray[np.int64], held: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
        """Return which pass each window is predicted in, ``(N,)``, and the number of passes.

        A pass ends where adaptation takes effect. Windows that are not held, of no stream, belong to the first.
        """
        positions = np.empty_like(rows)
        largest = kernels.count_positions(rows, held, self.pending, positions)
        return positions // BLOCK, largest // BLOCK + 1

    def learn(
        self,
        rows: NDArray[np.int64],
        learns: NDArray[np.bool_],
        windows: NDArray[np.float32],
        features: NDArray[np.float32],
    ) -> None:
        """Learn from predicted windows as received, and from the features that they were predicted from.

        Parameters
        ----------
        rows
            Whose each window is, ``(N,)``; of a row no more than its block has room for, in time order.
        learns
            Which of them are learned from, ``(N,)``.
        windows, features
            ``(N, C, T)`` and ``(N, F)``.
        """
        complete = kernels.keep(
            rows, learns, windows, features, KEEP_ONE_IN, self._features, self._windows, self.pending
        )  # fmt: skip
        if self._comparisons:
            for row in self._comparisons.keys() & set(rows[learns].tolist()):
                self._comparisons[row].go_on(int(self.pending[row]) / BLOCK)
        if complete:
            mine = np.unique(rows[learns])
            mine = mine[self.pending[mine] == BLOCK]
            self.pending[mine] = 0
            self._adapt(mine)

    def _adapt(self, rows: NDArray[np.int64]) -> None:
        """Adapt rows whose block is complete."""
        self._stack.move(
            rows, self._features, self._prior_classes, self.shifts, self._sums, self._counts
        )  # fmt: skip
        for row in self._comparisons.keys() & set(rows.tolist()):
            self._conclude(row, self._comparisons.pop(row))
        self._remember(rows)

    def _remember(self, rows: NDArray[np.int64]) -> None:
        """Keep windows for the comparison of rotations, and begin one periodically."""
        layout = self._stack.layout
        windows = self._windows[rows].reshape(-1, layout.n_channels, layout.n_samples)  # (M, KEPT, C, T) -> (N, C, T)
        fresh = rotation_features(windows, np.repeat(self._gains[rows], KEPT)[:, None, None], layout.envelope)
        at = self._n_kept[rows, None] % RING + np.arange(KEPT)
        self._ring[rows[:, None], at] = fresh.reshape(*at.shape, -1)
        self._n_kept[rows] += KEPT
        self._blocks[rows] += 1
        for row in rows[self._blocks[rows] >= self._pauses[rows]].tolist():
            if len(self._possible) > 1:
                self._blocks[row] = 0
                model, centre = self._models[row]
                seen = self._ring[row, : self._n_kept[row]]
                self._comparisons[row] = RotationComparison(model, seen, self._indices, centre)

    def _conclude(self, row: int, comparison: RotationComparison) -> None:
        """Change the rotation if the last windows clearly favour another one."""
        scores = np.array(comparison.scores)
        best, current = int(scores.argmax()), int((self._possible == self.rotations[row]).all(axis=1).argmax())
        of_others = scores[best] - np.partition(scores, -2)[-2]
        lead, seen = comparison.typical_lead(best, current, MIN_CLASS_WINDOWS)
        clear = lead > CLEAR_NATS and of_others > CLEAR_OF_OTHERS_NATS
        if clear and seen >= min(MIN_CLASSES, self._stack.layout.n_classes):
            self.rotations[row] = self._possible[best]
            self._forget_shift(row)
        near = lead > CLEAR_NATS / 2
        self._pauses[row] = FIRST_LOOK if near else min(2 * self._pauses[row], LONGEST_PAUSE)

    def _forget_shift(self, row: int) -> None:
        self._sums[row] = self._counts[row] = 0
        self.shifts[row] = 0


class Adapter:
    """A classifier that adapts to one profile's stream; one thread at a time.

    Parameters
    ----------
    classifier
        Of kind ``cnn`` with the arrays that adaptation needs; any other predicts unchanged.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        layout = classifier.layout
        self._stack = Stack(layout, 1)
        self._stack.put(0, classifier.arrays)
        self._following = Following(self._stack) if layout.adapts else None
        if self._following is not None:
            self._following.put(0, classifier)

    @staticmethod
    def can_follow(classifier: Classifier) -> bool:
        """Return whether a classifier has the arrays that adaptation needs."""
        return classifier.layout.adapts

    @property
    def rotation(self) -> tuple[int, ...]:
        """The estimated electrode rotation: a permutation of the channels."""
        if self._following is None:
            return tuple(range(len(self.classifier.channels)))
        return tuple(self._following.rotations[0].tolist())

    @property
    def shift(self) -> NDArray[np.float32]:
        """The estimated shift of the features, ``(F,)``."""
        if self._following is None:
            return np.zeros(self._stack.layout.n_features, np.float32)
        return np.array(self._following.shifts[0])

    def reset(self) -> None:
        """Discard what was learned: the next window is the first of another session."""
        if self._following is not None:
            self._following.reset(0)

    def predict_proba(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of the windows that follow those of the previous call, and learn from them.

        Parameters and errors as ``Classifier.predict_proba``.
        """
        self.classifier.check_shape(windows)
        following = self._following
        if following is None:
            return self._stack.answer(np.zeros(len(windows), np.int64), windows)[0]
        found, at = np.empty((len(windows), self._stack.layout.n_classes), np.float32), 0
        while at < len(windows):
            part = np.array(windows[at : at + BLOCK - int(following.pending[0])])
            rows, follows = np.zeros(len(part), np.int64), np.ones(len(part), np.bool_)
            found[at : at + len(part)], features = self._stack.answer(
                rows, part, follows, following.rotations, following.shifts
            )
            following.learn(rows, follows, part, features)
            at += len(part)
        return found
