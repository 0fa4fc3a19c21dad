"""A service whose thread has died ends with a status that has it started again; a loop outlives any of its items."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading

import pytest

from semg.errors import StoreBusyError, StoreError, StoreUnavailableError
from semg.process.attempts import Attempts, Failures
from semg.process.service_threads import ServiceThreads

SERVICE = """
import threading
from semg.process.service_threads import ServiceThreads
stop = threading.Event()
def fail():
    raise OverflowError("date value out of range")
with ServiceThreads(stop) as beside:
    beside.start("lives", stop.wait)
    beside.start("dies", fail)
    stop.wait(20)
raise SystemExit(beside.exit_status)
"""


def test_service_with_a_dead_thread_ends_with_a_status_that_is_not_0() -> None:
    done = subprocess.run([sys.executable, "-c", SERVICE], timeout=30, check=False)
    assert done.returncode == 1


@pytest.mark.parametrize("error", [OverflowError("out of range"), SystemExit(0), None])
def test_thread_that_ends_by_itself_ends_its_service(error: BaseException | None) -> None:
    def work() -> None:
        if error is not None:
            raise error

    stop = threading.Event()
    with ServiceThreads(stop) as beside:
        beside.start("dies", work)
        assert stop.wait(10)
    assert (beside.failed, beside.exit_status) == (["dies"], 1)


def test_threads_end_with_their_service_whatever_ends_it() -> None:
    stop, ended = threading.Event(), threading.Event()

    def work() -> None:
        stop.wait()
        ended.set()

    with pytest.raises(ValueError, match="the main thread"), ServiceThreads(stop) as beside:
        beside.start("lives", work)
        raise ValueError("the main thread")
    assert ended.is_set()
    assert beside.exit_status == 0


def test_thread_that_hangs_does_not_keep_a_service_alive() -> None:
    hangs = threading.Event()
    with ServiceThreads(threading.Event(), join_s=0.05) as beside:
        beside.start("hangs", hangs.wait)
    hangs.set()
    assert beside.failed == ["hangs"]


def fail(error: Exception) -> None:
    raise error


def test_failure_of_an_item_is_counted_each_time_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    failures = Failures()
    attempts = Attempts(logging.getLogger("test"), "loop", failures)
    for error in (OverflowError("a"), StoreError("b"), StoreBusyError("c")):
        assert not attempts.attempt(1, lambda error=error: fail(error))
    assert attempts.attempt(2, lambda: None)
    assert (attempts.failed, failures.metrics()) == (3, {"loop": 3})
    assert [record.getMessage() for record in caplog.records] == ["loop: tried again later: a"]
    assert attempts.attempt(1, lambda: None)
    assert not attempts.attempt(1, lambda: fail(KeyError("d")))
    assert len(caplog.records) == 2, "what works again is logged when it fails anew"


def test_database_that_is_away_is_no_item_s_failure() -> None:
    with pytest.raises(StoreUnavailableError):
        Attempts(logging.getLogger("test"), "loop").attempt(1, lambda: fail(StoreUnavailableError("away")))
