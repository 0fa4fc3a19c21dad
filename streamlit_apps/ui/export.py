"""Recordings as files to take away."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semg import private_files
from semg.domain import Session
from semg.recordings import write_recording
from semg.session_data import load_session
from semg.store import blocks
from semg.store.pool import Transaction


@dataclass(frozen=True, slots=True)
class Exported:
    """A session's samples in the order of time, with what was performed; excluded repetitions are unlabelled."""

    server_us: NDArray[np.int64]
    samples: NDArray[np.float32]
    gestures: NDArray[Any]
    repetitions: NDArray[np.int64]
    channels: tuple[str, ...]


def read_session(tx: Transaction, session: Session) -> Exported:
    """Give a session's samples with their labels.

    Raises
    ------
    TrainingError
        The session has no samples.
    """
    labelled = load_session(tx, session)
    found = [block for block in blocks.list_session_blocks(tx, session) if not block.late]
    server_us = np.concatenate([block.server_us for block in found])
    names = np.array(["", *(one.label for one in labelled.stretches)], dtype=object)[labelled.stretch + 1]
    numbers = np.array([0, *(one.repetition for one in labelled.stretches)])[labelled.stretch + 1]
    # The clock fit may step back by microseconds between two blocks; a recording's time grows from row to row.
    millis = np.round((server_us - server_us[0]) / 1000, 3)
    growing = np.r_[True, millis[1:] > np.maximum.accumulate(millis)[:-1]]
    return Exported(
        server_us[growing], labelled.samples[growing], names[growing], numbers[growing], labelled.channels
    )  # fmt: skip


def session_csv(tx: Transaction, session: Session, data_dir: Path) -> bytes:
    """Give a session as a gzip CSV ``millis,a0,…,gesture,repetition``, which can be imported again.

    ``millis`` counts from the session's first sample on the server's clock. The file is made below ``data_dir``.
    Errors as ``read_session``.
    """
    read = read_session(tx, session)
    millis = np.round((read.server_us - read.server_us[0]) / 1000, 3)
    with private_files.scratch(data_dir) as folder:
        path = folder / "session.csv.gz"
        write_recording(path, read.samples, millis, read.gestures.tolist(), read.repetitions, read.channels)
        return path.read_bytes()


def session_parquet(tx: Transaction, session: Session) -> bytes:
    """Give a session as Parquet: ``server_at`` (UTC, microseconds), the channels, ``gesture``, ``repetition``."""
    read = read_session(tx, session)
    columns: dict[str, Any] = {"server_at": pd.to_datetime(read.server_us, unit="us", utc=True)}
    columns |= {name: read.samples[:, index] for index, name in enumerate(read.channels)}
    columns |= {"gesture": pd.Categorical(read.gestures), "repetition": read.repetitions.astype(np.int32)}
    out = io.BytesIO()
    pd.DataFrame(columns).to_parquet(out, engine="pyarrow", compression="zstd", index=False)
    return out.getvalue()
