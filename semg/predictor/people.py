"""The people whose models are cached, those of one layout a row each of the same arrays: weights, and streams.

A row holds what was learned from its person's stream beside the weights. It is filled when a model is loaded and free
again when nobody holds its ``Member`` any more: not the cache, and no request.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from semg.signals.model.adaptation import Following
from semg.signals.model.classifier import Classifier
from semg.signals.model.dynamic import DynamicRecogniser
from semg.signals.model.layout import Layout
from semg.signals.model.stack import Stack

ROWS = 64
"""Rows of a table. They never move, so that a request may read while others are filled; another table is added when
they are full. The system gives memory to rows that were written."""


class People:
    """Weights and streams of at most ``n_rows`` people whose classifiers have one layout.

    Attributes
    ----------
    following
        What was learned from their streams; None where the classifiers do not adapt.
    recognisers
        Of each row what recognises the dynamic gestures of its stream; None of a classifier without them.
    numbers
        Number of the stream that each row has learned from last; 0 before the first.
    """

    def __init__(self, layout: Layout, n_rows: int) -> None:
        self.stack = Stack(layout, n_rows)
        self.following = Following(self.stack) if layout.adapts else None
        self.recognisers: list[DynamicRecogniser | None] = [None] * n_rows
        self.numbers = np.zeros(n_rows, np.int64)
        self.free = deque(range(n_rows))
        self._has_streams = layout.adapts or layout.n_dynamic > 0
        self._busy = np.zeros(n_rows, np.bool_)
        self._lock = threading.Lock()
        self._classifiers: list[weakref.ref[Member] | None] = [None] * n_rows

    @property
    def is_unused(self) -> bool:
        """Whether all rows are free."""
        return len(self.free) == len(self.numbers)

    def add(self, classifier: Classifier) -> Member:
        """Fill a free row with a classifier of the layout."""
        row = self.free.popleft()
        self.stack.put(row, classifier.arrays)
        views = self.stack.layout.views(self.stack.table[row])
        kept = {name: views.get(name, array) for name, array in classifier.arrays.items()}
        kept["mix"] = classifier.arrays["mix"]  # of older ones shorter than the row's
        member = Member(replace(classifier, arrays=kept), self, row)
        if self.following is not None:
            self.following.put(row, member.classifier)
        self.numbers[row] = 0
        self._classifiers[row] = weakref.ref(member)
        weakref.finalize(member, self.free.append, row).atexit = False
        return member

    @contextmanager
    def streams(self, rows: NDArray[np.int64], numbers: NDArray[np.int64]) -> Iterator[NDArray[np.bool_]]:
        """Hold the streams of windows until the block ends.

        Parameters
        ----------
        rows, numbers
            Of each window: whose it is, and the number of its stream, 0 for none; ``(N,)``.

        Returns
        -------
        Which windows are of a stream that this request alone has: two requests with windows of one stream would learn
        in arbitrary order.
        """
        held = (numbers != 0) & self._has_streams
        with self._lock:
            held &= ~self._busy[rows]
            mine = rows[held]
            self._busy[mine] = True
        try:
            yield held
        finally:
            self._busy[mine] = False

    def begin_stream(self, row: int, number: int) -> None:
        """Forget what was learned from a person's last stream."""
        self.numbers[row] = number
        if self.following is not None:
            self.following.reset(row)
        member = self._classifiers[row]
        owner = None if member is None else member()
        self.recognisers[row] = None if owner is None else owner.classifier.dynamic_recogniser()


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Member:
    """A classifier whose weights are a row of a table; the row is used again when this is gone.

    ``classifier.arrays`` are views of the row.
    """

    classifier: Classifier
    people: People
    row: int


class PeopleByLayout:
    """The tables of all layouts. Safe to use from threads."""

    def __init__(self, rows: int = ROWS) -> None:
        self._rows = rows
        self._tables: dict[Layout, list[People]] = {}
        self._lock = threading.Lock()

    def add(self, classifier: Classifier) -> Member:
        """Return a classifier with its weights in a table of its layout.

        Raises
        ------
        ArtifactError
            The classifier's weights do not fit each other.
        """
        layout = classifier.layout
        with self._lock:
            for other in list(self._tables):
                self._tables[other] = [table for table in self._tables[other] if not table.is_unused]
                if not self._tables[other]:
                    del self._tables[other]
            tables = self._tables.setdefault(layout, [])
            table = next((table for table in tables if table.free), None)
            if table is None:
                table = People(layout, self._rows)
                tables.append(table)
            return table.add(classifier)
