"""Weights of people whose classifiers have one layout, a row each, and the prediction of windows by them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semg.signals.model import forward, kernels
from semg.signals.model.layout import Arrays, Layout

CHUNK = 64
"""Windows per pass: what they need stays in the cache (testing/benchmarks/predict.py)."""


class Stack:
    """A table of weights, a person a row. Predicting only reads it: a row may be filled while others are used.

    Parameters
    ----------
    layout
        Of all classifiers in it.
    n_rows
        Room for so many people; memory is used by filled rows only.
    """

    def __init__(self, layout: Layout, n_rows: int) -> None:
        self.layout = layout
        self.table = np.zeros((n_rows, layout.size), np.float32)
        self._layers = np.array(layout.layers, np.int64).reshape(-1, 3)
        self._dense = np.array(layout.dense, np.int64).reshape(-1, 2)
        self._spectral = {name: np.array(values, np.float32) for name, values in layout.spectral}
        self._as_worn = np.zeros((0, layout.n_channels), np.int64)
        self._unmoved = np.zeros((0, layout.n_features), np.float32)

    def put(self, row: int, arrays: Arrays) -> None:
        """Fill a row with a classifier's arrays."""
        self.layout.write(arrays, self.table[row])

    def answer(
        self,
        rows: NDArray[np.int64],
        windows: NDArray[np.float32],
        follows: NDArray[np.bool_] | None = None,
        rotations: NDArray[np.int64] | None = None,
        shifts: NDArray[np.float32] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the probabilities of windows, each by its own row, and their features.

        Parameters
        ----------
        rows
            ``(N,)``.
        windows
            Conditioned, float32 ``(N, C, T)``.
        follows
            Which windows are answered with the rotation and the shift of their row, ``(N,)``; None: none.
        rotations, shifts
            Of each row: permutation of the channels ``(P, C)``, shift of the features from those of its training
            ``(P, F)``.

        Returns
        -------
        probabilities
            Float32 ``(N, K)``; NaN where a model gives no number.
        features
            Float32 ``(N, F)`` of the closed-form branch, before the shift; NaN where there are none.
        """
        n, layout = len(rows), self.layout
        probabilities = np.empty((n, layout.n_classes), np.float32)
        features = np.empty((n, layout.n_features), np.float32)
        if follows is None or rotations is None or shifts is None:
            follows, rotations, shifts = np.zeros(n, np.bool_), self._as_worn, self._unmoved
        # A view of a request's bytes cannot be written to, which is another type to the compiler.
        windows = np.require(windows, np.float32, ("C", "W"))
        for start in range(0, n, CHUNK):
            part = slice(start, start + CHUNK)
            mine = rows[part]
            scaled = np.empty((len(mine), layout.n_channels, layout.n_samples), np.float32)
            kernels.scale(self.table, layout.starts, mine, windows[part], rotations, follows[part], scaled)
            features[part] = self._features(scaled)
            kernels.answer(
                self.table, layout.starts, self._layers, self._dense, mine, scaled, features[part], shifts,
                follows[part], probabilities[part],
            )  # fmt: skip
        return probabilities, features

    def move(
        self,
        rows: NDArray[np.int64],
        features: NDArray[np.float32],
        prior_classes: NDArray[np.float64],
        shifts: NDArray[np.float32],
        sums: NDArray[np.float64],
        counts: NDArray[np.float64],
    ) -> None:
        """Update the shifts of rows with a block of features each; parameters as ``kernels.move``."""
        kernels.move(
            self.table, self.layout.starts, self._dense, rows, features, prior_classes, shifts, sums, counts
        )  # fmt: skip

    def _features(self, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the features ``(N, F)`` of scaled windows.

        Raises
        ------
        ValueError
            The weights are made for another number of features.
        """
        layout = self.layout
        found = forward.branch_features(layout.kind, self._spectral, scaled, layout.envelope)
        if found.shape[1] != layout.n_features:
            raise ValueError(f"expected weights for {found.shape[1]} features, got {layout.n_features}")
        return found
