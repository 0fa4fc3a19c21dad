"""Restarts and their pauses, with a clock and a process in the test's hands."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from semg.errors import PlatformError
from semg.platform.supervision.unit import Unit, describe_exit


class Now(ThreadPoolExecutor):
    """Workers that do the work at once."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as exc:
            future.set_exception(exc)
        return future


class Process:
    """What ``Unit`` needs of a ``Popen``."""

    pid = 2**22 + 1  # above the largest pid: no such process

    def __init__(self) -> None:
        self.code: int | None = None
        self.signals: list[int] = []

    def poll(self) -> int | None:
        return self.code

    def send_signal(self, number: int) -> None:
        self.signals.append(number)
        self.code = -number

    def wait(self, timeout: float | None = None) -> int:
        assert self.code is not None
        return self.code


class World:
    """A unit, its clock, and every process that it started."""

    def __init__(self) -> None:
        self.now, self.ready, self.trouble = 1000.0, True, None
        self.processes: list[Process] = []
        self.cleaned = 0
        self.stuck = False
        self.trouble: Exception | None
        self.unit = Unit(
            "x",
            self.launch,
            lambda: self.ready,
            self.clean,
            Now(1),
            delay_s=0.5,
            delay_max_s=30,
            stuck=lambda: self.stuck,
            clock=lambda: self.now,
        )

    def launch(self) -> subprocess.Popen[bytes]:
        if self.trouble is not None:
            raise self.trouble
        self.processes.append(Process())
        return self.processes[-1]  # type: ignore[return-value]

    def clean(self) -> None:
        self.cleaned += 1

    def steps(self, n: int = 4) -> None:
        for _ in range(n):
            self.unit.step()

    def pause(self) -> float:
        """Let the process crash, and give how long the unit waits before the next one."""
        self.processes[-1].code = 1
        self.steps(1)
        started, crashed_at = len(self.processes), self.now
        while len(self.processes) == started:
            self.now = round(self.now + 0.1, 1)
            self.steps()
        return round(self.now - crashed_at, 1)


@pytest.fixture
def world() -> World:
    made = World()
    made.unit.start()
    made.steps()
    assert made.unit.state == "ready"
    return made


def test_pause_doubles_up_to_the_longest(world: World) -> None:
    assert [world.pause() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert world.unit.status().restarts == 9


def test_pause_begins_anew_after_a_healthy_minute(world: World) -> None:
    assert [world.pause(), world.pause()] == [0.5, 1]
    world.steps()
    world.now += 60
    assert world.pause() == 0.5


def test_start_does_not_wait_out_the_pause(world: World) -> None:
    for _ in range(5):
        world.pause()
    world.processes[-1].code = 1
    world.steps(1)
    assert world.unit.state == "waiting"
    world.unit.start()
    world.steps()
    assert world.unit.state == "ready"


def test_start_of_a_running_unit_does_nothing(world: World) -> None:
    world.unit.start()
    world.steps()
    assert len(world.processes) == 1


def test_unit_that_stops_answering_is_unready_and_left_running(world: World) -> None:
    world.ready = False
    world.now += 5
    world.steps()
    assert world.unit.state == "unready"
    world.ready = True
    world.now += 5
    world.steps()
    assert world.unit.state == "ready"
    assert len(world.processes) == 1


def test_unit_that_only_a_new_process_can_help_gets_one(world: World) -> None:
    world.ready = False
    world.now += 5
    world.steps()
    assert world.unit.state == "unready"
    world.now += 5
    world.steps()
    assert world.processes[0].signals == []  # its disk is still full
    world.stuck = True
    world.now += 5
    world.steps()
    assert world.processes[0].signals == [15]
    world.ready = True
    world.now += 1
    world.steps()
    assert (world.unit.state, len(world.processes), world.unit.status().restarts) == ("ready", 2, 1)


def test_launch_that_fails_is_told_and_tried_again(world: World) -> None:
    world.trouble = PlatformError("port 1 is taken")
    world.processes[-1].code = 1
    world.steps(1)
    world.now += 1
    world.steps(2)
    assert world.unit.status().error == "port 1 is taken"
    world.trouble = None
    world.now += 60
    world.steps()
    assert world.unit.state == "ready"
    assert world.unit.failure is None


def test_exits_before_the_first_readiness_are_counted(world: World) -> None:
    world.ready = False
    for _ in range(3):
        world.pause()
    assert world.unit.status().exits_unready == 2  # the first of the three had been ready
    world.ready = True
    world.now += 60
    world.steps()
    assert world.unit.status().exits_unready == 0


def test_stop_asks_the_process_and_cleans_up(world: World) -> None:
    world.unit.stop()
    assert world.processes[0].signals == [15]
    assert world.cleaned == 1
    world.now += 100
    world.steps()
    assert (world.unit.state, len(world.processes)) == ("stopped", 1)


def test_exit_is_described_in_words() -> None:
    assert describe_exit(3) == "exit 3"
    assert describe_exit(-9) == "killed by SIGKILL"
