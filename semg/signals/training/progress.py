"""The progress of a training while it runs: its percentage, and each epoch of its networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite, nan
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochPoint:
    """One epoch of one network.

    Attributes
    ----------
    what
        Which network of the training it is.
    epoch, epochs
        Its number from 1, and of how many.
    loss
        Mean over the epoch; NaN of a network that diverged, null in JSON.
    held_out_error
        Part of the windows left out that were named wrongly after it, all gestures counting alike; None of a network
        that learns from all windows.
    """

    what: str
    epoch: int
    epochs: int
    loss: float
    held_out_error: float | None = None

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> EpochPoint:
        """Return the point of a JSON object."""
        return EpochPoint(
            what=stored["what"],
            epoch=stored["epoch"],
            epochs=stored["epochs"],
            loss=nan if stored["loss"] is None else stored["loss"],
            held_out_error=stored.get("held_out_error"),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the point as JSON-ready values."""
        return asdict(self) | {"loss": self.loss if isfinite(self.loss) else None}

    def as_line(self) -> str:
        """Return what the log says of it."""
        return f"{self.what}: epoch {self.epoch} of {self.epochs}, loss {self.loss:.3f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress:
    """How far a training is.

    Attributes
    ----------
    percent
        Of the whole training.
    epoch, epochs
        Of the current network.
    line
        For the log.
    point
        The epoch that has ended; None for any other line.
    """

    percent: float
    epoch: int
    epochs: int
    line: str
    point: EpochPoint | None = None
