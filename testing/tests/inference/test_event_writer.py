"""Events are stored and published once each, in their order, through failures of the database."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from semg.domain import us_from_utc
from semg.errors import StoreUnavailableError
from semg.event_types import EventKind, GestureEvent
from semg.inference import event_writer
from semg.inference.event_writer import EventWriter
from semg.store import gesture_events
from semg.store.pool import Pool
from testing.kits.events import gesture_event
from testing.kits.store_data import T0

pytestmark = pytest.mark.servers


def event(user_id: int, number: int, kind: EventKind = "press") -> GestureEvent:
    return gesture_event(user_id, us_from_utc(T0) + 1000 * number, kind)


class Bus:
    """Remembers what is published."""

    def __init__(self) -> None:
        self.sent: list[GestureEvent] = []

    async def publish(self, event: GestureEvent) -> None:
        self.sent.append(event)

    @property
    def numbers(self) -> list[tuple[int, int]]:
        return [(one.user_id, one.sequence) for one in self.sent]


async def until(met: Any) -> None:
    async with asyncio.timeout(20):
        while not met():
            await asyncio.sleep(0.01)


async def test_what_is_published_is_stored_under_its_number(pool: Pool, make_profile) -> None:
    ada, bo, bus = make_profile("Ada"), make_profile("Bo"), Bus()
    writer = EventWriter(pool, bus.publish)
    running = asyncio.create_task(writer.run())
    writer.add([event(ada, 1), event(bo, 1)])
    await until(lambda: len(bus.sent) == 2)
    writer.add([event(ada, 2, "release"), event(999, 1), event(ada, 3)])
    await until(lambda: len(bus.sent) == 4)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert bus.numbers == [(ada, 1), (bo, 1), (ada, 2), (ada, 3)]
    with pool.transaction() as tx:
        assert gesture_events.list_events(tx, ada) == [one for one in bus.sent if one.user_id == ada]
    assert (writer.stored, writer.n_waiting, writer.lost) == (4, 0, 0)


@pytest.mark.parametrize("is_committed", [False, True])
async def test_failing_commit_makes_no_hole_and_no_double(
    pool: Pool, make_profile, monkeypatch: pytest.MonkeyPatch, is_committed: bool
) -> None:
    ada, bus = make_profile("Ada"), Bus()
    writer, store, failed = EventWriter(pool, bus.publish), EventWriter._store, []

    def failing(self: EventWriter, *given: Any) -> Any:
        if len(failed) >= 2:
            return store(self, *given)
        failed.append(1)
        if is_committed:
            store(self, *given)
        raise StoreUnavailableError("away")

    monkeypatch.setattr(EventWriter, "_store", failing)
    monkeypatch.setattr(event_writer, "RETRY_S", 0.01)
    running = asyncio.create_task(writer.run())
    writer.add([event(ada, 1), event(ada, 1, "release")])
    await until(lambda: failed)
    writer.add([event(ada, 2)])
    await until(lambda: len(bus.sent) == 3)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert [(one.kind, one.sequence) for one in bus.sent] == [("press", 1), ("release", 2), ("press", 3)]
    with pool.transaction() as tx:
        assert gesture_events.list_events(tx, ada) == bus.sent


async def test_what_an_earlier_worker_pressed_is_released_before_anything_else(pool: Pool, make_profile) -> None:
    ada, bo, bus = make_profile("Ada"), make_profile("Bo"), Bus()
    with pool.transaction() as tx:
        gesture_events.insert_events(tx, [event(ada, 1), event(bo, 1)])
    writer = EventWriter(pool, bus.publish)
    writer.release_pressed(lambda user_id: user_id == ada)
    writer.add([event(ada, 2)])
    await writer.flush()
    assert [(one.user_id, one.sequence, one.kind, one.reason) for one in bus.sent] == [
        (ada, 2, "release", "restarted"), (ada, 3, "press", ""),
    ]  # fmt: skip
    assert bus.sent[0].pressed_us == event(ada, 1).at_us


async def test_events_beyond_the_bound_are_counted(pool: Pool, make_profile, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, bus = make_profile("Ada"), Bus()
    monkeypatch.setattr(event_writer, "MAX_WAITING", 3)
    writer = EventWriter(pool, bus.publish)
    writer.add([event(ada, number) for number in range(5)])
    await writer.flush()
    assert (writer.lost, bus.numbers) == (2, [(ada, 1), (ada, 2), (ada, 3)])
