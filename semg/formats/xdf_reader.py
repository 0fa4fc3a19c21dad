"""Read the signal and the markers of an XDF file, own and others'."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semg.errors import RecordingError
from semg.formats import xdf_chunks
from semg.formats.labelling import Found, numbered
from semg.formats.neutral import DEFAULTS, About, Label, NeutralRecording, ReadOptions, in_memory, require_size
from semg.formats.xdf import END, LABEL_FIELDS, RUN, START
from semg.formats.xdf_chunks import Stream
from semg.signals.gaps import gap_step_us

_ENDS = frozenset({"", "end", "stop", "off", "pause", "finish", "done"})


def read(path: Path, options: ReadOptions = DEFAULTS) -> Iterator[NeutralRecording]:
    """Yield the one recording of a file: its EMG stream, or its largest of numbers at an even rate, with its markers.

    Raises
    ------
    RecordingError
        It is no such file, is damaged or too large, or holds no stream of numbers at an even rate.
    """
    streams = xdf_chunks.read(path, options.limits)
    signals = [one for one in streams if one.form != "string" and one.rate_hz > 0 and one.n and one.kind != "EMG-late"]
    signals.sort(key=lambda one: (one.kind.upper() != "EMG", -one.n * one.channels))
    if not signals:
        kinds = ", ".join(f"{one.name} ({one.kind})" for one in streams)
        raise RecordingError(f"{path.name} holds no samples at an even rate; its streams are {kinds[:300] or 'none'}")
    signal = signals[0]
    require_size(path, signal.n, signal.channels, options.limits)
    notes = [f"Of several streams, “{signal.name}” is taken."] if len(signals) > 1 else []
    rate_hz = signal.rate_hz
    times_us, values = _in_order(signal, path)
    own = _named(streams, LABEL_FIELDS)
    if own is not None:
        labels, runs_us = _own_labels(own)
        starts_run = np.isin(times_us, np.array(runs_us, np.int64))
    else:
        labels, said = _labels(streams, int(times_us[-1]) + round(1e6 / rate_hz))
        notes += said
        starts_run = np.append(True, np.diff(times_us) >= gap_step_us(1e6 / rate_hz))
    late = np.zeros(len(times_us), bool)
    for one in streams:
        if one.kind == "EMG-late" and one.n and one.channels == signal.channels:
            times_us, values, starts_run, late = _with_late((times_us, values, starts_run, late), _in_order(one, path))
    channels = _channels(signal)
    about = About(
        channels=channels,
        rate_hz=rate_hz,
        name=signal.described("session") or signal.name,
        person=(signal.info.findtext("source_id") or "").removeprefix("semg-") if own is not None else "",
        unit=signal.described("channels/channel/unit"),
        sensor="envelope" if (signal.described("sensor") or options.sensor) == "envelope" else "raw",
        mains_hz=options.mains_hz,
        dated=own is not None,
    )
    if options.channels is not None:
        missing = [name for name in options.channels if name not in channels]
        if missing:
            raise RecordingError(f"{path.name} has no channel {', '.join(missing)}; it has {', '.join(channels)[:300]}")
        values = values[:, [channels.index(name) for name in options.channels]]
        about = About(**{**{name: getattr(about, name) for name in About.__dataclass_fields__},
                         "channels": options.channels})  # fmt: skip
    yield in_memory(about, labels, times_us, values, starts_run, late, tuple(notes))


def _in_order(stream: Stream, path: Path) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return a stream's times in µs and values, sorted by time; of equal times the first is kept."""
    times_s = stream.clocked_s()
    if np.abs(times_s).max(initial=0) > 1e11:
        raise RecordingError(f"{path.name}: the times of “{stream.name}” are no seconds")
    times_us = np.rint(times_s * 1e6).astype(np.int64)
    values = np.concatenate(stream.values)
    if (np.diff(times_us) > 0).all():
        return times_us, values
    times_us, first = np.unique(times_us, return_index=True)
    return times_us, values[first]


Columns = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]


def _with_late(live: Columns, late: tuple[NDArray[np.int64], NDArray[np.float32]]) -> Columns:
    """Return live samples with late ones between them."""
    new = ~np.isin(late[0], live[0])
    times_us, values = late[0][new], late[1][new]
    order = np.argsort(np.concatenate([live[0], times_us]), kind="stable")
    marked = np.ones(len(times_us), bool)
    begins = np.append(True, np.diff(times_us) > 2 * np.median(np.diff(live[0]))) if len(live[0]) > 1 else marked
    return (
        np.concatenate([live[0], times_us])[order],
        np.concatenate([live[1], values])[order],
        np.concatenate([live[2], begins[: len(times_us)]])[order],
        np.concatenate([live[3], marked])[order],
    )


def _named(streams: list[Stream], fields: tuple[str, ...]) -> Stream | None:
    for one in streams:
        names = tuple(label.text or "" for label in one.info.findall("desc/channels/channel/label"))
        if one.form == "string" and names == fields:
            return one
    return None


def _own_labels(stream: Stream) -> tuple[tuple[Label, ...], list[int]]:
    """Return the repetitions that the platform wrote, and the times at which runs start."""
    times_us = np.rint(stream.clocked_s() * 1e6).astype(np.int64).tolist()
    found: list[Found] = []
    runs: list[int] = []
    open_: dict[tuple[str, str], int] = {}
    for at, (gesture, edge, number, excluded, reason) in zip(times_us, stream.texts, strict=True):
        if edge == RUN:
            runs.append(at)
        elif edge == START:
            open_[gesture, number] = at
        elif edge == END and (begun := open_.pop((gesture, number), None)) is not None:
            found.append((gesture, int(number) if number.isdecimal() else None, begun, at, excluded == "1", reason))
    found.sort(key=lambda one: one[2])
    return numbered(found), runs


def _labels(streams: list[Stream], end_us: int) -> tuple[tuple[Label, ...], list[str]]:
    """Return what markers of others say: each names what happens until the next one."""
    markers = [one for one in streams if one.form == "string" and one.channels == 1 and one.n]
    if not markers:
        return (), []
    chosen = max(markers, key=lambda one: one.n)
    times_us = np.rint(chosen.clocked_s() * 1e6).astype(np.int64).tolist()
    found: list[Found] = [
        (text.strip(), None, at, until, False, "")
        for at, until, (text,) in zip(times_us, [*times_us[1:], end_us], chosen.texts, strict=True)
        if text.strip().casefold() not in _ENDS and until > at
    ]
    return numbered(found), [f"A marker of “{chosen.name}” is taken as the label of what follows, until the next one."]


def _channels(stream: Stream) -> tuple[str, ...]:
    names = [(one.text or "").strip() for one in stream.info.findall("desc/channels/channel/label")]
    if len(names) == stream.channels and len(set(names)) == len(names) and all(names):
        return tuple(names)
    return tuple(f"a{index}" for index in range(stream.channels))
