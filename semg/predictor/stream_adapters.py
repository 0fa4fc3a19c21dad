"""Stream adapters: what was learned from each profile's live stream, in bounded memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from semg.signals.model.adaptation import BLOCK, Adapter
from semg.signals.model.classifier import Classifier
from semg.signals.model.dynamic import DynamicRecogniser


@dataclass(slots=True)
class StreamAdapter:
    """Adapter of one profile's stream, with the stream's number and the model version.

    ``recogniser`` hears the same windows for dynamic gestures; None of a classifier without them. ``busy`` is
    held while a request uses it: two requests with windows of one stream would learn in arbitrary order.
    """

    version: int
    number: int
    adapter: Adapter
    recogniser: DynamicRecogniser | None = None
    busy: threading.Lock = field(default_factory=threading.Lock)

    @property
    def room(self) -> int:
        """Number of windows until the next adaptation takes effect."""
        return BLOCK - self.adapter.pending

    def learn(self, windows: list[NDArray[np.float32]], features: NDArray[np.float32]) -> None:
        """Learn from consecutive predicted windows and their features."""
        self.adapter.learn(np.stack(windows), features)


class StreamAdapters:
    """The stream adapters of the most recent profiles. Safe to use from threads.

    Parameters
    ----------
    most
        Maximum number kept; a profile whose adapter was evicted starts again.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_user: OrderedDict[int, StreamAdapter] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, user_id: int, version: int, number: int, classifier: Classifier) -> StreamAdapter | None:
        """Return the adapter of a profile's stream, for this request alone until ``busy`` is released.

        Parameters
        ----------
        version, classifier
            The model that predicts.
        number
            The stream's; a number other than the last one starts a new adapter.

        Returns
        -------
        None when the window has to be predicted without what came before it: the classifier neither adapts nor knows
        dynamic gestures, the window was cut for a version before the adapter's, or another request holds the adapter.
        """
        if number == 0 or not (Adapter.can_follow(classifier) or classifier.trials):
            return None
        with self._lock:
            stream_adapter = self._by_user.get(user_id)
            if stream_adapter is not None and version < stream_adapter.version:
                return None
            if stream_adapter is None or (stream_adapter.version, stream_adapter.number) != (version, number):
                stream_adapter = StreamAdapter(version, number, Adapter(classifier), classifier.dynamic_recogniser())
                self._by_user[user_id] = stream_adapter
            self._by_user.move_to_end(user_id)
            while len(self._by_user) > self._most:
                self._by_user.popitem(last=False)
        return stream_adapter if stream_adapter.busy.acquire(blocking=False) else None

    def forget(self, user_id: int) -> None:
        """Remove the adapter of a profile that has no model any more."""
        with self._lock:
            self._by_user.pop(user_id, None)
