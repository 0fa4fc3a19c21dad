"""The predictor: active classifiers in memory, windows in, probabilities out. No HTTP here."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.domain import Device
from semg.errors import ArtifactError, NotFoundError
from semg.inference.directory import columns_of
from semg.signals.classifier import Classifier
from semg.signals.together import predict_together
from semg.signals.windows import WindowStream
from semg.store import models, profiles
from semg.store.pool import Pool
from semg.wire.http import Prediction, PredictResponse
from semg.wire.windows import WindowAnswer, WindowRequest, WindowStatus

logger = logging.getLogger(__name__)
_NONE = np.zeros(0, np.float32)


class NoModelError(NotFoundError):
    """The profile does not exist or has no active model."""


class InputError(ValueError):
    """The samples do not fit the profile; ``field`` names what is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Loaded:
    """A profile's active classifier."""

    version: int
    classifier: Classifier


class Predictor:
    """Caches the active classifier of each profile; the least recently used leave first. Safe to use from threads.

    ``refresh`` must be called at least once a second; requests never wait for it, except for a profile's first.
    """

    def __init__(self, pool: Pool, cache_size: int) -> None:
        self._pool = pool
        self._cache_size = cache_size
        self._cache: OrderedDict[int, Loaded] = OrderedDict()
        self._lock = threading.Lock()
        self._without_model: set[int] = set()

    def find(self, user_id: int) -> Loaded | None:
        """Give the profile's active classifier, read from the store the first time.

        Raises
        ------
        StoreError
            It has to be read, and the store is away.
        ArtifactError
            Its stored bytes are damaged.
        """
        with self._lock:
            loaded = self._cache.get(user_id)
            if loaded is not None:
                self._cache.move_to_end(user_id)
                return loaded
            if user_id in self._without_model:
                return None
        return self._load(user_id)

    def refresh(self) -> None:
        """Bring every cached classifier to the version that is active now; the swap is one assignment."""
        with self._pool.transaction() as tx:
            active = {user_id: version for user_id, version, _ in models.list_active(tx)}
        with self._lock:
            self._without_model.clear()
            gone = [user_id for user_id in self._cache if user_id not in active]
            for user_id in gone:
                del self._cache[user_id]
            changed = [user_id for user_id, loaded in self._cache.items() if loaded.version != active[user_id]]
        for user_id in changed:
            self._load(user_id)

    def predict_windows(self, requests: Sequence[WindowRequest]) -> list[WindowAnswer]:
        """Answer windows of several profiles; a profile whose model fails spoils no other's answer.

        Returns
        -------
        One answer a window, in the order of the request.
        """
        by_user: dict[int, list[int]] = {}
        for index, request in enumerate(requests):
            by_user.setdefault(request.user_id, []).append(index)
        answers: dict[int, WindowAnswer] = {}
        ready: list[tuple[list[int], Loaded, NDArray[np.float32]]] = []
        for user_id, indexes in by_user.items():
            found = self._prepare(user_id, [requests[index].window for index in indexes])
            if isinstance(found, WindowAnswer):
                answers |= dict.fromkeys(indexes, found)
            else:
                ready.append((indexes, *found))
        for (indexes, loaded, _), rows in zip(ready, _predict_all(ready), strict=True):
            user_id = requests[indexes[0]].user_id
            for place, index in enumerate(indexes):
                answers[index] = (
                    WindowAnswer(user_id, 0, WindowStatus.FAILED, _NONE)
                    if rows is None
                    else WindowAnswer(user_id, loaded.version, WindowStatus.OK, rows[place])
                )
        return [answers[index] for index in range(len(requests))]

    def predict(self, user_id: int, data: NDArray[np.float32]) -> PredictResponse:
        """Predict every window of raw samples, conditioned from a reset state.

        Parameters
        ----------
        data
            Float32 ``(n, channels of the device)``.

        Raises
        ------
        NoModelError
            No such profile, or no active model.
        InputError
            Wrong number of channels, or too few samples for one window.
        """
        with self._pool.transaction() as tx:
            try:
                device = profiles.get_profile(tx, user_id).device
            except NotFoundError as exc:
                raise NoModelError(f"there is no profile {user_id}") from exc
        loaded = self.find(user_id)
        if loaded is None:
            raise NoModelError(f"profile {user_id} has no active model: train one, or activate a version")
        windows, ends = _windows(loaded.classifier, device, data)
        probabilities = loaded.classifier.predict_proba(windows)
        best = probabilities.argmax(axis=1)
        classes = loaded.classifier.classes
        return PredictResponse(
            userid=user_id,
            model_version=loaded.version,
            classes=list(classes),
            predictions=[
                Prediction(label=classes[k], confidence=float(row[k]), end_index=end)
                for k, row, end in zip(best.tolist(), probabilities, ends.tolist(), strict=True)
            ],
        )

    def _prepare(
        self, user_id: int, windows: list[NDArray[np.float32]]
    ) -> tuple[Loaded, NDArray[np.float32]] | WindowAnswer:
        """Give the profile's classifier with its windows stacked, or why it cannot answer."""
        try:
            loaded = self.find(user_id)
        except Exception:  # one broken profile must not spoil the others; the log has the reason
            logger.exception("model not loaded", extra={"user_id": user_id})
            return WindowAnswer(user_id, 0, WindowStatus.FAILED, _NONE)
        if loaded is None:
            return WindowAnswer(user_id, 0, WindowStatus.NO_MODEL, _NONE)
        shape = (len(loaded.classifier.channels), loaded.classifier.window.window_samples)
        if any(window.shape != shape for window in windows):
            return WindowAnswer(user_id, loaded.version, WindowStatus.STALE, _NONE)
        return loaded, windows[0][None] if len(windows) == 1 else np.stack(windows)

    def _load(self, user_id: int) -> Loaded | None:
        with self._pool.transaction() as tx:
            found = models.find_active_artifact(tx, user_id)
        if found is None:
            with self._lock:
                self._cache.pop(user_id, None)
                if len(self._without_model) < 100_000:
                    self._without_model.add(user_id)
            return None
        model, artifact = found
        loaded = Loaded(model.version, Classifier.from_bytes(artifact))
        with self._lock:
            self._cache[user_id] = loaded
            self._cache.move_to_end(user_id)
            while len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)
        return loaded


