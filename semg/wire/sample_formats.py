"""The formats in which the API sends samples, and which of them a request accepts."""

from __future__ import annotations

from typing import Literal

SampleFormat = Literal["json", "csv", "parquet", "arrow"]
MEDIA_TYPES: dict[SampleFormat, str] = {
    "json": "application/json",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}
_MOST_RANGES = 20


def accepted_format(accept: str | None) -> SampleFormat | None:
    """Return the format that ``Accept`` (RFC 9110) prefers, JSON where anything goes; None for none of them."""
    if not accept:
        return "json"
    found: list[tuple[float, int, SampleFormat]] = []
    for one in accept.split(",")[:_MOST_RANGES]:
        kind, _, rest = one.partition(";")
        weight = _weight(rest)
        for position, (form, media_type) in enumerate(MEDIA_TYPES.items()):
            major = media_type.partition("/")[0]
            if weight > 0 and kind.strip().lower() in (media_type, f"{major}/*", "*/*"):
                found.append((-weight, position, form))
    return min(found)[2] if found else None


def _weight(parameters: str) -> float:
    for one in parameters.split(";"):
        name, _, value = one.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
