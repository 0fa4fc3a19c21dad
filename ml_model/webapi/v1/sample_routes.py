"""Samples of a session, whole or decimated, and a profile's decisions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime

from semg import clock
from semg.commands import acting
from semg.domain import Session, us_from_utc
from semg.predictor.sample_prediction import InputError
from semg.recordings.overview import look, needs_summaries, recorded_session, stale_minutes, summarise_minute
from semg.signals.display.decimation import DecimatedSignal
from semg.store import audit, decisions, profiles
from semg.store.pool import Transaction
from semg.store.summaries import Minute
from semg.wire.sample_formats import MEDIA_TYPES, SampleFormat, accepted_format
from webapi.access import Caller, ReadCaller
from webapi.acting_caller import ActingCaller
from webapi.downloads import iterate_pieces
from webapi.sending import send_counted
from webapi.v1 import bodies
from webapi.v1.asking import Number, change, note_seen, read, refusals
from webapi.v1.paging import Page, Paged

sample_routes = APIRouter(prefix="/v1", tags=["samples"])
MAX_POINTS = 10_000
_SUFFIXES = {"arrow": "arrows"}
_FORMATS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The rows, in the format asked for",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["columns", "rows"],
                    "properties": {
                        "columns": {"type": "array", "items": {"type": "string"}},
                        "rows": {"type": "array", "items": {"type": "array"}},
                    },
                    "example": {
                        "columns": ["server_at", "a0", "gesture", "repetition"],
                        "rows": [["2026-03-02T09:00:00.000000Z", 2051.0, "fist", 1]],
                    },
                }
            },
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in list(MEDIA_TYPES.values())[1:]},
        },
    },
    406: {"description": "None of the formats of Accept is there"},
}
Since = Annotated[AwareDatetime | None, Query(description="From here; from the beginning without")]
Until = Annotated[AwareDatetime | None, Query(description="Until before this; to the end without")]


@sample_routes.get(
    "/sessions/{session_id}/samples", responses={**refusals(404, 409), **_FORMATS}, response_class=StreamingResponse
)
async def get_samples(
    request: Request,
    caller: ReadCaller,
    session_id: Number,
    since: Since = None,
    until: Until = None,
    max_points: Annotated[
        int | None, Query(ge=2, le=MAX_POINTS, description="Decimated: least and greatest value of so many columns")
    ] = None,
    format: Annotated[SampleFormat | None, Query(description="Instead of Accept")] = None,
) -> Response:
    """Return a session's samples, or a part, with their labels: streamed, in any length.

    Whole samples are a file that is taken away, and written down as such; decimated ones are a look.
    """
    form = format or accepted_format(request.headers.get("accept"))
    if form is None:
        raise HTTPException(406, f"expected Accept to name one of {', '.join(MEDIA_TYPES.values())}")
    session = await read(caller, lambda tx, who: acting.get_session(tx, who, session_id))
    begin, end = _within(session, since, until)
    if max_points is not None:
        await note_seen(caller, "samples.seen", session.user_id, session_id)
    else:
        await change(caller, lambda tx, who: _note_export(tx, who, session))

    part = _Part(caller, session, begin, end)
    return await send_counted(caller.services, caller.account_id, lambda: _sent(part, max_points, form))


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a session, and who asked for it."""

    caller: Caller
    session: Session
    since: datetime
    until: datetime

    def require_still(self, tx: Transaction) -> None:
        """Refuse to go on sending when the token, the share or the session is gone meanwhile."""
        who = self.caller.acting
        who.require_still(tx, self.session.user_id)
        acting.get_session(tx, who, self.session.session_id)


async def _sent(part: _Part, max_points: int | None, form: SampleFormat) -> Response:
    """Return what reads and packs a part while it is sent, in turns; the first piece is there already."""
    # Brings pyarrow, which the API needs for nothing else.
    from semg.recordings.sample_tables import drawn_samples, whole_samples
    from semg.recordings.table_formats import encoded

    services, whose, session = part.caller.services, part.caller.account_id, part.session
    if max_points is not None:
        tables = drawn_samples(session, await _drawn(part, max_points // 2))
    else:
        tables = await services.readers.run(
            whose, lambda: whole_samples(services.pool, session, part.since, part.until, part.require_still)
        )
    pieces = encoded(tables, form)
    first = await services.readers.run(whose, lambda: next(pieces, b""))
    name = f"session-{session.session_id}.{_SUFFIXES.get(form, form)}"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(iterate_pieces(services, whose, first, pieces), 200, headers, MEDIA_TYPES[form])


async def _drawn(part: _Part, n_columns: int) -> DecimatedSignal | None:
    """Return a part as the Review page draws it; the summaries that a long one lacks are made first."""
    services, whose, source = part.caller.services, part.caller.account_id, recorded_session(part.session)

    def missing() -> list[Minute]:
        with services.pool.transaction() as tx:
            return stale_minutes(tx, source, part.since, part.until)

    def drawn() -> DecimatedSignal | None:
        with services.pool.transaction() as tx:
            part.require_still(tx)
            return look(tx, source, part.since, part.until, n_columns).drawn

    if needs_summaries(part.since, part.until, n_columns):
        for minute in await services.readers.run(whose, missing):
            await services.readers.run(whose, partial(summarise_minute, services.pool, source, minute))
    return await services.readers.run(whose, drawn)


@sample_routes.get("/profiles/{userid}/decisions", responses=refusals(404), tags=["decisions"])
async def list_decisions(
    caller: ReadCaller, userid: Number, paging: Paged, since: Since = None, until: Until = None
) -> Page[bodies.Decision]:
    """Return a profile's published decisions, the oldest first; a page ends with all of one moment."""
    if paging.order != "oldest":
        raise InputError("order", "expected oldest: decisions are listed in time order")

    def ask(tx: Transaction, who: ActingCaller) -> list[decisions.StoredDecision]:
        who.require(tx, userid)
        begin = since or profiles.get_profile(tx, userid).created_at
        keys = paging.keyset
        return decisions.list_decisions(tx, userid, begin, until or clock.utc_now(), keys.after, keys.limit)

    found = await read(caller, ask)
    await note_seen(caller, "samples.seen", userid)
    last = us_from_utc(found[-1].decided_at) if len(found) >= paging.keyset.limit else None
    return paging.page([bodies.Decision(**asdict(one)) for one in found], last)


def _within(session: Session, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    """Return which part of a session is asked for, within it."""
    end = session.ended_at or clock.utc_now()
    begin = session.started_at if since is None else max(since, session.started_at)
    last = end if until is None else min(until, end)
    if begin > last:
        raise InputError(
            "until" if until is not None else "since", f"expected a time within session {session.session_id}"
        )
    return begin, last


def _note_export(tx: Transaction, who: ActingCaller, session: Session) -> None:
    who.require(tx, session.user_id)
    audit.record(tx, who.actor, "session.exported", session.user_id, session.session_id)
