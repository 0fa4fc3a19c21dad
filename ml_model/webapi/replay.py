"""What a stored version would have decided on a part of a session."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query

from semg import clock
from semg.domain import Session
from semg.errors import ArtifactError, ConsentError, InvalidValueError, NotFoundError
from semg.predictor.sample_prediction import InputError
from semg.recordings.replaying import MOST_S, ReplayRequest, SessionReplay, replay_session
from semg.signals.model.replay import Part
from semg.store import sessions
from semg.store.pool import Pool
from semg.wire.http import Problem, ReplayCounts, ReplayEvents, ReplayResponse
from semg.wire.messages import EventMessage
from webapi.access import Caller, ReadCaller
from webapi.lifespan import PAUSE_S, Services, services_of

replay_routes = APIRouter(tags=["prediction"], responses={401: {"model": Problem}})
_REFUSALS: dict[int | str, dict[str, Any]] = {
    403: {"model": Problem, "description": "What the token was made for does not allow it"},
    404: {"model": Problem, "description": "No such session or version, or no version is active"},
    409: {"model": Problem, "description": "No consent, or the version cannot decide on this session"},
    422: {"model": Problem, "description": "The field that is wrong"},
    429: {"model": Problem, "description": "Too many files and long requests are under way"},
}


@replay_routes.get("/replay/{session_id}", responses=_REFUSALS)
async def replay(
    session_id: int,
    services: Annotated[Services, Depends(services_of)],
    caller: ReadCaller,
    since_s: Annotated[float, Query(ge=0, allow_inf_nan=False, description="From the session's start")] = 0.0,
    until_s: Annotated[float | None, Query(gt=0, le=1e8, allow_inf_nan=False)] = None,
    version: Annotated[int | None, Query(ge=1, lt=1 << 31)] = None,
    part: Part = "all",
    vote_n: Annotated[int | None, Query(ge=1, le=99)] = None,
    min_confidence: Annotated[float | None, Query(ge=0, le=1)] = None,
    hysteresis: Annotated[float | None, Query(ge=0, le=1)] = None,
    follows: bool = True,
) -> ReplayResponse:
    """Return what a version would have decided on a part of a session, beside its labels; nothing is stored.

    The profile's own settings hold where none are given, the active version without another, and as much of the session
    as may be asked for at once without an end.
    """
    session = await _session(services, caller, session_id)
    length_s = ((session.ended_at or clock.utc_now()) - session.started_at).total_seconds()
    last_s = min(length_s, since_s + MOST_S) if until_s is None else until_s
    if not since_s < last_s <= length_s:
        raise InputError("until_s", f"expected since_s before until_s, within {length_s:g} s of session {session_id}")
    request = ReplayRequest(
        session_id=session_id,
        since=session.started_at + timedelta(seconds=since_s),
        until=session.started_at + timedelta(seconds=last_s),
        version=version,
        part=part,
        vote_n=vote_n,
        min_confidence=min_confidence,
        hysteresis=hysteresis,
        follows=follows,
    )
    await services.trail.seen(caller.actor, "samples.seen", session.user_id, session_id)
    services.downloads.begin(caller.account_id)
    try:
        found = await services.replays.run(
            caller.account_id, lambda: replay_session(services.pool, request, lambda: time.sleep(PAUSE_S))
        )
    except InvalidValueError as exc:
        raise InputError(exc.field, str(exc).removeprefix(f"{exc.field}: ")) from exc
    except (ConsentError, ArtifactError) as exc:
        raise HTTPException(409, str(exc)) from exc
    finally:
        services.downloads.end(caller.account_id)
    session = await _session(services, caller, session_id)  # what was shared may have ended meanwhile
    return _answer(session.session_id, found)


def _answer(session_id: int, found: SessionReplay) -> ReplayResponse:
    decisions, score = found.decisions, found.score
    return ReplayResponse(
        userid=found.user_id,
        session=session_id,
        model_version=found.version,
        classes=list(decisions.classes),
        from_start=found.from_start,
        labels=decisions.labels,
        confidences=[round(one, 6) for one in decisions.confidences.tolist()],
        ends_us=decisions.ends_us.tolist(),
        counts=ReplayCounts(**asdict(found.counts)),
        events=ReplayEvents(
            prompts=score.prompts,
            missed=score.missed,
            false_on_rest=score.false_on_rest,
            rest_s=score.rest_s,
            false_per_hour=score.false_per_hour,
            median_latency_ms=score.median_latency_ms,
        ),
        gesture_events=[EventMessage.of(event) for event in found.events],
    )


async def _session(services: Services, caller: Caller, session_id: int) -> Session:
    """Return a session that the caller may see.

    Raises
    ------
    HTTPException
        404, in the same words whether it is another's or is not there.
    """
    session = await asyncio.to_thread(_find, services.pool, session_id)
    try:
        if session is not None:
            await caller.require([session.user_id], "see")
            return session
    except NotFoundError:
        pass
    raise HTTPException(404, f"there is no session {session_id} that this account may see")


def _find(pool: Pool, session_id: int) -> Session | None:
    if not 0 < session_id < 1 << 63:
        return None
    with pool.transaction() as tx:
        try:
            return sessions.get_session(tx, session_id)
        except NotFoundError:
            return None
