"""Read the recordings of a BIDS data set of electromyography, own and others'."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from semg.errors import RecordingError
from semg.formats import edf_reader, tab_separated
from semg.formats.bids import OWN_KEY
from semg.formats.described import read_object
from semg.formats.labelling import Found, numbered
from semg.formats.neutral import DEFAULTS, About, Label, NeutralRecording, ReadOptions

MAX_FILES = 10_000
_MAX_JSON = 1 << 20


def is_dataset(path: Path) -> bool:
    """Return whether a folder is a data set of BIDS."""
    return (path / "dataset_description.json").is_file()


def read(path: Path, options: ReadOptions = DEFAULTS) -> Iterator[NeutralRecording]:
    """Yield the recordings of a data set, one after another, by person and session.

    Raises
    ------
    RecordingError
        The folder holds none, or one of them is no such file, is damaged or too large.
    """
    found = sorted(one for one in path.rglob("sub-*_emg.*") if one.suffix in (".bdf", ".edf") and one.is_file())
    if not found:
        raise RecordingError(f"{path.name} holds no sub-…_emg.bdf or sub-…_emg.edf; expected a BIDS data set of EMG")
    if len(found) > MAX_FILES:
        raise RecordingError(f"{path.name} holds {len(found):,} recordings; at most {MAX_FILES:,} are read")
    for file in found:
        (recording,) = edf_reader.read(file, options)
        yield _completed(recording, file)


def _completed(recording: NeutralRecording, file: Path) -> NeutralRecording:
    """Return a recording with what the files beside it say."""
    stem = file.name.removesuffix(file.suffix).removesuffix("_emg")
    sidecar = read_object(file.with_suffix(".json"), _MAX_JSON)
    entities = dict(part.split("-", 1) for part in stem.split("_") if "-" in part)
    own = sidecar.get(OWN_KEY)
    about = replace(recording.about, person=entities.get("sub", ""), name=entities.get("ses", stem))
    mains_hz = sidecar.get("PowerLineFrequency")
    if isinstance(mains_hz, int | float) and mains_hz in (50, 60):
        about = replace(about, mains_hz=float(mains_hz))
    if isinstance(own, dict):
        about = _own(about, own)
    events = file.with_name(f"{stem}_events.tsv")
    if recording.labels or not events.is_file():
        return replace(recording, about=about)
    first_us = next((int(portion.times_us[0]) for portion in recording.portions()), 0)
    labels, notes = _labels(events, first_us, about.rate_hz)
    return replace(recording, about=about, labels=labels, notes=(*recording.notes, *notes))


def _own(about: About, own: dict[str, Any]) -> About:
    """Return what the platform wrote beside BIDS's own fields, as far as it makes sense."""
    name, channels = own.get("session"), own.get("channels")
    if isinstance(name, str) and name:
        about = replace(about, name=name)
    if isinstance(channels, list) and len(channels) == len(about.channels) and all(
        isinstance(one, str) for one in channels
    ):  # fmt: skip
        about = replace(about, channels=tuple(channels))
    return replace(about, simulated=own.get("simulated") is True)


def _labels(path: Path, first_us: int, rate_hz: float) -> tuple[tuple[Label, ...], tuple[str, ...]]:
    """Return the repetitions in a table of events; moments and what is bad are none."""
    found: list[Found] = []
    moments = 0
    for row in tab_separated.read(path):
        gesture = row.get("trial_type", "")
        try:
            onset_s, duration_s = float(row["onset"]), float(row.get("duration", "n/a"))
        except (KeyError, ValueError):
            moments += 1
            continue
        if gesture in ("", tab_separated.MISSING) or gesture.upper().startswith("BAD"):
            continue
        if not duration_s > 0:
            moments += 1
            continue
        number = row.get("repetition", "")
        slack_us = 1e6 / rate_hz / 3
        found.append(
            (gesture, int(number) if number.isdecimal() else None, first_us + round(onset_s * 1e6 - slack_us),
             first_us + round((onset_s + duration_s) * 1e6 - slack_us), row.get("excluded") == "1", "")
        )  # fmt: skip
    found.sort(key=lambda one: one[2])
    note = f"{path.name}: {moments} events without a duration are no repetitions, and are left out."
    return numbered(found), (note,) if moments else ()
