"""Classifiers that follow live streams: what each profile's stream has shown so far, in memory and bounded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from semg.signals.model.adaptation import BLOCK, Adapter
from semg.signals.model.classifier import Classifier


@dataclass(slots=True)
class StreamAdapter:
    """One profile's stream: its number, the model version that follows it, and what was learned.

    ``busy`` is held while a request uses it: two requests with windows of one stream would learn in no order.
    """

    version: int
    number: int
    adapter: Adapter
    busy: threading.Lock = field(default_factory=threading.Lock)

    @property
    def room(self) -> int:
        """How many windows are answered alike, before what was learned by then takes effect."""
        return BLOCK - self.adapter.pending

    def learn(self, windows: list[NDArray[np.float32]], features: NDArray[np.float32]) -> None:
        """Take note of consecutive windows that were answered, and of their features."""
        self.adapter.learn(np.stack(windows), features)


class StreamAdapters:
    """The followers of the profiles that were heard last. Safe to use from threads.

    Parameters
    ----------
    most
        So many are kept; a profile that lost its own begins anew.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_user: OrderedDict[int, StreamAdapter] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, user_id: int, version: int, number: int, classifier: Classifier) -> StreamAdapter | None:
        """Return the follower of a profile's stream, for this request alone until ``busy`` is released.

        Parameters
        ----------
        version, classifier
            What answers.
        number
            The stream's; another one than the last begins anew.

        Returns
        -------
        None when the window has to be answered as it is: the classifier follows nothing, the window was made for a
        version before the one that follows the stream by now, or another request has the stream.
        """
        if number == 0 or not Adapter.can_follow(classifier):
            return None
        with self._lock:
            follower = self._by_user.get(user_id)
            if follower is not None and version < follower.version:
                return None
            if follower is None or (follower.version, follower.number) != (version, number):
                follower = StreamAdapter(version, number, Adapter(classifier))
                self._by_user[user_id] = follower
            self._by_user.move_to_end(user_id)
            while len(self._by_user) > self._most:
                self._by_user.popitem(last=False)
        return follower if follower.busy.acquire(blocking=False) else None

    def forget(self, user_id: int) -> None:
        """Forget a profile that has no model any more."""
        with self._lock:
            self._by_user.pop(user_id, None)
