"""Train in another channel order than the current one, and permute the weights back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.signals.model.electrode_rotation import Rotation, band_feature_indices, inverse, rotations_of

Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class ChannelPermutation:
    """A permutation of channels and features for training.

    Attributes
    ----------
    channels, features
        Index of the current channel and the current feature at each position of the training order.
    """

    channels: NDArray[np.intp]
    features: NDArray[np.intp]

    @staticmethod
    def of_first(rotation: Rotation, crossover: float, envelope: bool) -> ChannelPermutation:
        """Return the permutation to the first session's order; ``rotation`` maps that session to the current order."""
        back = inverse(rotation)
        indices = band_feature_indices(len(rotation), 2 if crossover > 0 else 1, envelope)
        return ChannelPermutation(np.array(back, np.intp), indices[rotations_of(len(rotation)).index(back)])

    def dense_back(self, made: Arrays) -> Arrays:
        """Return a dense branch that was trained in this order, permuted to the current order of features."""
        weight = np.empty_like(made["dense0_weight"])
        weight[self.features] = made["dense0_weight"]
        return made | {"dense0_weight": weight}

    def network_back(self, made: Arrays) -> Arrays:
        """Return a network that was trained in this order, permuted to the current order of channels."""
        trained = made["conv0_weight"]
        # (width * inputs, outputs) -> (width, inputs, outputs)
        taps = trained.reshape(-1, len(self.channels), trained.shape[1])
        weight = np.empty_like(taps)
        weight[:, self.channels] = taps
        return made | {"conv0_weight": weight.reshape(trained.shape)}
