"""The binary body of ``POST /predict/windows`` and its answer.

A request carries conditioned windows of several profiles, each with its userid; the answer carries one row of
probabilities a window, in the order of the request. Little-endian; ``docs/wire.md`` draws the layout.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from semg.domain import MAX_CHANNELS
from semg.errors import WireError

CONTENT_TYPE = "application/x-semg-windows"
REQUEST_MAGIC, ANSWER_MAGIC = b"SEW1", b"SEP1"
MAX_WINDOW_SAMPLES = 1 << 16
_HEADER = struct.Struct("<4sI")
_REQUEST_ROW = np.dtype(
    [
        ("user_id", "<i8"),
        ("model_version", "<u4"),
        ("n_channels", "<u2"),
        ("reserved", "<u2"),
        ("n_samples", "<u4"),
    ]
)
_ANSWER_ROW = np.dtype([("user_id", "<i8"), ("model_version", "<u4"), ("status", "<u2"), ("n_classes", "<u2")])


class WindowStatus(IntEnum):
    """What became of one window."""

    OK = 0
    NO_MODEL = 1
    STALE = 2
    """The window was made for another model version and does not fit the active one."""
    FAILED = 3


@dataclass(frozen=True, slots=True)
class WindowRequest:
    """A conditioned window: float32 ``(n_channels, n_samples)``, channels by name in the model's order."""

    user_id: int
    model_version: int
    window: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class WindowAnswer:
    """Probabilities of one window, float32 ``(n_classes,)`` in the order of the model's classes."""

    user_id: int
    model_version: int
    status: WindowStatus
    probabilities: NDArray[np.float32]


def encode_request(windows: Sequence[WindowRequest]) -> bytes:
    """Give the request body."""
    rows = np.array(
        [(item.user_id, item.model_version, item.window.shape[0], 0, item.window.shape[1]) for item in windows],
        _REQUEST_ROW,
    )
    data = [np.ascontiguousarray(item.window, "<f4").tobytes() for item in windows]
    return b"".join([_HEADER.pack(REQUEST_MAGIC, len(windows)), rows.tobytes(), *data])


def decode_request(body: bytes) -> list[WindowRequest]:
    """Read a request body.

    Raises
    ------
    WireError
        With reason ``windows_magic``, ``windows_size`` or ``not_finite``.
    """
    rows, at = _table(body, REQUEST_MAGIC, _REQUEST_ROW, "windows")
    channels, samples = rows["n_channels"].astype(np.int64), rows["n_samples"].astype(np.int64)
    legal = np.all((channels >= 1) & (channels <= MAX_CHANNELS) & (samples >= 1) & (samples <= MAX_WINDOW_SAMPLES))
    expected = at + 4 * int((channels * samples).sum())
    if not legal or len(body) != expected:
        raise WireError("windows_size", f"expected {expected} bytes by the table, got {len(body)}")
    values = np.frombuffer(body, "<f4", -1, at)
    if not np.isfinite(values).all():
        raise WireError("not_finite", "expected finite window values")
    windows, first = [], 0
    for row, c, n in zip(rows, channels.tolist(), samples.tolist(), strict=True):
        window = values[first : first + c * n].reshape(c, n)
        windows.append(WindowRequest(int(row["user_id"]), int(row["model_version"]), window))
        first += c * n
    return windows


def encode_answer(answers: Sequence[WindowAnswer]) -> bytes:
    """Give the answer body."""
    rows = np.array(
        [(item.user_id, item.model_version, int(item.status), item.probabilities.size) for item in answers],
        _ANSWER_ROW,
    )
    data = [np.ascontiguousarray(item.probabilities, "<f4").tobytes() for item in answers]
    return b"".join([_HEADER.pack(ANSWER_MAGIC, len(answers)), rows.tobytes(), *data])


def decode_answer(body: bytes) -> list[WindowAnswer]:
    """Read an answer body.

    Raises
    ------
    WireError
        With reason ``answer_magic`` or ``answer_size``.
    """
    rows, at = _table(body, ANSWER_MAGIC, _ANSWER_ROW, "answer")
    expected = at + 4 * int(rows["n_classes"].astype(np.int64).sum())
    if len(body) != expected or np.any(rows["status"] > max(WindowStatus)):
        raise WireError("answer_size", f"expected {expected} bytes by the table, got {len(body)}")
    answers = []
    for row in rows:
        n = int(row["n_classes"])
        status = WindowStatus(int(row["status"]))
        probabilities = np.frombuffer(body, "<f4", n, at)
        answers.append(WindowAnswer(int(row["user_id"]), int(row["model_version"]), status, probabilities))
        at += 4 * n
    return answers


def _table(body: bytes, magic: bytes, row: np.dtype, name: str) -> tuple[np.ndarray, int]:
    """Give the table's rows and the offset behind them."""
    if len(body) < _HEADER.size or body[:4] != magic:
        raise WireError(f"{name}_magic", f"expected a body that starts with {magic!r}, got {bytes(body[:4])!r}")
    _, count = _HEADER.unpack_from(body)
    end = _HEADER.size + count * row.itemsize
    if len(body) < end:
        raise WireError(f"{name}_size", f"expected {count} table rows, got {len(body)} bytes in all")
    return np.frombuffer(body, row, count, _HEADER.size), end
