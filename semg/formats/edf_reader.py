"""Read EDF, EDF+, BDF and BDF+ files, own and others'."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semg.domain import us_from_utc
from semg.errors import RecordingError
from semg.formats import edf_annotations, edf_header
from semg.formats.edf_annotations import Annotation
from semg.formats.edf_header import Header, Signal
from semg.formats.labelling import numbered
from semg.formats.neutral import (
    DEFAULTS,
    GAP,
    LATE,
    About,
    Label,
    NeutralRecording,
    ReadOptions,
    even_times_us,
    in_memory,
    require_size,
)

_CHUNK_BYTES = 4 << 20
_NO_SIGNAL = ("Status",)
"""BioSemi's triggers: bits, and no measurement."""
_KIND = re.compile(r"(?:EMG|EEG) ")
"""What EDF+ puts before a channel's name; names of the platform's own have no blank."""


def read(path: Path, options: ReadOptions = DEFAULTS) -> Iterator[NeutralRecording]:
    """Yield the one recording of a file.

    Raises
    ------
    RecordingError
        It is no such file, is damaged or too large, or its channels measure at rates that leave none to take.
    """
    with path.open("rb") as file:
        header = edf_header.read(file, path)
        chosen, notes = _chosen(header, path, options)
        per_record = header.signals[chosen[0]].per_record
        n_rows = header.n_records * per_record
        require_size(path, n_rows, len(chosen), options.limits)
        rate_hz = _rate(header, per_record, path)
        samples = np.empty((n_rows, len(chosen)), np.float32)
        lists: list[Annotation] = []
        starts_s: list[float] = []
        at_once = max(1, _CHUNK_BYTES // header.record_bytes)
        for first in range(0, header.n_records, at_once):
            n = min(at_once, header.n_records - first)
            raw = np.frombuffer(file.read(n * header.record_bytes), np.uint8)
            if len(raw) < n * header.record_bytes:
                raise RecordingError(f"{path.name} became shorter while it was read")
            records = raw.reshape(n, header.record_bytes)
            _take(header, records, chosen, samples[first * per_record : (first + n) * per_record])
            for record in records:
                _annotations(header, record.tobytes(), lists, starts_s)
            if len(lists) > 4 * options.limits.labels:
                raise RecordingError(f"{path.name} has more than {4 * options.limits.labels:,} annotations")
    made = _made(header, chosen, samples, rate_hz, lists, starts_s, notes)
    yield made


def _chosen(header: Header, path: Path, options: ReadOptions) -> tuple[list[int], tuple[str, ...]]:
    """Return which signals are taken: the given ones, or those of the rate that most have."""
    signals = [
        (index, one)
        for index, one in enumerate(header.signals)
        if not one.is_annotation and one.per_record and one.label not in _NO_SIGNAL
    ]
    names = [_name(one) for _, one in signals]
    if options.channels is not None:
        missing = [name for name in options.channels if name not in names]
        if missing:
            raise RecordingError(f"{path.name} has no channel {', '.join(missing)}; it has {', '.join(names)[:300]}")
        indices = [signals[names.index(name)][0] for name in options.channels]
        rates = {header.signals[index].per_record for index in indices}
        if len(rates) > 1:
            raise RecordingError(f"{path.name}: the chosen channels measure at different rates; choose those of one")
        return indices, ()
    if not signals:
        raise RecordingError(f"{path.name} has no channel of samples, only annotations")
    usual = Counter(one.per_record for _, one in signals).most_common(1)[0][0]
    left = [_name(one) for _, one in signals if one.per_record != usual]
    note = (f"Channels that measure at another rate are left out: {', '.join(left)[:300]}.",) if left else ()
    return [index for index, one in signals if one.per_record == usual], note


def _rate(header: Header, per_record: int, path: Path) -> float:
    if header.record_s <= 0:
        raise RecordingError(f"{path.name} says that a data record lasts {header.record_s:g} s; its rate is unknown")
    rate = per_record / header.record_s
    return float(round(rate)) if abs(rate - round(rate)) < 1e-6 * rate else rate


def _take(header: Header, records: NDArray[np.uint8], chosen: list[int], out: NDArray[np.float32]) -> None:
    """Write the samples of records ``(n, record_bytes)`` into ``(n * per_record, C)``."""
    offsets = np.cumsum([0, *(one.per_record for one in header.signals)]) * header.width
    for column, index in enumerate(chosen):
        one = header.signals[index]
        raw = records[:, offsets[index] : offsets[index + 1]].reshape(-1, header.width)
        wide = np.zeros((len(raw), 4), np.uint8)
        wide[:, 4 - header.width :] = raw
        digital = wide.view("<i4").ravel() >> (8 * (4 - header.width))
        out[:, column] = (digital - float(one.digital_low)) * one.step + one.low


def _annotations(header: Header, record: bytes, lists: list[Annotation], starts_s: list[float]) -> None:
    at, is_first = 0, True
    for one in header.signals:
        size = one.per_record * header.width
        if one.is_annotation:
            found = edf_annotations.decode(record[at : at + size])
            if is_first and found and found[0].texts == ("",):
                starts_s.append(found[0].onset_s)
            lists += [each for each in found if any(each.texts)]
            is_first = False
        at += size


def _made(
    header: Header,
    chosen: list[int],
    samples: NDArray[np.float32],
    rate_hz: float,
    lists: list[Annotation],
    starts_s: list[float],
    notes: tuple[str, ...],
) -> NeutralRecording:
    signals = [header.signals[index] for index in chosen]
    per_record = signals[0].per_record
    begin_us = us_from_utc(header.started_at) if header.started_at else 0
    index = np.arange(len(samples))
    first_s = starts_s[0] if starts_s else 0.0
    if header.plus.endswith("D") and len(starts_s) == header.n_records:
        own_us = np.rint(np.array(starts_s) * 1e6).astype(np.int64)
        times_us = np.repeat(own_us, per_record) + even_times_us(index % per_record, rate_hz)
        if (np.diff(times_us) <= 0).any():
            raise RecordingError("the file has data records that overlap in time, or go back; its device restarted?")
    else:
        times_us = even_times_us(index, rate_hz, round(first_s * 1e6))
    kept = np.ones(len(samples), bool)
    late = np.zeros(len(samples), bool)
    for one in lists:
        if one.texts[0] in (GAP, LATE):
            since, until = np.searchsorted(times_us, _edges(one, rate_hz))
            (kept if one.texts[0] == GAP else late)[since:until] = one.texts[0] == LATE
    times_us, samples, late = times_us[kept], samples[kept], late[kept]
    starts_run = np.zeros(len(samples), bool)
    if len(samples):
        starts_run[0] = True
        starts_run[1:] = np.diff(times_us) > 1.5e6 / rate_hz
    labels, skipped = _labels(lists, begin_us, rate_hz)
    about = About(
        channels=tuple(_name(one) for one in signals),
        rate_hz=rate_hz,
        name=_word(header.recording, 2) if header.plus else "",
        person=_word(header.patient, 0),
        unit=signals[0].unit,
        sensor="envelope" if signals[0].transducer == "sEMG envelope" else "raw",
        value_min=min(one.low for one in signals),
        value_max=max(one.high for one in signals),
        dated=header.started_at is not None,
    )
    return in_memory(about, labels, times_us + begin_us, samples, starts_run, late, notes + skipped)


def _edges(one: Annotation, rate_hz: float) -> tuple[int, int]:
    """Return the times of an annotation, a third of a sample earlier: texts are rounded to microseconds."""
    slack_us = 1e6 / rate_hz / 3
    return round(one.onset_s * 1e6 - slack_us), round((one.onset_s + one.duration_s) * 1e6 - slack_us)


def _labels(lists: list[Annotation], begin_us: int, rate_hz: float) -> tuple[tuple[Label, ...], tuple[str, ...]]:
    """Return the repetitions among annotations, and a sentence on those that are moments and not intervals."""
    found: list[tuple[str, int | None, int, int, bool, str]] = []
    moments = 0
    for one in sorted(lists, key=lambda each: each.onset_s):
        said = edf_annotations.repeated(one.texts)
        if said is None:
            continue
        if not one.duration_s:
            moments += 1
            continue
        since, until = _edges(one, rate_hz)
        found.append((said.gesture, said.number, begin_us + since, begin_us + until, said.excluded, said.reason))
    note = f"{moments} annotations without a duration are no repetitions, and are left out."
    return numbered(found), (note,) if moments else ()


def _name(one: Signal) -> str:
    return _KIND.sub("", one.label) or one.label


def _word(text: str, index: int) -> str:
    """Return a word of a field of EDF+, in which X stands for unknown."""
    words = text.split(" ")
    return words[index] if len(words) > index and words[index] != "X" else ""
