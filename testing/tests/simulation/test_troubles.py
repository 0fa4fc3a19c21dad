"""What a simulated arm cannot send is said once, as what it is, and is that arm's alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest

from semg import clock
from semg.domain import Device
from semg.errors import SemgError
from semg.settings import Settings
from semg.simulation import arm_stream
from semg.simulation.assignments import Assignment, Assignments
from semg.simulation.sample_sources import SimulationError
from semg.simulation.sender import Sender
from semg.simulation.streaming import Simulator
from semg.simulation.troubles import QUIET_S, Troubles
from semg.store.pool import Pool
from semg.store.simulated_arms import SimulatedArm, Steering


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_same_trouble_is_said_once_and_seldom_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    at, away = Clock(), SemgError("away")
    troubles = Troubles(at)
    troubles.works("a", "a works")
    for _ in range(1000):
        troubles.fails("a", "a waits", away, user_id=21)
        troubles.works("a", "a works")
        troubles.works("b", "b works")
    assert [record.message for record in caplog.records] == ["a waits: away", "a works"]
    assert caplog.records[0].user_id == 21  # type: ignore[attr-defined]
    troubles.fails("b", "b waits", away)
    assert caplog.records[-1].message == "b waits: away", "another's is said at once"
    at.now_s += QUIET_S
    troubles.fails("a", "a waits", away)
    troubles.fails("a", "a waits", away)
    assert [record.message for record in caplog.records[3:]] == ["a waits: away"]


class Unconnected(Sender):
    """A socket that takes everything, or nothing of the boards that it refuses."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.is_down = False

    def __call__(self, datagram: bytes) -> None:
        if self.is_down:
            raise SimulationError("sending to 127.0.0.1:1 failed: Network is unreachable")
        self.taken.append(datagram)


def assignment(number: int, **fields: object) -> Assignment:
    device = Device(number, ("a0", "a1"), 200.0, **({"adc_max": 4095.0} | fields))  # type: ignore[arg-type]
    now = clock.utc_now()
    arm = SimulatedArm(
        user_id=number, board_id=number, former_board_id=None, former_key_made_at=None, started_by=None, seed=number,
        since=now, used_at=now, steering=Steering(),
    )  # fmt: skip
    return Assignment(arm, bytes(32), device, None)


@pytest.fixture
def simulator(settings: Settings) -> Iterator[Simulator]:
    pool = Pool(settings, name="test")
    yield Simulator(settings, pool)
    pool.close()


def send(simulator: Simulator, sender: Sender, seconds: float, started_s: float) -> float:
    """Let a time pass in steps of 20 ms, and return when it is over."""
    for step in range(round(seconds / 0.02)):
        simulator._send_due(sender, started_s + step * 0.02)
    return started_s + seconds


def test_arm_that_cannot_be_sent_stops_no_other_and_fills_no_log(
    simulator: Simulator, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    whole = arm_stream.ArmStream.__init__

    def fragile(self: arm_stream.ArmStream, one: Assignment, *args: float) -> None:
        if one.arm.user_id == 23:
            raise SimulationError("no wearer fits this device")
        whole(self, one, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(arm_stream.ArmStream, "__init__", fragile)
    simulator._assigned = Assignments((assignment(21), assignment(22, adc_max=1e9), assignment(23)))
    sender = Unconnected()
    send(simulator, sender, 4.0, time.monotonic())
    assert len(sender.taken) > 50
    said = sorted((record.user_id, record.levelname, record.message) for record in caplog.records)  # type: ignore[attr-defined]
    assert [(number, level) for number, level, _ in said] == [(22, "WARNING"), (23, "WARNING")]
    assert all(message.startswith("a simulated arm cannot send: ") for _, _, message in said)
    assert "whole numbers" in said[0][2]
    assert simulator.metrics()["failures"] > 10
    assert simulator._newest_boot < time.time() + 5, "what does not begin makes no boot"


def test_network_that_fails_is_said_and_that_it_works_again(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    simulator._assigned, sender = Assignments((assignment(21), assignment(22))), Unconnected()
    now_s = send(simulator, sender, 1.0, time.monotonic())
    sender.is_down = True
    now_s = send(simulator, sender, 1.0, now_s)
    sender.is_down = False
    send(simulator, sender, 1.0, now_s)
    said = [(record.user_id, record.message) for record in caplog.records]  # type: ignore[attr-defined]
    failed = "a simulated arm cannot send: sending to 127.0.0.1:1 failed: Network is unreachable"
    assert said == [
        (21, failed),
        (22, failed),
        (21, "a simulated arm sends again"),
        (22, "a simulated arm sends again"),
    ]
