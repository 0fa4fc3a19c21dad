"""The platform's clock: not set with the machine's, and one for all of its processes."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest

from semg import clock
from semg.environment import CLOCK_VARIABLE, child_environment
from semg.ingest.receiver import Receiver

HOUR_S = 3600
machine_ns = time.time_ns


@pytest.fixture(params=[HOUR_S, -HOUR_S])
def set_by_s(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The machine's clock, set by an hour while this process runs."""
    clock.now_us()
    monkeypatch.setattr(time, "time_ns", lambda: machine_ns() + request.param * 10**9)
    return int(request.param)


def test_clock_is_the_machines_at_the_start() -> None:
    assert abs(clock.now_us() - machine_ns() // 1000) < 1_000_000
    assert clock.behind_machine_us() == 0


def test_clock_that_is_set_changes_no_time(set_by_s: int) -> None:
    assert abs(clock.now_us() - machine_ns() // 1000) < 1_000_000
    assert abs(clock.behind_machine_us() + set_by_s * 1_000_000) < 1_000_000


def test_arrivals_keep_their_time_when_the_clock_is_set(set_by_s: int) -> None:
    receiving, sending = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with receiving, sending:
        receiving.setblocking(False)
        receiving.bind(("127.0.0.1", 0))
        receiver = Receiver(receiving)
        sending.sendto(b"1", receiving.getsockname())
        (received_us,) = receiver.take().received_us.tolist()
    assert abs(received_us - machine_ns() // 1000) < 1_000_000


def test_supervisor_gives_all_services_one_clock() -> None:
    told = clock.machine_offset_ns() - 7 * HOUR_S * 10**9
    program = "from semg import clock; print(clock.now_us())"
    environment = child_environment(**{CLOCK_VARIABLE: str(told)})
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert abs(int(done.stdout) + 7 * HOUR_S * 1_000_000 - machine_ns() // 1000) < 20_000_000
