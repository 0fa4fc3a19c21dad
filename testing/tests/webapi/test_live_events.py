"""Whoever listens to gesture events gets each once and in order, whatever was missed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import nats
import pytest
from websockets.sync.client import ClientConnection, connect

from semg.domain import us_from_utc
from semg.event_types import GestureEvent
from semg.predictor import event_feed
from semg.store import gesture_events
from semg.store.pool import Pool
from semg.wire import messages
from testing.kits.events import gesture_event
from testing.kits.store_data import T0

pytestmark = pytest.mark.servers


def store(pool: Pool, user_id: int, n: int) -> list[GestureEvent]:
    made = [gesture_event(user_id, us_from_utc(T0) + index) for index in range(n)]
    with pool.transaction() as tx:
        return gesture_events.insert_events(tx, made)


def publish(settings: Any, *events: GestureEvent) -> None:
    async def send() -> None:
        user, password = settings.nats_credentials(None)
        client = await nats.connect(settings.nats_urls, user=user or None, password=password or None)
        for event in events:
            await client.publish(messages.events_subject(event.user_id), messages.EventMessage.of(event).to_bytes())
        await client.drain()

    asyncio.run(send())


def numbers(socket: ClientConnection, n: int) -> list[int]:
    return [json.loads(socket.recv(20))["sequence"] for _ in range(n)]


def test_reader_gets_what_it_missed_and_what_comes_without_a_hole_or_a_double(
    api: httpx.Client, servers, pool: Pool, make_wearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "PORTION", 2)
    user_id = make_wearer("A")
    url = f"ws://127.0.0.1:{servers.settings.api_port}/ws/live/{user_id}?samples=false"
    token = {"Authorization": f"Bearer {servers.settings.semg_api_token.get_secret_value()}"}
    store(pool, user_id, 5)
    with (
        connect(f"{url}&events_after=1", additional_headers=token, proxy=None) as resumed,
        connect(url, additional_headers=token, proxy=None) as new,
    ):
        assert numbers(resumed, 4) == [2, 3, 4, 5]
        later = store(pool, user_id, 6)  # 6 to 11
        publish(servers.settings, later[1], later[0], later[4], later[4])  # the bus lost some, and turned some round
        assert numbers(resumed, 5) == [6, 7, 8, 9, 10]
        assert numbers(new, 4) == [7, 8, 9, 10]
        publish(servers.settings, later[5])
        assert [numbers(one, 1) for one in (resumed, new)] == [[11], [11]]
    with connect(f"{url}&events_after=11", additional_headers=token, proxy=None) as nothing:
        publish(servers.settings, *store(pool, user_id, 1))
        assert numbers(nothing, 1) == [12]


@pytest.mark.parametrize("after", ["-1", "x", str(1 << 63)])
def test_number_that_is_none_is_refused(api: httpx.Client, servers, make_wearer, after: str) -> None:
    url = f"ws://127.0.0.1:{servers.settings.api_port}/ws/live/{make_wearer('A')}?events_after={after}"
    token = {"Authorization": f"Bearer {servers.settings.semg_api_token.get_secret_value()}"}
    with pytest.raises(Exception, match="403|1008"), connect(url, additional_headers=token, proxy=None) as socket:
        socket.recv(5)
