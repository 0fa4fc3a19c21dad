"""How a band was put on, from a few seconds of rest and one gesture: turned against the sessions of a classifier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.domain import REST
from semg.signals.model.classifier import Classifier
from semg.signals.model.electrode_rotation import (
    CLEAR_NATS,
    Rotation,
    RotationModel,
    feature_indices,
    rotation_features,
    rotations_of,
)
from semg.signals.windows import WindowStream

CLEAR_OF_OTHERS_NATS = 2.0
"""Mean log-likelihood of a window by which the likeliest rotation must exceed the next one: on recordings two thirds of
the checks do (``testing/benchmarks/donning.py``, docs/benchmarks.md)."""
MIN_CHANNELS = 6
"""On four electrodes a quarter of what would be said is wrong (``testing/benchmarks/donning.py``)."""
MIN_WINDOWS = 10
"""Of rest and of the gesture each."""


@dataclass(frozen=True, slots=True)
class Donning:
    """How the band lies against the sessions that a classifier was trained on.

    Attributes
    ----------
    rotation
        The likeliest: where channel ``i`` lay, now lies channel ``rotation[i]``.
    lead
        Mean log-likelihood of a window over that of the band as it was, in nats, for both labels.
    margin
        The same over the next likely rotation.
    is_clear
        Whether that is enough to say so.
    """

    rotation: Rotation
    lead: float
    margin: float
    is_clear: bool

    @property
    def mirrored(self) -> bool:
        """Whether the band is worn the other way round."""
        n = len(self.rotation)
        return n > 2 and (self.rotation[1] - self.rotation[0]) % n == n - 1

    @property
    def steps(self) -> int:
        """By how many electrodes it is turned, the shorter way; not known of one that is mirrored."""
        first, n = self.rotation[0], len(self.rotation)
        return min(first, n - first)

    @property
    def is_turned(self) -> bool:
        """Whether the band is clearly worn otherwise than it was."""
        return self.is_clear and self.rotation != tuple(range(len(self.rotation)))


def can_compare(classifier: Classifier, gesture: str) -> bool:
    """Return whether a classifier knows how a gesture and rest look turned, on enough channels."""
    known = "turn_means" in classifier.arrays and {REST, gesture} <= set(classifier.classes)
    return known and gesture != REST and len(classifier.channels) >= MIN_CHANNELS


def find_turn(
    classifier: Classifier, columns: tuple[int, ...], rest: NDArray[np.float32], strong: NDArray[np.float32],
    gesture: str,
) -> Donning | None:  # fmt: skip
    """Compare rest and a gesture with those that a classifier was trained on, under every rotation of the band.

    Parameters
    ----------
    columns
        Indices of the classifier's channels in a sample.
    rest, strong
        Float32 ``(n, n_channels)``, raw, of a few seconds each.

    Returns
    -------
    None where the classifier cannot tell (``can_compare``), or too little was recorded.
    """
    if not can_compare(classifier, gesture):
        return None
    envelope = classifier.conditioning.sensor == "envelope"
    features, labels = [], []
    for label, samples in ((REST, rest), (gesture, strong)):
        windows, _ = WindowStream(classifier.conditioning, classifier.window, columns).push(samples, True)
        if len(windows) < MIN_WINDOWS:
            return None
        features.append(rotation_features(windows, float(classifier.arrays["turn_gain"][0]), envelope))
        labels.append(np.full(len(windows), classifier.classes.index(label)))
    n_classes, n = len(classifier.classes), len(classifier.channels)
    model = RotationModel(
        classifier.arrays["turn_means"].astype(np.float64),
        classifier.arrays["turn_precision"].astype(np.float64),
        np.full(n_classes, -np.log(n_classes)),
    )
    leads = model.labelled_leads(
        np.concatenate(features) - classifier.arrays["turn_centre"],
        np.concatenate(labels),
        feature_indices(n, envelope),
    )
    best = int(leads.argmax())
    margin = float(leads[best] - np.delete(leads, best).max())
    is_clear = margin > CLEAR_OF_OTHERS_NATS and (best == 0 or float(leads[best]) > CLEAR_NATS)
    return Donning(rotations_of(n)[best], float(leads[best]), margin, is_clear)
