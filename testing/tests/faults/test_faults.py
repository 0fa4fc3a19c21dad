"""A real installation whose parts are killed, held and starved while devices stream: nothing received is lost.

The long version, with 200 profiles and longer outages, is ``testing/benchmarks/faults.py``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from breaking import devices, scenario
from breaking.system import SERVERS, SERVICES, STORE, System, find_faketime, namespaces_work, running

from testing.tests.conftest import skip_or_fail

pytestmark = pytest.mark.servers

N_TEXT, N_BOARDS, RATE_HZ, HOP_MS = 3, 1, 100.0, 200.0
OUTAGE_S = 2.0
HOUR_S, STEP_S = 3600.0, 1.0


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    """An installation for the tests that need no disks of their own."""
    with tempfile.TemporaryDirectory(prefix="semg-faults-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with running(System(folder)) as started:
            yield started


def through(system: System, capture_s: float, faults: Callable[[scenario.Scenario], None]) -> dict[str, Any]:
    """Stream while faults happen; everything that was received must be stored once, and labels must fit."""
    with scenario.streaming(system, N_TEXT, N_BOARDS, RATE_HZ, HOP_MS) as run:
        session_id = scenario.begin_capture(run.fleet.pool, run.fleet.text_ids[0], capture_s)
        faults(run)
        run.fleet.stop()
        run.settle()
        found = run.judge()
        labels = scenario.judge_labels(run.fleet, session_id)
    assert found["journalled"] > 0
    assert (found["not_stored"], found["stored_twice"], found["stored_but_not_journalled"]) == (0, 0, 0), found
    assert found["text_lost_otherwise"] == 0, found
    assert found["error_of_time_ms"]["p50"] < 50, found
    assert labels["labels"] == labels["labels_planned"] == labels["labels_as_planned"], labels
    assert labels["samples_labelled"] > 0
    assert labels["samples_labelled_wrongly"] == 0, labels
    return found


def test_every_part_is_killed_and_comes_back_by_itself(system: System) -> None:
    before = {unit.name: unit.restarts for unit in system.state.units}

    def faults(run: scenario.Scenario) -> None:
        for name in (*SERVICES, STORE, *SERVERS):
            run.kill(name)

    through(system, 16, faults)
    after = {unit.name: unit.restarts for unit in system.state.units}
    assert {name: after[name] - before[name] for name in after} == dict.fromkeys((*SERVICES, *SERVERS), 1)


def test_servers_that_are_away_or_hang_delay_and_lose_nothing(system: System) -> None:
    def faults(run: scenario.Scenario) -> None:
        run.break_for("down", "postgres", system.down, OUTAGE_S)
        run.break_for("hangs", "postgres", system.held, OUTAGE_S)
        run.break_for("down", "nats", system.down, OUTAGE_S)
        run.break_for("hangs", "nats", system.held, OUTAGE_S)

    through(system, 8, faults)


def test_devices_that_restart_wrap_repeat_reorder_and_lose_are_stored_once(system: System) -> None:
    found = devices.run(system, 1500)
    assert found["repeated"] > 0
    assert (found["not_stored"], found["stored_twice"], found["strange"]) == (0, 0, 0), found


def test_clock_that_is_set_by_an_hour_moves_no_sample_and_no_label() -> None:
    if find_faketime() is None:
        skip_or_fail("libfaketime is not installed")
    with tempfile.TemporaryDirectory(prefix="semg-faults-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with running(System(folder, faked_clock=True)) as system:

            def faults(run: scenario.Scenario) -> None:
                for step_s in (HOUR_S, 0.0, -HOUR_S, 0.0):
                    run.step_clock(step_s, STEP_S)

            found = through(system, 8, faults)
    assert found["error_of_time_ms"]["max"] < 60_000, "a busy machine delays; a clock that is believed errs by an hour"


@pytest.mark.skipif(not namespaces_work(), reason="no mount name space can be made here: small disks need one")
def test_full_disks_lose_nothing_and_heal_by_themselves() -> None:
    with tempfile.TemporaryDirectory(prefix="semg-faults-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        small = System(folder, small_disks={"postgres": 300, "nats": 60}, journal_max_bytes=16 << 20)
        with running(small):

            def faults(run: scenario.Scenario) -> None:
                for server in SERVERS:
                    run.break_for("disk full", server, small.full_disk, OUTAGE_S)

            through(small, 8, faults)
