"""The WebSocket that shows a profile's samples and decisions as they come."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query, WebSocket
from starlette.websockets import WebSocketDisconnect

from semg.domain import Profile
from semg.errors import NotFoundError, StoreError
from semg.predictor.event_feed import EventFeed, is_event
from semg.predictor.live_hub import Viewer
from semg.security import tokens
from semg.store import profiles
from webapi.access import Viewer as Access
from webapi.access import find_viewer, is_of_ours
from webapi.lifespan import Services, services_of

logger = logging.getLogger(__name__)

NOT_LET_IN, NO_PROFILE, TOO_SLOW, TOO_MANY, TRY_AGAIN = 4401, 4404, 1013, 1013, 1013
SEND_TIMEOUT_S = 10.0
LOOK_AGAIN_S = 5.0
"""How long somebody who may watch no more goes on watching, at most."""
live_routes = APIRouter()


@live_routes.websocket("/ws/live/{userid}")
async def live(
    websocket: WebSocket,
    userid: int,
    samples: bool = True,
    events_after: Annotated[int | None, Query(ge=0, lt=1 << 63)] = None,
) -> None:
    """Send decisions, gesture events, and sample blocks unless ``samples=false``, of a profile until the viewer leaves.

    ``events_after`` is the number of the last event that the viewer knows: those behind it come first.
    """
    services, viewing = services_of(websocket), find_viewer(websocket, userid)
    if viewing is None or not await asyncio.to_thread(viewing.may_watch, services, userid, again=False):
        if viewing is None and not is_of_ours(websocket):
            await websocket.close(NOT_LET_IN)  # before it is accepted: 403
        else:
            await _refuse(websocket, NOT_LET_IN, "token or origin refused")
        return
    try:
        profile = await asyncio.to_thread(_profile, services, userid)
    except NotFoundError:
        await _refuse(websocket, NO_PROFILE, f"there is no profile {userid}")
        return
    if not services.watchers.begin(viewing.account_id):
        await _refuse(websocket, TOO_MANY, "this account has too many WebSockets open; close one, then try again")
        return
    try:
        await viewing.note(services, userid)
        account_id = viewing.account_id
        feed = EventFeed(services.pool, userid, events_after, lambda read: services.catch_ups.run(account_id, read))
        await _watch(websocket, services, viewing, profile, samples, feed)
    finally:
        services.watchers.end(viewing.account_id)


async def _watch(
    websocket: WebSocket, services: Services, viewing: Access, profile: Profile, samples: bool, feed: EventFeed
) -> None:
    async with services.hub.watch(profile.user_id, profile.device.channels, samples=samples) as viewer:
        await _accept(websocket)  # not before: who is connected misses nothing that comes from now on
        sender = asyncio.create_task(_send(websocket, viewer, feed))
        reader = asyncio.create_task(_read_until_closed(websocket))
        guard = asyncio.create_task(_close_when_refused(websocket, viewing, profile.user_id))
        done, pending = await asyncio.wait({sender, reader, guard}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*done, *pending, return_exceptions=True)


async def _accept(websocket: WebSocket) -> None:
    offered = websocket.scope.get("subprotocols", [])
    await websocket.accept(subprotocol=tokens.SUBPROTOCOL if tokens.SUBPROTOCOL in offered else None)


async def _refuse(websocket: WebSocket, code: int, reason: str) -> None:
    """Close with a code; a browser sees it only on a connection that was accepted."""
    await _accept(websocket)
    await websocket.close(code, reason)


async def _send(websocket: WebSocket, viewer: Viewer, feed: EventFeed) -> None:
    """Send until the viewer leaves or reads too slowly; a message has ``SEND_TIMEOUT_S``, or those that wait."""
    try:
        async for text in feed.missed():
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await websocket.send_text(text.decode())
            await asyncio.sleep(0)  # sending to a fast reader does not let others go on
        while True:
            waiting = await viewer.next_messages()
            async with asyncio.timeout(SEND_TIMEOUT_S):  # wait_for would make a task for each message
                for message in waiting:
                    if not is_event(message):
                        await websocket.send_text(message.decode())
                        continue
                    async for text in feed.complete(message):
                        await websocket.send_text(text.decode())
                        await asyncio.sleep(0)
    except TimeoutError:
        await websocket.close(TOO_SLOW, "the viewer reads too slowly")
    except (WebSocketDisconnect, RuntimeError):
        return
    except StoreError as exc:
        logger.warning("a viewer's missed events cannot be read: %s", exc)
        with suppress(WebSocketDisconnect, RuntimeError):
            await websocket.close(TRY_AGAIN, "the database is away; connect again with events_after")


async def _close_when_refused(websocket: WebSocket, viewing: Access, user_id: int) -> None:
    """Close when what let the viewer in holds no more: a revoked token, a disabled account, a share that ended."""
    while True:
        await asyncio.sleep(LOOK_AGAIN_S)
        try:
            if await asyncio.to_thread(viewing.may_watch, services_of(websocket), user_id):
                continue
        except StoreError as exc:
            logger.warning("a viewer is not looked at again now: %s", exc)
            continue
        with suppress(WebSocketDisconnect, RuntimeError):
            await websocket.close(NOT_LET_IN, "not allowed any more")
        return


async def _read_until_closed(websocket: WebSocket) -> None:
    """Viewers have nothing to say; reading notices that they leave."""
    try:
        while True:
            await websocket.receive()
    except (WebSocketDisconnect, RuntimeError):
        return


def _profile(services: Services, user_id: int) -> Profile:
    with services.pool.transaction() as tx:
        return profiles.get_profile(tx, user_id)
