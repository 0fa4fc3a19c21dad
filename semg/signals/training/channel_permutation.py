"""Training in another order of channels than the one that is worn, and bringing the weights back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.signals.model.electrode_rotation import Rotation, band_feature_indices, inverse, rotations_of

Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class ChannelPermutation:
    """An order to train in.

    Attributes
    ----------
    channels, features
        Which channel and which feature, in the order worn, stands at each place.
    """

    channels: NDArray[np.intp]
    features: NDArray[np.intp]

    @staticmethod
    def of_first(turn: Rotation, crossing: float, envelope: bool) -> ChannelPermutation:
        """Return the first session's order; ``turn`` brings that session into the order worn."""
        back = inverse(turn)
        places = band_feature_indices(len(turn), 2 if crossing > 0 else 1, envelope)
        return ChannelPermutation(np.array(back, np.intp), places[rotations_of(len(turn)).index(back)])

    def dense_back(self, made: Arrays) -> Arrays:
        """Return a dense branch that was trained in this order for features in the order worn."""
        weight = np.empty_like(made["dense0_weight"])
        weight[self.features] = made["dense0_weight"]
        return made | {"dense0_weight": weight}

    def network_back(self, made: Arrays) -> Arrays:
        """Return a network that was trained in this order for channels in the order worn."""
        trained = made["conv0_weight"]
        # (width * inputs, outputs) -> (width, inputs, outputs)
        taps = trained.reshape(-1, len(self.channels), trained.shape[1])
        weight = np.empty_like(taps)
        weight[:, self.channels] = taps
        return made | {"conv0_weight": weight.reshape(trained.shape)}
