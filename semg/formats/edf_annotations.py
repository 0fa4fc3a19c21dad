"""Annotations of EDF+ and BDF+: time-stamped lists of texts in a signal of their own.

A repetition is one list ``gesture, repetition N``, with ``BAD_excluded`` behind them where it is left out; readers
show each text as an annotation of that time. https://www.edfplus.info/specs/edfplus.html, 2.2.2
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from semg.formats.neutral import EXCLUDED

MAX_TEXT = 240
_NUMBER = re.compile(r"repetition (\d{1,9})")
_CONTROLS = re.compile("[\x00-\x1f]")
_TIME = re.compile(rb"([+-]\d{1,12}(?:\.\d{0,12})?)(?:\x15(\d{1,12}(?:\.\d{0,12})?))?")


@dataclass(frozen=True, slots=True)
class Annotation:
    """Texts of one time; ``onset_s`` counts from the second at which the file begins."""

    onset_s: float
    duration_s: float
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    """What the texts of a repetition say."""

    gesture: str
    number: int | None
    excluded: bool
    reason: str


def texts_of(gesture: str, number: int, excluded: bool, reason: str) -> tuple[str, ...]:
    """Return the texts of a repetition."""
    bad = (f"{EXCLUDED}: {reason}" if reason else EXCLUDED,) if excluded else ()
    return (gesture, f"repetition {number}", *bad)


def repeated(texts: Sequence[str]) -> Repeated | None:
    """Return what the texts of a repetition say; None where they name no gesture."""
    if not texts or not texts[0]:
        return None
    found = _NUMBER.fullmatch(texts[1]) if len(texts) > 1 else None
    if found is None and texts[0].upper().startswith(("BAD", "EDGE")):
        return None
    bad = next((text for text in texts[1:] if text.startswith(EXCLUDED)), None)
    reason = "" if bad is None else bad.partition(": ")[2]
    return Repeated(texts[0], None if found is None else int(found[1]), bad is not None, reason)


def seconds(value: float) -> str:
    """Return a time as text, to the microsecond and without zeros at its end."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def encode(one: Annotation) -> bytes:
    """Return a list as bytes."""
    texts = b"\x14".join(_CONTROLS.sub(" ", text)[:MAX_TEXT].encode() for text in one.texts)
    lasts = b"\x15" + seconds(one.duration_s).encode() if one.duration_s else b""
    return (
        f"{'-' if one.onset_s < 0 else '+'}{seconds(abs(one.onset_s))}".encode() + lasts + b"\x14" + texts + b"\x14\0"
    )


def keeping(onset_s: float) -> bytes:
    """Return the list that says when a data record begins: one empty text."""
    return f"+{seconds(onset_s)}".encode() + b"\x14\x14\x00"


def record_size(lists: Sequence[bytes], n_records: int, longest_keeping: int) -> int:
    """Return how many bytes a record needs, so that all lists have room in so many records, in order."""
    longest = max((len(one) for one in lists), default=0)
    # Each record is filled but for less than its longest list.
    return longest_keeping + math.ceil(sum(map(len, lists)) / n_records) + longest


def pack(lists: Sequence[bytes], first_s: float, record_s: float, n_records: int, size: int) -> Iterator[bytes]:
    """Yield the annotation signal of each record."""
    at = 0
    for index in range(n_records):
        record = keeping(first_s + index * record_s)
        while at < len(lists) and len(record) + len(lists[at]) <= size:
            record += lists[at]
            at += 1
        yield record.ljust(size, b"\x00")


def decode(record: bytes) -> list[Annotation]:
    """Return the lists of a record; the first one of a file's first annotation signal keeps its time."""
    found = []
    for one in record.split(b"\x00"):
        time, *texts = one.split(b"\x14")
        match = _TIME.fullmatch(time)
        if match is None or not texts or texts.pop():
            continue  # padding, or no list
        said = tuple(text.decode("utf-8", "replace") for text in texts)
        found.append(Annotation(float(match[1]), float(match[2] or 0), said))
    return found
