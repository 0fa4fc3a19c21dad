"""What one request to the predictor holds, and what waits for it: bounded in windows and in bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from semg.inference import request_queue
from semg.inference.request_queue import RequestQueue
from semg.inference.streams import DueWindows
from semg.signals.batch_windows import DueSlots


def due(n: int, samples: int, first: int = 0) -> DueWindows:
    """Windows of 16 channels, each of another profile."""
    numbers = np.arange(first, first + n)
    none = np.zeros(n, np.int64)
    cut = DueSlots(
        slots=numbers,
        windows=np.zeros((n, 16, samples), np.float32),
        device_us=none,
        server_us=none,
        received_us=none,
        starts_run=np.zeros(n, bool),
        numbers=numbers,
    )
    streams: Any = [object()] * n
    return DueWindows(streams, numbers, np.ones(n, np.int64), cut)


def taken(queue: RequestQueue) -> list[list[int]]:
    """The profiles of each request until nothing waits."""
    found = []
    while batch := queue.take():
        found.append([user_id for each in batch for user_id in each.user_ids.tolist()])
    return found


@pytest.fixture
def queue() -> RequestQueue:
    nobody: Any = None
    return RequestQueue(nobody)


def test_request_of_large_windows_holds_fewer_of_them_in_order(queue: RequestQueue) -> None:
    """A body larger than the API takes was refused as a whole, and everybody's windows in it were dropped."""
    assert queue.add(due(40, 2000)) == 0
    assert queue.add(due(600, 50, first=40)) == 0
    requests = taken(queue)
    assert [one for request in requests for one in request] == list(range(640))
    assert len(requests[0]) == 16
    for request in requests:
        n_bytes = sum(16 * 4 * (2000 if user_id < 40 else 50) for user_id in request)
        assert n_bytes <= request_queue.MAX_REQUEST_BYTES
        assert len(request) <= request_queue.MAX_WINDOWS_PER_REQUEST
    assert queue.n_waiting == 0


def test_window_larger_than_a_request_is_sent_alone(queue: RequestQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_queue, "MAX_REQUEST_BYTES", 1000)
    queue.add(due(3, 2000))
    assert taken(queue) == [[0], [1], [2]]


def test_what_waits_is_bounded_in_bytes(queue: RequestQueue) -> None:
    dropped = sum(queue.add(due(64, 2000, first=64 * number)) for number in range(40))
    assert dropped == 64 * 40 - request_queue.MAX_WAITING_BYTES // (2000 * 16 * 4) // 64 * 64
    assert taken(queue)[0][0] == dropped, "the oldest ones leave"
