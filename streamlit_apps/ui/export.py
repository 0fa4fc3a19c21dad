"""Recordings as files to take away."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from semg.domain import Session
from semg.recordings import write_recording
from semg.session_data import load_session
from semg.store import blocks
from semg.store.pool import Transaction


def session_csv(tx: Transaction, session: Session) -> bytes:
    """Give a session as a gzip CSV ``millis,a0,…,gesture,repetition``; excluded repetitions are unlabelled.

    ``millis`` counts from the session's first sample on the server's clock.

    Raises
    ------
    TrainingError
        The session has no samples.
    """
    labelled = load_session(tx, session)
    found = [block for block in blocks.list_session_blocks(tx, session) if not block.late]
    server_us = np.concatenate([block.server_us for block in found])
    millis = np.round((server_us - server_us[0]) / 1000, 3)
    names = np.array(["", *(one.label for one in labelled.stretches)], dtype=object)[labelled.stretch + 1]
    numbers = np.array([0, *(one.repetition for one in labelled.stretches)])[labelled.stretch + 1]
    # The clock fit may step back by microseconds between two blocks; a recording's time grows from row to row.
    growing = np.r_[True, millis[1:] > np.maximum.accumulate(millis)[:-1]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "session.csv.gz"
        write_recording(
            path, labelled.samples[growing], millis[growing], names[growing].tolist(), numbers[growing],
            labelled.channels,
        )  # fmt: skip
        return path.read_bytes()
