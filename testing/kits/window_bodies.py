"""The bodies of ``POST /predict/windows`` window by window; the platform reads and writes them as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.wire.windows import WindowStatus, decode_alike, decode_answer_table, encode_alike


@dataclass(frozen=True, slots=True)
class WindowRequest:
    """A conditioned window: float32 ``(n_channels, n_samples)``, channels by name in the model's order.

    ``stream`` as in ``AlikeWindows``.
    """

    user_id: int
    model_version: int
    window: NDArray[np.float32]
    stream: int = 0


@dataclass(frozen=True, slots=True)
class WindowAnswer:
    """Probabilities of one window, float32 ``(n_classes,)`` in the order of the model's classes."""

    user_id: int
    model_version: int
    status: WindowStatus
    probabilities: NDArray[np.float32]


def encode_request(windows: Sequence[WindowRequest]) -> bytes:
    """Return the request body of windows, each by itself, in this order."""
    return encode_alike(
        [
            (np.array([w.user_id]), np.array([w.model_version]), np.array([w.stream]), np.asarray(w.window)[None])
            for w in windows
        ]
    )


def decode_request(body: bytes) -> list[WindowRequest]:
    """Read a request body as windows, each by itself, in their order.

    Raises
    ------
    WireError
        As ``decode_alike``.
    """
    found = [
        (place, WindowRequest(user_id, version, window, stream))
        for part in decode_alike(body)
        for place, user_id, version, stream, window in zip(
            *map(np.ndarray.tolist, (part.indices, part.user_ids, part.model_versions, part.streams)),
            part.windows,
            strict=True,
        )
    ]
    return [window for _, window in sorted(found, key=lambda item: item[0])]


def decode_answer(body: bytes) -> list[WindowAnswer]:
    """Read an answer body as answers, each by itself.

    Raises
    ------
    WireError
        As ``decode_answer_table``.
    """
    table = decode_answer_table(body)
    columns = (table.user_ids, table.model_versions, table.statuses, table.n_classes)
    return [
        WindowAnswer(user_id, version, WindowStatus(status), row[:n])
        for user_id, version, status, n, row in zip(*map(np.ndarray.tolist, columns), table.probabilities, strict=True)
    ]
