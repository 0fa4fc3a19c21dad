"""MNE's own files (``.fif``), and recordings that MNE has in memory, in.

MNE is loaded by whoever reads such a file; it is no dependency of the platform.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from semg.domain import us_from_utc
from semg.errors import RecordingError
from semg.formats.labelling import Found, numbered
from semg.formats.neutral import (
    DEFAULTS,
    GAP,
    LATE,
    About,
    NeutralRecording,
    ReadOptions,
    even_times_us,
    in_memory,
    require_size,
)

_ROWS_AT_ONCE = 50_000
_MICROVOLTS = 1e6
_REFERENCE = re.compile(r"&#(\d{1,7});")
"""MNE writes a letter beyond Latin-1 so into a file, and reads it back as such."""


def read(path: Path, options: ReadOptions = DEFAULTS) -> Iterator[NeutralRecording]:
    """Yield the one recording of a file.

    Raises
    ------
    RecordingError
        It is no such file, is damaged or too large, or has no channel of EMG; or MNE is not installed.
    """
    try:
        import mne
    except ImportError as exc:
        raise RecordingError("files of MNE need it: pip install mne") from exc
    try:
        raw = mne.io.read_raw_fif(path, preload=False, verbose="error")
    except MemoryError:
        raise
    except Exception as exc:  # MNE raises what a damaged file makes of it
        raise RecordingError(f"{path.name} is no readable file of MNE ({str(exc)[:200]})") from exc
    yield from_raw(raw, path, options)


def from_raw(raw: Any, path: Path, options: ReadOptions = DEFAULTS) -> NeutralRecording:
    """Return a recording that MNE holds: its EMG channels, or all of signals where none is EMG, in microvolts.

    Parameters
    ----------
    raw
        An ``mne.io.Raw`` of any kind.
    path
        Its file, for messages and the name.

    Raises
    ------
    RecordingError
        It has no channel of signals, or more samples than the limits allow.
    """
    kinds = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    emg = [name for name, kind in kinds.items() if kind == "emg"]
    picks = emg or [name for name, kind in kinds.items() if kind in ("eeg", "misc", "bio")]
    if options.channels is not None:
        missing = [name for name in options.channels if name not in kinds]
        if missing:
            raise RecordingError(f"{path.name} has no channel {', '.join(missing)}; it has {', '.join(kinds)[:300]}")
        picks = list(options.channels)
    rate_hz, n = float(raw.info["sfreq"]), int(raw.n_times)
    require_size(path, n, len(picks), options.limits)
    samples = np.empty((n, len(picks)), np.float32)
    for first in range(0, n, _ROWS_AT_ONCE):
        until = min(n, first + _ROWS_AT_ONCE)
        samples[first:until] = raw.get_data(picks, first, until).T * _MICROVOLTS
    at = raw.info["meas_date"]
    first_us = round(raw.first_samp / rate_hz * 1e6) + (us_from_utc(at) if at is not None else 0)
    times_us = even_times_us(np.arange(n), rate_hz, first_us)
    bad = {GAP: np.zeros(n, bool), LATE: np.zeros(n, bool)}
    found: list[Found] = []
    moments = 0
    for one in raw.annotations:
        dated = one["orig_time"]
        begin_us = us_from_utc(dated) if dated is not None else first_us
        slack_us = 1e6 / rate_hz / 3
        since = round(begin_us + one["onset"] * 1e6 - slack_us)
        until_us = round(begin_us + (one["onset"] + one["duration"]) * 1e6 - slack_us)
        said = _REFERENCE.sub(_letter, str(one["description"]))
        if said in bad:
            bad[said][slice(*np.searchsorted(times_us, (since, until_us)).tolist())] = True
        elif not one["duration"]:
            moments += 1
        elif not said.upper().startswith(("BAD", "EDGE", "REPETITION ")):
            found.append((said, None, since, until_us, False, ""))
    kept = ~bad[GAP]
    times_us, samples, late = times_us[kept], samples[kept], bad[LATE][kept]
    starts_run = np.append(True, np.diff(times_us) > 1.5e6 / rate_hz)[: len(times_us)]
    notes = [] if emg else [f"{path.name} has no channel of the kind EMG; {', '.join(picks)[:200]} are taken."]
    if moments:
        notes.append(f"{moments} annotations without a duration are no repetitions, and are left out.")
    about = About(
        channels=tuple(picks),
        rate_hz=rate_hz,
        name=path.name.removesuffix(".fif").removesuffix("_raw"),
        unit="uV",
        sensor=options.sensor,
        mains_hz=float(raw.info["line_freq"] or options.mains_hz),
        dated=at is not None,
    )
    labels = numbered(sorted(found, key=lambda label: label[2]))
    return in_memory(about, labels, times_us, samples, starts_run, late, tuple(notes))


def _letter(found: re.Match[str]) -> str:
    return chr(int(found[1])) if int(found[1]) <= 0x10FFFF else found[0]
