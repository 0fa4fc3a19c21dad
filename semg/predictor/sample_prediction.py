"""Predict raw samples that a program sends: cut into windows and predicted in portions, so that memory is bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from semg.domain import Device
from semg.errors import ArtifactError
from semg.signals.model.adaptation import BLOCK, Adapter
from semg.signals.model.classifier import Classifier, columns_of
from semg.signals.windows import WindowStream
from semg.wire.http import Prediction

PORTION_VALUES = 1_000_000
"""Samples in the windows of one portion: 4 MB, and about as much again for each array that is made of them."""
MOST_WINDOWS = 50_000
"""The most that are predicted at once: ten seconds of one core at 8 channels and 200 Hz, 20 MB of predictions."""


class InputError(ValueError):
    """The samples do not fit the profile; ``field`` names the invalid input."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def predict_samples(
    classifier: Classifier, device: Device, data: NDArray[np.float32], pause: Callable[[], None] = lambda: None
) -> list[Prediction]:
    """Predict every window of raw samples as of a stream that begins with them, conditioned from the reset state.

    Parameters
    ----------
    data
        Float32 ``(n, channels of the device)``.
    pause
        Called after every portion: what runs in a process with live work lets that go on.

    Raises
    ------
    InputError
        Wrong number of channels, too few samples for one window, or too many windows.
    """
    _require_at_most(classifier, len(data))
    adapter, recogniser = Adapter(classifier), classifier.dynamic_recogniser()
    classes = (*classifier.classes, *classifier.spec.dynamic)
    predictions: list[Prediction] = []
    for windows, ends in _portions(classifier, device, data):
        probabilities = adapter.predict_proba(windows)
        best = probabilities.argmax(axis=1)
        if recogniser is not None:
            once = recogniser.push_all(windows)
            probabilities = np.concatenate([probabilities, once], axis=1)
            judged = once.max(axis=1) >= classifier.decision.begin_confidence
            best[judged] = len(classifier.classes) + once[judged].argmax(axis=1)
        predictions += [
            Prediction(label=classes[k], confidence=float(row[k]), end_index=end)
            for k, row, end in zip(best.tolist(), probabilities, ends.tolist(), strict=True)
        ]
        pause()
    if not predictions:
        needed = classifier.window.settle_samples + classifier.window.window_samples
        raise InputError("data", f"expected at least {needed} samples for one window, got {len(data)}")
    return predictions


def _require_at_most(classifier: Classifier, n_samples: int) -> None:
    spec = classifier.window
    most = spec.settle_samples + spec.window_samples + (MOST_WINDOWS - 1) * spec.hop_samples
    if n_samples > most:
        raise InputError(
            "data", f"expected at most {most} samples for this model, which has a window every {spec.hop_ms:g} ms, "
            f"got {n_samples}"
        )  # fmt: skip


def _portions(
    classifier: Classifier, device: Device, data: NDArray[np.float32]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Cut raw samples as the live path does, with channels chosen by name; ``ends`` are indices into ``data``."""
    if data.shape[1] != device.n_channels:
        raise InputError(
            "data", f"expected {device.n_channels} channels a row ({', '.join(device.channels)}), got {data.shape[1]}"
        )
    try:
        columns = columns_of(classifier.channels, device)
    except ArtifactError as exc:
        raise InputError("data", str(exc)) from exc
    spec = classifier.window
    stream = WindowStream(classifier.conditioning, spec, columns)
    blocks = max(1, PORTION_VALUES // (BLOCK * len(columns) * spec.window_samples))
    step = blocks * BLOCK * spec.hop_samples
    first = spec.settle_samples + spec.window_samples - spec.hop_samples + step  # whole blocks of windows, as later
    cuts = [0, *range(first, len(data), step), len(data)]
    for start, stop in pairwise(cuts):
        windows, ends = stream.push(data[start:stop], start == 0)
        if len(ends):
            yield windows, ends + start
