"""Recordings made for tests and tools: of a synthetic arm, and as files."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semg.domain import CapturePlan
from semg.recordings.csv_format import Recording
from semg.signals.dataset import LabelledSamples, Stretch
from semg.signals.synthesis import SyntheticArm, SyntheticSession
from semg.wire import csv_cells

RECORDINGS = Path(os.environ.get("RECORDINGS_DIR", Path(__file__).resolve().parents[3] / "shared" / "data"))
"""Recordings of real people, where they lie beside the project."""


def number_stretches(
    gestures: NDArray[Any], repetitions: NDArray[np.int64], session: str
) -> tuple[NDArray[np.int32], tuple[Stretch, ...]]:
    """Count the runs of equal (gesture, repetition) in time order.

    Parameters
    ----------
    gestures
        ``(n,)`` of str; empty where nothing is labelled.
    repetitions
        ``(n,)``; numbers may start again, so the run is the stretch and not the pair.

    Returns
    -------
    ``stretch`` and ``stretches`` as ``LabelledSamples`` holds them.
    """
    if len(gestures) == 0:
        return np.empty(0, np.int32), ()
    labelled = gestures != ""
    changes = np.concatenate([[True], (gestures[1:] != gestures[:-1]) | (repetitions[1:] != repetitions[:-1])])
    firsts = np.flatnonzero(changes & labelled)
    stretch = np.where(labelled, np.cumsum(changes & labelled) - 1, -1).astype(np.int32)
    return stretch, tuple(Stretch(str(gestures[i]), int(repetitions[i]), session) for i in firsts)


def synthetic_recording(arm: SyntheticArm, session: SyntheticSession, name: str) -> Recording:
    """Return a synthetic session as a recording; channels are called ``a0``, ``a1`` and so on."""
    stretch, stretches = number_stretches(session.gestures, session.repetitions, name)
    starts_run = np.arange(len(stretch)) == 0
    channels = tuple(f"a{index}" for index in range(arm.channels))
    labelled = LabelledSamples(
        session.samples, starts_run, stretch, stretches, channels, arm.rate_hz, arm.sensor, arm.mains_hz
    )
    return Recording(labelled, session.device_ms.astype(np.float64), Path(name))


def labelled_session(arm: SyntheticArm, index: int = 1, plan: CapturePlan | None = None) -> LabelledSamples:
    """Return a whole session as training and evaluation take it; parameters as ``SyntheticArm.session``."""
    return synthetic_recording(arm, arm.session(index, plan), f"synthetic-{arm.seed}-{index}").labelled


def write_recording(
    path: str | Path,
    samples: NDArray[Any],
    device_ms: NDArray[Any],
    gestures: Sequence[str],
    repetitions: NDArray[Any],
    channels: Sequence[str] | None = None,
) -> None:
    """Write a recording that ``read_recording`` reads back; gzip when the name ends in ``.gz``.

    Parameters
    ----------
    samples
        ``(n, C)``; whole numbers are written as such.
    device_ms
        ``(n,)``, growing, in milliseconds.
    gestures, repetitions
        One per sample; an empty gesture means unlabelled.
    channels
        Names of the columns; ``a0, a1, …`` when not given.
    """
    path = Path(path)
    names = list(channels) if channels is not None else [f"a{index}" for index in range(samples.shape[1])]
    whole = bool(np.all(np.asarray(samples) == np.rint(samples)))
    columns: dict[str, Any] = {"millis": device_ms}
    for index, name in enumerate(names):
        columns[name] = samples[:, index].astype(np.int64) if whole else samples[:, index]
    columns["gesture"], columns["repetition"] = [csv_cells.neutral(gesture) for gesture in gestures], repetitions
    text = pd.DataFrame(columns).to_csv(index=False).encode()
    # mtime 0: the same samples give the same file.
    path.write_bytes(gzip.compress(text, 6, mtime=0) if path.suffix == ".gz" else text)
