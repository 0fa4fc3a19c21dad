"""Unsupervised adaptation to a new session: the electrode rotation, and the shift of the features.

An ``Adapter`` holds the state learned from one profile's stream. It processes windows in order and uses only those
before the window that it predicts, so that a recording and a live stream of the same samples give the same
probabilities, however the stream is split into requests.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semg.signals.model import forward
from semg.signals.model.classifier import Classifier
from semg.signals.model.displacement import CALIBRATED_PRIOR_CLASSES, PRIOR_CLASSES, common_displacement
from semg.signals.model.electrode_rotation import (
    CLEAR_NATS,
    RotationComparison,
    RotationModel,
    feature_indices,
    rotation_features,
    rotations_of,
)

BLOCK = 20
"""Adaptation takes effect after each block of this many windows."""
PRIOR_WINDOWS = 50.0
"""Number of windows of a class after which half of its displacement is applied."""
MEMORY_WINDOWS = 1200.0
"""Maximum effective number of windows per class: a minute at the default hop. Older windows decay."""
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


class Adapter:
    """A classifier that adapts to one profile's stream; one thread at a time.

    Parameters
    ----------
    classifier
        Of kind ``cnn`` with the arrays that adaptation needs; any other predicts unchanged.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self.adapts = self.can_follow(classifier)
        self._envelope = classifier.conditioning.sensor == "envelope"
        self._prior_classes = CALIBRATED_PRIOR_CLASSES if classifier.training.get("calibrated") else PRIOR_CLASSES
        self.reset()

    @staticmethod
    def can_follow(classifier: Classifier) -> bool:
        """Return whether a classifier has the arrays that adaptation needs."""
        return "class_means" in classifier.arrays

    @property
    def pending(self) -> int:
        """Number of windows since the last adaptation; fewer than ``BLOCK``."""
        return self._pending

    def reset(self) -> None:
        """Discard what was learned: the next window is the first of another session."""
        self.rotation = tuple(range(len(self.classifier.channels)))
        self.shift: NDArray[np.float32] | None = None
        self._pending_features: list[NDArray[np.float32]] = []
        self._pending_windows: list[NDArray[np.float32]] = []
        self._pending = 0
        self._blocks, self._pause = 0, FIRST_LOOK
        self._ring = np.zeros((0, 0), np.float32)
        self._comparison: RotationComparison | None = None
        self._forget_shift()
        if self.adapts:
            arrays = self.classifier.arrays
            n_classes = len(self.classifier.classes)
            self._rotation_model = RotationModel(
                arrays["turn_means"].astype(np.float64),
                arrays["turn_precision"].astype(np.float64),
                np.full(n_classes, -np.log(n_classes)),
            )

    def predict_proba(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of the windows that follow those of the previous call, and learn from them.

        Parameters and errors as ``Classifier.predict_proba``.
        """
        self.classifier.check_shape(windows)
        arrays, kind = self.classifier.arrays, self.classifier.kind
        if not self.adapts:
            return self.classifier.predict_proba(windows)
        answers = []
        for chunk in self.parts(windows):
            scaled = forward.scale(arrays, self.rotated(chunk))
            features = forward.branch_features(kind, arrays, scaled, self._envelope)
            answers.append(forward.softmax(forward.mixed_scores(kind, arrays, scaled, features, self.shift)))
            self.learn(chunk, features)
        return np.concatenate(answers) if answers else np.empty((0, len(self.classifier.classes)), np.float32)

    def parts(self, windows: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Split windows where adaptation takes effect; each chunk is predicted, then passed to ``learn``."""
        first = BLOCK - self._pending
        cuts = [0, *range(first, len(windows), BLOCK), len(windows)]
        return [windows[start:stop] for start, stop in zip(cuts, cuts[1:], strict=False) if stop > start]

    def rotated(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return windows with their channels permuted by the estimated electrode rotation."""
        if self.rotation == tuple(range(len(self.rotation))):
            return windows
        return windows[:, list(self.rotation)]

    def learn(self, windows: NDArray[np.float32], features: NDArray[np.float32]) -> None:
        """Learn from predicted windows as received, and from the features that they were predicted from."""
        self._pending_windows.append(windows[(-self._pending) % KEEP_ONE_IN :: KEEP_ONE_IN])
        self._pending_features.append(features)
        self._pending += len(windows)
        if self._comparison is not None:
            self._comparison.go_on(self._pending / BLOCK)
        if self._pending < BLOCK:
            return
        # In one array of fixed size: bitwise the same however the stream was split.
        features = np.concatenate(self._pending_features)
        kept = np.concatenate(self._pending_windows)
        self._pending_features, self._pending_windows, self._pending = [], [], 0
        self._move(features)
        if self._comparison is not None:
            self._conclude(self._comparison)
            self._comparison = None
        self._remember(kept)

    def _move(self, features: NDArray[np.float32]) -> None:
        """Update the shift with a block's features."""
        arrays = self.classifier.arrays
        moved = features if self.shift is None else features - self.shift
        centred = moved - arrays["centre"]
        scores = forward.log_softmax(forward.linear_scores(arrays, centred))
        scores = scores + forward.log_softmax(forward.dense_scores(arrays, centred))
        weights = forward.softmax(scores / 2).astype(np.float64)
        self._sums += weights.T @ (features - arrays["centre"]).astype(np.float64)
        self._counts += weights.sum(axis=0)
        fade = np.minimum(1.0, MEMORY_WINDOWS / np.maximum(self._counts, 1e-9))
        self._sums *= fade[:, None]
        self._counts *= fade
        displacements = self._sums / np.maximum(self._counts, 1e-9)[:, None] - arrays["class_means"]
        believed = self._counts / (self._counts + PRIOR_WINDOWS)
        self.shift = common_displacement(displacements, believed, self._prior_classes).astype(np.float32)

    def _forget_shift(self) -> None:
        if self.adapts:
            means = self.classifier.arrays["class_means"]
            self._sums, self._counts = np.zeros(means.shape), np.zeros(len(means))
        self.shift = None

    def _remember(self, kept: NDArray[np.float32]) -> None:
        """Keep windows for the comparison of rotations, and begin one periodically."""
        fresh = rotation_features(kept, float(self.classifier.arrays["turn_gain"][0]), self._envelope)
        self._ring = np.concatenate([self._ring, fresh])[-RING:] if len(self._ring) else fresh
        self._blocks += 1
        if self._blocks >= self._pause and len(rotations_of(len(self.rotation))) > 1:
            self._blocks = 0
            indices = feature_indices(len(self.rotation), self._envelope)
            self._comparison = RotationComparison(
                self._rotation_model, self._ring, indices, self.classifier.arrays["turn_centre"]
            )

    def _conclude(self, comparison: RotationComparison) -> None:
        """Change the rotation if the last windows clearly favour another one."""
        possible, scores = rotations_of(len(self.rotation)), np.array(comparison.scores)
        best, current = int(scores.argmax()), possible.index(self.rotation)
        of_others = scores[best] - np.partition(scores, -2)[-2]
        lead, seen = comparison.typical_lead(best, current, MIN_CLASS_WINDOWS)
        clear = lead > CLEAR_NATS and of_others > CLEAR_OF_OTHERS_NATS
        if clear and seen >= min(MIN_CLASSES, len(self.classifier.classes)):
            self.rotation = possible[best]
            self._forget_shift()
        near = lead > CLEAR_NATS / 2
        self._pause = FIRST_LOOK if near else min(2 * self._pause, LONGEST_PAUSE)
