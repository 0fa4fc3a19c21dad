"""Gesture events: what came, and when decisions become one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Response

from semg.commands.event_times import change_event_times
from semg.event_types import EventTimes
from semg.store import event_settings, gesture_events, profiles
from semg.store.pool import Transaction
from semg.wire.messages import EventMessage
from webapi.access import ReadCaller, WorkCaller
from webapi.acting_caller import ActingCaller
from webapi.v1 import event_bodies as bodies
from webapi.v1.asking import Number, change, change_refusals, note_seen, read, refusals
from webapi.v1.entity_tags import IfMatch, Sent, tagged

event_routes = APIRouter(prefix="/v1/profiles", tags=["gesture events"])


@event_routes.get("/{userid}/events", responses=refusals(404))
async def list_events(
    caller: ReadCaller,
    userid: Number,
    after: Annotated[int, Query(ge=0, lt=1 << 63, description="Number of the last event that is known")] = 0,
    limit: Annotated[int, Query(ge=1, le=gesture_events.MOST_LISTED)] = 100,
) -> bodies.Events:
    """Return a profile's gesture events behind a number, the oldest first: what a program missed."""

    def ask(tx: Transaction, who: ActingCaller) -> bodies.Events:
        who.require(tx, userid)
        found = gesture_events.list_events(tx, userid, after, limit)
        return bodies.Events(items=[EventMessage.of(one) for one in found], last=gesture_events.find_last(tx, userid))

    found = await read(caller, ask)
    await note_seen(caller, "live.seen", userid)
    return found


@event_routes.get("/{userid}/event-times", responses=refusals(404), response_model=bodies.Times)
async def get_event_times(caller: ReadCaller, userid: Number, if_none_match: Sent = None) -> Response:
    """Return when decisions of a profile become gesture events."""

    def ask(tx: Transaction, who: ActingCaller) -> bodies.Times:
        who.require(tx, userid)
        return _shown(tx, userid)

    return tagged(await read(caller, ask), if_none_match)


@event_routes.put("/{userid}/event-times", responses=change_refusals(404, 409, 412, 428), response_model=bodies.Times)
async def set_event_times(caller: WorkCaller, userid: Number, wanted: bodies.Times, if_match: IfMatch) -> Response:
    """Set when decisions become gesture events, for all of a profile's gestures and for those that differ."""

    def act(tx: Transaction, who: ActingCaller) -> bodies.Times:
        who.require(tx, userid, "work")
        profiles.lock_profile(tx, userid)
        if_match.require(_shown(tx, userid))
        own = {gesture: changes.model_dump(exclude_none=True) for gesture, changes in wanted.gestures.items()}
        change_event_times(tx, who, userid, EventTimes(**wanted.times.model_dump()), own)
        return _shown(tx, userid)

    return tagged(await change(caller, act))


def _shown(tx: Transaction, user_id: int) -> bodies.Times:
    own = event_settings.list_own_times(tx, user_id)
    return bodies.Times(
        times=bodies.EventTimes(**asdict(event_settings.find_event_spec(tx, user_id).times)),
        gestures={gesture: bodies.OwnTimes(**own[gesture]) for gesture in sorted(own)},
    )
