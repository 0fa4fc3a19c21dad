"""Following a new session without labels: how the band is turned, and how far the features have moved.

An ``Adapter`` holds what one profile's stream has shown so far. It sees windows in their order and uses only those
before the window that it answers, so that a recording and a live stream of the same samples give the same answers,
however the stream is cut into requests.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semg.signals.model import forward
from semg.signals.model.classifier import Classifier
from semg.signals.model.electrode_rotation import (
    RotationComparison,
    RotationModel,
    feature_indices,
    rotation_features,
    rotations_of,
)

BLOCK = 20
"""What was learned takes effect after so many windows."""
PRIOR_WINDOWS = 50.0
"""So many windows of a class must have been seen for half of its movement to be believed."""
PRIOR_CLASSES = 1.0
MEDIAN_ROUNDS, MEDIAN_FLOOR = 8, 0.3
MEMORY_WINDOWS = 1200.0
"""What a class remembers at most: a minute at the default hop. Older windows fade."""
KEEP_ONE_IN = 4
RING = 400
"""Windows that turns are judged by, one in ``KEEP_ONE_IN``: the last 80 s at the default hop."""
FIRST_LOOK, LONGEST_PAUSE = 10, 60
"""Blocks before the first look at turns, and at most between two: 10 and 60 s at the default hop. A look takes
milliseconds, which are spread over the windows of one block; while nothing points to another turn, pauses double."""
CLEAR_NATS, CLEAR_OF_OTHERS_NATS = 4.0, 0.5
"""How much likelier, for each window, another turn must be than the one in use, and than the next best. On real
recordings the right turn led by 8 to 14 after some gestures, and a wrong one by 2.3 (``docs/recognition.md``)."""
MIN_CLASS_WINDOWS = 10.0
MIN_CLASSES = 3


class Adapter:
    """A classifier that follows one profile's stream; one thread at a time.

    Parameters
    ----------
    classifier
        Of kind ``cnn`` with what adapting needs; any other is answered by as it is.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self.adapts = self.can_follow(classifier)
        self._envelope = classifier.conditioning.sensor == "envelope"
        self.reset()

    @staticmethod
    def can_follow(classifier: Classifier) -> bool:
        """Return whether a classifier has what following a stream needs."""
        return "class_means" in classifier.arrays

    @property
    def pending(self) -> int:
        """How many windows have been noted since what was learned took effect last; fewer than ``BLOCK``."""
        return self._pending

    def reset(self) -> None:
        """Forget the session: the next window is the first of another one."""
        self.turn = tuple(range(len(self.classifier.channels)))
        self.shift: NDArray[np.float32] | None = None
        self._pending_features: list[NDArray[np.float32]] = []
        self._pending_windows: list[NDArray[np.float32]] = []
        self._pending = 0
        self._blocks, self._pause = 0, FIRST_LOOK
        self._ring = np.zeros((0, 0), np.float32)
        self._look: RotationComparison | None = None
        self._forget_shift()
        if self.adapts:
            arrays = self.classifier.arrays
            n_classes = len(self.classifier.classes)
            self._turns = RotationModel(
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
        for part in self.parts(windows):
            scaled = forward.scale(arrays, self.turned(part))
            features = forward.branch_features(kind, arrays, scaled, self._envelope)
            answers.append(forward.softmax(forward.mixed_scores(kind, arrays, scaled, features, self.shift)))
            self.learn(part, features)
        return np.concatenate(answers) if answers else np.empty((0, len(self.classifier.classes)), np.float32)

    def parts(self, windows: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return windows cut where what was learned takes effect; each part is answered, then given to ``learn``."""
        first = BLOCK - self._pending
        cuts = [0, *range(first, len(windows), BLOCK), len(windows)]
        return [windows[start:stop] for start, stop in zip(cuts, cuts[1:], strict=False) if stop > start]

    def turned(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return windows with their channels in the classifier's order, as the band is believed to be worn."""
        if self.turn == tuple(range(len(self.turn))):
            return windows
        return windows[:, list(self.turn)]

    def learn(self, windows: NDArray[np.float32], features: NDArray[np.float32]) -> None:
        """Take note of windows that were answered, as they came, and of their features as they were answered by."""
        self._pending_windows.append(windows[(-self._pending) % KEEP_ONE_IN :: KEEP_ONE_IN])
        self._pending_features.append(features)
        self._pending += len(windows)
        if self._look is not None:
            self._look.go_on(self._pending / BLOCK)
        if self._pending < BLOCK:
            return
        # In one piece of fixed size: the same bits however the stream was cut.
        features = np.concatenate(self._pending_features)
        kept = np.concatenate(self._pending_windows)
        self._pending_features, self._pending_windows, self._pending = [], [], 0
        self._move(features)
        if self._look is not None:
            self._conclude(self._look)
            self._look = None
        self._remember(kept)

    def _move(self, features: NDArray[np.float32]) -> None:
        """Bring the shift up to date with a block's features."""
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
        apart = self._sums / np.maximum(self._counts, 1e-9)[:, None] - arrays["class_means"]
        believed = self._counts / (self._counts + PRIOR_WINDOWS)
        self.shift = _common(apart, believed).astype(np.float32)

    def _forget_shift(self) -> None:
        if self.adapts:
            means = self.classifier.arrays["class_means"]
            self._sums, self._counts = np.zeros(means.shape), np.zeros(len(means))
        self.shift = None

    def _remember(self, kept: NDArray[np.float32]) -> None:
        """Keep windows to judge turns by, and begin a look at them every so often."""
        fresh = rotation_features(kept, float(self.classifier.arrays["turn_gain"][0]), self._envelope)
        self._ring = np.concatenate([self._ring, fresh])[-RING:] if len(self._ring) else fresh
        self._blocks += 1
        if self._blocks >= self._pause and len(rotations_of(len(self.turn))) > 1:
            self._blocks = 0
            places = feature_indices(len(self.turn), self._envelope)
            self._look = RotationComparison(self._turns, self._ring, places, self.classifier.arrays["turn_centre"])

    def _conclude(self, look: RotationComparison) -> None:
        """Take another turn for the one in use where the last windows say clearly that the band is worn so."""
        possible, scores = rotations_of(len(self.turn)), np.array(look.scores)
        best = int(scores.argmax())
        lead = scores[best] - scores[possible.index(self.turn)]
        of_others = scores[best] - np.partition(scores, -2)[-2]
        seen = int((look.shares[best] >= MIN_CLASS_WINDOWS).sum())
        clear = lead > CLEAR_NATS and of_others > CLEAR_OF_OTHERS_NATS
        if clear and seen >= min(MIN_CLASSES, len(self.classifier.classes)):
            self.turn = possible[best]
            self._forget_shift()
        near = lead > CLEAR_NATS / 2
        self._pause = FIRST_LOOK if near else min(2 * self._pause, LONGEST_PAUSE)


def _common(apart: NDArray[np.float64], believed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the movement that the classes have in common: their geometric median, with ``PRIOR_CLASSES`` at nothing.

    A class that collects another's windows seems to have moved far. In a mean it would pull all others along, and be
    confirmed by what it then collects; in a median it is outvoted (Weiszfeld's iteration).

    Parameters
    ----------
    apart
        ``(K, F)``: how far each class has moved.
    believed
        ``(K,)``: how much each counts.
    """
    common = believed @ apart / (believed.sum() + PRIOR_CLASSES)
    for _ in range(MEDIAN_ROUNDS):
        weights = believed / (np.sqrt(np.square(apart - common).sum(axis=1)) + MEDIAN_FLOOR)
        prior = PRIOR_CLASSES / (np.sqrt(np.square(common).sum()) + MEDIAN_FLOOR)
        common = weights @ apart / (weights.sum() + prior)
    return np.asarray(common)
