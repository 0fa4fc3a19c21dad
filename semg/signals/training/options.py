"""Options of a training, and their parsing from the JSON of a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from semg.domain import MAX_OVERLAP, DecisionSpec, WindowSpec
from semg.errors import TrainingError

_LIMITS: dict[str, tuple[float, float]] = {
    "window_ms": (50, 1000),
    "hop_ms": (5, 1000),
    "settle_ms": (0, 5000),
    "skip_start_ms": (0, 5000),
    "epochs": (1, 200),
    "vote_n": (1, 50),
    "min_confidence": (0, 1),
    "hysteresis": (0, 1),
    "false_per_min": (0, 600),
    "high_pass_hz": (0, 500),
    "seed": (0, 2**31 - 1),
}

_WINDOW, _DECISION = WindowSpec(rate_hz=1.0), DecisionSpec()
"""Defaults stand in ``semg.domain`` alone. What decides live is the profile's own spec; these are its first values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """Options of a classifier's training and decisions.

    Attributes
    ----------
    channels
        Names of the channels to use, in order; all that the sessions have when None.
    window_ms, hop_ms, settle_ms
        See ``WindowSpec``.
    skip_start_ms
        Time skipped at the start of every training stretch, at most a fifth of it, because the hand reacts later than
        the prompt (0.3 to 0.6 s in recordings prompted every 5 s).
    high_pass_hz
        Overrides the default of ``ConditioningSpec``; 0 for none.
    false_per_min
        Maximum false activations per minute of rest of the report's operating point.
    calibrate
        For a job: its newest session is a calibration (10 s of rest, each gesture once) of the current placement.
    use_base
        For a job: use a population prior when one fits.
    """

    channels: tuple[str, ...] | None = None
    window_ms: float = _WINDOW.window_ms
    hop_ms: float = _WINDOW.hop_ms
    settle_ms: float = _WINDOW.settle_ms
    skip_start_ms: float = 500.0
    epochs: int = 18
    vote_n: int = _DECISION.vote_n
    min_confidence: float = _DECISION.min_confidence
    hysteresis: float = _DECISION.hysteresis
    false_per_min: float = 2.0
    high_pass_hz: float | None = None
    seed: int = 0
    calibrate: bool = False
    use_base: bool = True

    def __post_init__(self) -> None:
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if value is None and name == "high_pass_hz":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise TrainingError(f"The option {name} must lie between {low:g} and {high:g}, got {value!r}.")
        if self.window_ms > MAX_OVERLAP * self.hop_ms:
            raise TrainingError(
                f"A sample may be in at most {MAX_OVERLAP} windows: windows of {self.window_ms:g} ms need hop_ms of at "
                f"least {self.window_ms / MAX_OVERLAP:g}, got {self.hop_ms:g}."
            )

    @staticmethod
    def from_mapping(values: Mapping[str, Any]) -> TrainingOptions:
        """Return the options of a job's JSON object; missing names keep their defaults.

        Raises
        ------
        TrainingError
            Naming the option that is unknown or out of bounds.
        """
        known = [field.name for field in fields(TrainingOptions)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise TrainingError(f"Unknown training option {', '.join(unknown)}; known are {', '.join(known)}.")
        given = dict(values)
        if given.get("channels") is not None:
            is_list = isinstance(given["channels"], list | tuple)
            if not is_list or not all(isinstance(name, str) for name in given["channels"]):
                raise TrainingError("The option channels must be a list of channel names.")
            given["channels"] = tuple(given["channels"])
        for name in ("epochs", "vote_n", "seed"):
            if isinstance(given.get(name), float) and given[name].is_integer():
                given[name] = int(given[name])
            if name in given and not isinstance(given[name], int):
                raise TrainingError(f"The option {name} must be a whole number, got {given[name]!r}.")
        for name in ("calibrate", "use_base"):
            if name in given and not isinstance(given[name], bool):
                raise TrainingError(f"The option {name} must be true or false, got {given[name]!r}.")
        return TrainingOptions(**given)
