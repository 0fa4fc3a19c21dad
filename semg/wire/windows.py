"""Encode and decode the binary body of ``POST /predict/windows`` and its answer.

A request carries conditioned windows of several profiles, each with its userid; the answer carries one row of
probabilities per window, in the order of the request. Little-endian; ``docs/wire.md`` shows the layout.
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
MAX_ANSWER_VALUES = 1 << 22
_HEADER = struct.Struct("<4sI")
_REQUEST_ROW = np.dtype(
    [
        ("user_id", "<i8"),
        ("model_version", "<u4"),
        ("n_channels", "<u2"),
        ("stream", "<u2"),
        ("n_samples", "<u4"),
    ]
)
_ANSWER_ROW = np.dtype([("user_id", "<i8"), ("model_version", "<u4"), ("status", "<u2"), ("n_classes", "<u2")])


class WindowStatus(IntEnum):
    """Result of one window."""

    OK = 0
    NO_MODEL = 1
    STALE = 2
    """The window was cut for another model version and does not fit the active one."""
    FAILED = 3


@dataclass(frozen=True, slots=True)
class AlikeWindows:
    """Windows of one shape as columns, each of its own profile.

    Attributes
    ----------
    indices
        Index of each window in its request, int64 ``(N,)``.
    user_ids, model_versions
        int64 ``(N,)``.
    windows
        float32 ``(N, C, T)``.
    streams
        Int64 ``(N,)``. 0: predicted by the stored classifier without adaptation. Otherwise the window follows the
        profile's last one of the same number, and the classifier adapts to the stream; a new number starts a new
        stream.
    """

    indices: NDArray[np.int64]
    user_ids: NDArray[np.int64]
    model_versions: NDArray[np.int64]
    windows: NDArray[np.float32]
    streams: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AnswerTable:
    """Answers as columns.

    Attributes
    ----------
    user_ids, model_versions, statuses, n_classes
        int64 ``(N,)``.
    probabilities
        float32 ``(N, K)`` with the largest of ``n_classes`` as ``K``; values beyond a window's classes are 0.
    """

    user_ids: NDArray[np.int64]
    model_versions: NDArray[np.int64]
    statuses: NDArray[np.int64]
    n_classes: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.user_ids)


Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]
"""User ids, model versions, streams and windows ``(N, C, T)`` of a chunk of a request."""


def encode_alike(chunks: Sequence[Columns]) -> bytes:
    """Return the request body of windows given as columns."""
    tables, data = [], []
    for user_ids, model_versions, streams, windows in chunks:
        table = np.zeros(len(user_ids), _REQUEST_ROW)
        table["user_id"], table["model_version"], table["stream"] = user_ids, model_versions, streams
        table["n_channels"], table["n_samples"] = windows.shape[1:]
        tables.append(table.tobytes())
        data.append(np.ascontiguousarray(windows, "<f4").tobytes())
    total = sum(len(chunk[0]) for chunk in chunks)
    return b"".join([_HEADER.pack(REQUEST_MAGIC, total), *tables, *data])


def decode_alike(body: bytes) -> list[AlikeWindows]:
    """Decode a request body into columns, windows of equal shape together; read-only views where possible.

    Raises
    ------
    WireError
        With reason ``windows_magic``, ``windows_size`` or ``not_finite``.
    """
    rows, at = _table(body, REQUEST_MAGIC, _REQUEST_ROW, "windows")
    channels, samples = rows["n_channels"].astype(np.int64), rows["n_samples"].astype(np.int64)
    legal = np.all((channels >= 1) & (channels <= MAX_CHANNELS) & (samples >= 1) & (samples <= MAX_WINDOW_SAMPLES))
    sizes = channels * samples
    expected = at + 4 * int(sizes.sum())
    if not legal or len(body) != expected:
        raise WireError("windows_size", f"expected {expected} bytes by the table, got {len(body)}")
    values = np.frombuffer(body, "<f4", -1, at)
    if not np.isfinite(values).all():
        raise WireError("not_finite", "expected finite window values")
    user_ids, versions = rows["user_id"].astype(np.int64), rows["model_version"].astype(np.int64)
    streams = rows["stream"].astype(np.int64)
    shapes = channels * (MAX_WINDOW_SAMPLES + 1) + samples
    if len(rows) and (shapes == shapes[0]).all():
        windows = values.reshape(len(rows), int(channels[0]), int(samples[0]))
        return [AlikeWindows(np.arange(len(rows)), user_ids, versions, windows, streams)]
    starts = np.cumsum(sizes) - sizes
    chunks = []
    for shape in np.unique(shapes):
        indices = np.flatnonzero(shapes == shape)
        c, n = int(channels[indices[0]]), int(samples[indices[0]])
        windows = values[starts[indices, None] + np.arange(c * n)].reshape(len(indices), c, n)
        chunks.append(AlikeWindows(indices, user_ids[indices], versions[indices], windows, streams[indices]))
    return chunks


def encode_answer_table(answers: AnswerTable) -> bytes:
    """Return the answer body."""
    table = np.zeros(len(answers), _ANSWER_ROW)
    table["user_id"], table["model_version"] = answers.user_ids, answers.model_versions
    table["status"], table["n_classes"] = answers.statuses, answers.n_classes
    used = np.arange(answers.probabilities.shape[1]) < answers.n_classes[:, None]
    data = answers.probabilities[used].astype("<f4")
    return b"".join([_HEADER.pack(ANSWER_MAGIC, len(answers)), table.tobytes(), data.tobytes()])


def decode_answer_table(body: bytes) -> AnswerTable:
    """Decode an answer body into columns.

    Raises
    ------
    WireError
        With reason ``answer_magic`` or ``answer_size``.
    """
    rows, at = _table(body, ANSWER_MAGIC, _ANSWER_ROW, "answer")
    n_classes = rows["n_classes"].astype(np.int64)
    expected = at + 4 * int(n_classes.sum())
    if len(body) != expected or np.any(rows["status"] > max(WindowStatus)):
        raise WireError("answer_size", f"expected {expected} bytes by the table, got {len(body)}")
    if len(rows) * int(n_classes.max(initial=0)) > MAX_ANSWER_VALUES:
        raise WireError("answer_size", f"expected at most {MAX_ANSWER_VALUES} probabilities")
    probabilities = np.zeros((len(rows), int(n_classes.max(initial=0))), np.float32)
    probabilities[np.arange(probabilities.shape[1]) < n_classes[:, None]] = np.frombuffer(body, "<f4", -1, at)
    ids, versions = rows["user_id"].astype(np.int64), rows["model_version"].astype(np.int64)
    return AnswerTable(ids, versions, rows["status"].astype(np.int64), n_classes, probabilities)


def _table(body: bytes, magic: bytes, row: np.dtype, name: str) -> tuple[np.ndarray, int]:
    """Return the table's rows and the offset after them."""
    if len(body) < _HEADER.size or body[:4] != magic:
        raise WireError(f"{name}_magic", f"expected a body that starts with {magic!r}, got {bytes(body[:4])!r}")
    _, count = _HEADER.unpack_from(body)
    end = _HEADER.size + count * row.itemsize
    if len(body) < end:
        raise WireError(f"{name}_size", f"expected {count} table rows, got {len(body)} bytes in all")
    return np.frombuffer(body, row, count, _HEADER.size), end
