"""What is known of a recording as JSON, for formats that have a place for a text but none for labels."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from semg.errors import RecordingError
from semg.formats.neutral import About, Label

KEY = "semg"
"""Name of the attribute, or of the entry of metadata, that holds the text."""
MAX_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Described:
    """A recording without its samples; ``runs_us`` are the times at which a run of samples starts."""

    about: About
    labels: tuple[Label, ...]
    runs_us: tuple[int, ...] = ()


def to_json(about: About, labels: Sequence[Label], runs_us: Sequence[int] = ()) -> str:
    """Return a description as text."""
    content = {"version": 1, "about": asdict(about), "labels": [asdict(one) for one in labels], "runs_us": [*runs_us]}
    return json.dumps(content, ensure_ascii=False)


def from_json(text: str | bytes, file_name: str) -> Described:
    """Return the description in a text.

    Raises
    ------
    RecordingError
        It is none, or a value in it has another type than it should have.
    """
    if len(text) > MAX_BYTES:
        raise RecordingError(f"{file_name}: its description has more than {MAX_BYTES >> 20} MB")
    try:
        content = json.loads(text)
        labels = tuple(_label(one) for one in content["labels"])
        return Described(_about(content["about"]), labels, tuple(_whole(one) for one in content["runs_us"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise RecordingError(
            f"{file_name}: its description (“{KEY}”) is damaged or of another version: {str(exc)[:200]}"
        ) from exc


def _about(content: dict[str, Any]) -> About:
    rate_hz, mains_hz = _number(content["rate_hz"]), _number(content["mains_hz"])
    if content["sensor"] not in ("raw", "envelope") or not 0 < rate_hz < 1e6:
        raise ValueError(f"sensor {content['sensor']!r} at {rate_hz} Hz")
    if not isinstance(content["channels"], list):
        raise TypeError("expected a list of channels")
    return About(
        channels=tuple(_text(one) for one in content["channels"]),
        rate_hz=rate_hz,
        name=_text(content["name"]),
        person=_text(content["person"]),
        unit=_text(content["unit"]),
        sensor=content["sensor"],
        mains_hz=mains_hz,
        value_min=_optional(content["value_min"]),
        value_max=_optional(content["value_max"]),
        handedness=_text(content["handedness"]),
        purposes=tuple(_text(one) for one in content["purposes"]),
        dated=content["dated"] is True,
        simulated=content["simulated"] is True,
    )


def _label(content: dict[str, Any]) -> Label:
    return Label(
        gesture=_text(content["gesture"]),
        number=_whole(content["number"]),
        start_us=_whole(content["start_us"]),
        end_us=_whole(content["end_us"]),
        excluded=content["excluded"] is True,
        reason=_text(content["reason"]),
        dynamic=content["dynamic"] is True,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 10_000:
        raise TypeError(f"expected a text, got {str(value)[:40]!r}")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or not -(2**62) < value < 2**62:
        raise TypeError(f"expected a whole number, got {str(value)[:40]!r}")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise TypeError(f"expected a number, got {str(value)[:40]!r}")
    return float(value)


def _optional(value: Any) -> float | None:
    return None if value is None else _number(value)


def read_object(path: Path, most_bytes: int) -> dict[str, Any]:
    """Return the JSON object of a file beside a recording; empty where there is none that can be read."""
    try:
        if path.stat().st_size > most_bytes:
            return {}
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
