"""The numbers of a person's last capture plan, with which the next one begins."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from semg.errors import NotFoundError
from semg.store import checks
from semg.store.pool import Transaction, execute, one


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """The fields of a plan as they were filled in; ``left_out`` are the gestures that were not chosen."""

    kind: str = "Training"
    repetitions: int = 6
    gesture_s: float = 4.0
    rest_s: float = 3.0
    prepare_s: float = 5.0
    shuffled: bool = True
    seed: int = 0
    calibration_s: float = 4.0
    left_out: tuple[str, ...] = ()


_RANGES = {
    "repetitions": (1, 100),
    "gesture_s": (1.0, 60.0),
    "rest_s": (1.0, 60.0),
    "prepare_s": (0.0, 60.0),
    "seed": (0, 2**31 - 1),
    "calibration_s": (1.0, 60.0),
}


def get_settings(tx: Transaction, user_id: int) -> CaptureSettings:
    """Return a profile's settings; what was never stored, or is out of its range, is as for a new profile.

    Raises
    ------
    NotFoundError
        There is no such profile.
    """
    row = one(tx, "SELECT capture_settings FROM profiles WHERE user_id = %s", (user_id,))
    if row is None:
        raise NotFoundError(f"there is no profile {user_id}; it may have been deleted")
    return _settings(row.capture_settings)


def save_settings(tx: Transaction, user_id: int, settings: CaptureSettings) -> None:
    """Store a profile's settings.

    Raises
    ------
    NotFoundError
        There is no such profile.
    """
    statement = "UPDATE profiles SET capture_settings = %s WHERE user_id = %s"
    if execute(tx, statement, (checks.as_json(asdict(settings)), user_id)) == 0:
        raise NotFoundError(f"there is no profile {user_id}; it may have been deleted")


def _settings(stored: dict[str, Any]) -> CaptureSettings:
    new = CaptureSettings()
    known = {one.name: stored[one.name] for one in fields(new) if one.name in stored}
    kept = {name: value for name, value in known.items() if _fits(name, value, getattr(new, name))}
    for name in ("gesture_s", "rest_s", "prepare_s", "calibration_s"):
        if name in kept:
            kept[name] = float(kept[name])
    if "left_out" in kept:
        kept["left_out"] = tuple(kept["left_out"])
    return CaptureSettings(**kept)


def _fits(name: str, value: Any, usual: Any) -> bool:
    if name in _RANGES:
        low, high = _RANGES[name]
        is_number = isinstance(value, int if isinstance(usual, int) else (int, float)) and not isinstance(value, bool)
        return is_number and low <= value <= high
    if name == "left_out":
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return isinstance(value, type(usual))