def _predict_all(
    ready: Sequence[tuple[list[int], Loaded, NDArray[np.float32]]],
) -> Sequence[NDArray[np.float32] | None]:
    """Give all probabilities in one pass; when that fails, one by one, None for whom it fails again."""
    try:
        return predict_together([(loaded.classifier, windows) for _, loaded, windows in ready])
    except Exception:  # find out whose model it is, so that the others are answered
        logger.exception("prediction of %d profiles failed, each is tried alone", len(ready))
    alone: list[NDArray[np.float32] | None] = []
    for _, loaded, windows in ready:
        try:
            alone.append(loaded.classifier.predict_proba(windows))
        except Exception:
            logger.exception("prediction failed", extra={"model_version": loaded.version})
            alone.append(None)
    return alone


def _windows(
    classifier: Classifier, device: Device, data: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Cut raw samples as the live path does, channels chosen by name."""
    if data.shape[1] != device.n_channels:
        raise InputError(
            "data", f"expected {device.n_channels} channels a row ({', '.join(device.channels)}), got {data.shape[1]}"
        )
    try:
        columns = columns_of(classifier.channels, device)
    except ArtifactError as exc:
        raise InputError("data", str(exc)) from exc
    windows, ends = WindowStream(classifier.conditioning, classifier.window, columns).push(data, True)
    if len(ends) == 0:
        needed = classifier.window.settle_samples + classifier.window.window_samples
        raise InputError("data", f"expected at least {needed} samples for one window, got {len(data)}")
    return windows, ends
