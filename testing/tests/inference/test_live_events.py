"""Gesture events of live streams: those of a replay, numbered, and released whatever happens."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from nats.aio.msg import Msg

from semg.block_table import BlockTable
from semg.domain import DecisionSpec
from semg.event_types import EventSpec, EventTimes, GestureEvent
from semg.inference import worker as worker_module
from semg.process import bus
from semg.signals.model.replay import Replay
from semg.store import event_settings, gesture_events
from testing.kits.live_helpers import activate
from testing.kits.worker_kit import blocks_of, publish, until, worker_running

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("api")]
TIMES = EventTimes(dwell_ms=100, release_ms=100, hold_ms=400)


def stored(pool, user_id: int) -> list[GestureEvent]:
    with pool.transaction() as tx:
        return gesture_events.list_events(tx, user_id)


def plain(events: list[GestureEvent]) -> list[tuple]:
    """Return events without their numbers; means as they are stored, in 32 bits."""
    return [
        (one.kind, one.gesture, one.at_us, one.begun_us, one.pressed_us, pytest.approx(one.confidence, abs=1e-6),
         None if one.strength is None else pytest.approx(one.strength, abs=1e-6), one.model_version, one.reason)
        for one in events
    ]  # fmt: skip


async def test_live_events_are_those_of_a_replay_and_every_number_is_published(
    servers, pool, make_wearer, classifier, recording
) -> None:
    user_id = make_wearer("A", classifier)
    with pool.transaction() as tx:
        event_settings.set_event_times(tx, user_id, TIMES)
    heard: list[bytes] = []
    listener = await bus.connect(servers.settings, "test-listener", forever=False)

    async def hear(message: Msg) -> None:
        heard.append(message.data)

    await listener.subscribe(f"semg.events.{user_id}", cb=hear)
    await listener.flush()
    n = min(4000, len(recording.labelled.samples))
    blocks = blocks_of(user_id, recording, n)
    async with worker_running(servers.settings, pool) as (running, _):
        await publish(servers.settings, blocks)
        expected = Replay(classifier, (0, 1, 2, 3), 4, DecisionSpec()).push(BlockTable.from_blocks(blocks))
        wanted = expected.events(EventSpec(TIMES), user_id, 1)
        assert {one.kind for one in wanted} == {"press", "hold", "release"}
        await until(lambda: running.counters.decisions == len(expected))
        await until(lambda: len(stored(pool, user_id)) == len(wanted) == len(heard))
    await listener.close()
    found = stored(pool, user_id)
    assert plain(wanted) == [
        (one.kind, one.gesture, one.at_us, one.begun_us, one.pressed_us, one.confidence, one.strength,
         one.model_version, one.reason)
        for one in found
    ]  # fmt: skip
    assert [one.sequence for one in found] == list(range(1, len(found) + 1))
    assert all(one.strength is not None and 0 <= one.strength <= 1 for one in found)
    read = [worker_module.messages.EventMessage.from_bytes(one) for one in heard]
    assert read == [worker_module.messages.EventMessage.of(one) for one in found]


async def pressed_in(servers, pool, user_id: int, recording) -> int:
    """Send until something is pressed, and return how many blocks that took."""
    blocks = blocks_of(user_id, recording, len(recording.labelled.samples))
    for at in range(0, len(blocks), 20):
        await publish(servers.settings, blocks[at : at + 20])
        with suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                while not (found := stored(pool, user_id)) or found[-1].kind == "release":
                    await asyncio.sleep(0.02)
        if (found := stored(pool, user_id)) and found[-1].kind != "release":
            return at + 20
    raise AssertionError("nothing was pressed")


async def test_what_is_pressed_is_released_by_the_next_worker(
    servers, pool, make_wearer, classifier, recording
) -> None:
    user_id = make_wearer("A", classifier)
    async with worker_running(servers.settings, pool):
        await pressed_in(servers, pool, user_id, recording)
    before = stored(pool, user_id)
    async with worker_running(servers.settings, pool):
        await until(lambda: len(stored(pool, user_id)) == len(before) + 1)
    last = stored(pool, user_id)[-1]
    assert (last.kind, last.reason, last.gesture) == ("release", "restarted", before[-1].gesture)


async def test_silence_releases_what_is_pressed(
    servers, pool, make_wearer, classifier, recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = make_wearer("A", classifier)
    async with worker_running(servers.settings, pool):
        await pressed_in(servers, pool, user_id, recording)
        n = len(stored(pool, user_id))
        pressed_us = stored(pool, user_id)[-1].at_us
        monkeypatch.setattr(worker_module, "now_us", lambda: pressed_us + 60_000_000)
        await until(lambda: len(stored(pool, user_id)) > n)
        last = stored(pool, user_id)[-1]
    assert (last.kind, last.reason) == ("release", "signal lost")
    assert last.at_us < pressed_us + 60_000_000, "dated half a second after the last decision"


async def test_another_model_releases_what_is_pressed(servers, pool, make_wearer, classifier, recording) -> None:
    user_id = make_wearer("A", classifier)
    async with worker_running(servers.settings, pool) as (running, _):
        n = await pressed_in(servers, pool, user_id, recording)
        with pool.transaction() as tx:
            activate(tx, user_id, classifier)
        running.registry.ask_refresh()
        await until(lambda: running.registry.find(user_id).version == 2)
        await publish(servers.settings, blocks_of(user_id, recording, len(recording.labelled.samples))[n:])
        await until(lambda: any(one.reason == "another model" for one in stored(pool, user_id)))
