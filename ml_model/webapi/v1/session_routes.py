"""Sessions with their labels and how their signal was judged."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Response

from semg.commands import acting
from semg.commands.label_changes import LabelChange, change_labels
from semg.commands.session_changes import rename_session
from semg.domain import Repetition, Session
from semg.predictor.sample_prediction import InputError
from semg.recordings.recorded_verdict import verdict_on
from semg.store import gestures, keysets, repetitions, session_quality, sessions
from semg.store.pool import Transaction
from semg.store.session_summaries import SessionSummary, summarise
from webapi.access import ReadCaller, WorkCaller
from webapi.acting_caller import ActingCaller
from webapi.v1 import bodies, change_bodies
from webapi.v1.asking import Number, change, change_refusals, read, refusals
from webapi.v1.entity_tags import IfMatch, Sent, tagged
from webapi.v1.paging import Page, Paged

session_routes = APIRouter(prefix="/v1", tags=["sessions"])


@session_routes.get("/profiles/{userid}/sessions", responses=refusals(404))
async def list_sessions(caller: ReadCaller, userid: Number, paging: Paged) -> Page[bodies.Session]:
    """Return a profile's sessions."""

    def ask(tx: Transaction, who: ActingCaller) -> tuple[list[Session], int | None]:
        who.require(tx, userid)
        kept, last = paging.cut(keysets.session_ids(tx, userid, paging.keyset))
        return sessions.list_chosen(tx, kept), last

    found, last = await read(caller, ask)
    return paging.page([shown_session(one) for one in found], last)


@session_routes.get("/sessions/{session_id}", responses=refusals(404), response_model=bodies.Session)
async def get_session(caller: ReadCaller, session_id: Number, if_none_match: Sent = None) -> Response:
    """Return a session."""
    found = await read(caller, lambda tx, who: acting.get_session(tx, who, session_id))
    return tagged(shown_session(found), if_none_match)


@session_routes.patch(
    "/sessions/{session_id}", responses=change_refusals(404, 409, 412, 428), response_model=bodies.Session
)
async def update_session(
    caller: WorkCaller, session_id: Number, wanted: change_bodies.SessionChange, if_match: IfMatch
) -> Response:
    """Rename a session."""

    def act(tx: Transaction, who: ActingCaller) -> bodies.Session:
        acting.get_session(tx, who, session_id, "work")
        sessions.lock_session(tx, session_id)
        if_match.require(shown_session(acting.get_session(tx, who, session_id)))
        return shown_session(rename_session(tx, who, session_id, wanted.name))

    return tagged(await change(caller, act))


@session_routes.get("/sessions/{session_id}/contents", responses=refusals(404))
async def get_contents(caller: ReadCaller, session_id: Number) -> bodies.Contents:
    """Return how many samples and labels the session holds."""

    def ask(tx: Transaction, who: ActingCaller) -> SessionSummary:
        return summarise(tx, [acting.get_session(tx, who, session_id)])[0]

    found = await read(caller, ask)
    return bodies.Contents(
        session_id=session_id,
        samples=found.n_samples,
        labelled_s=found.labelled_s,
        gestures=[bodies.GestureCount(**asdict(one)) for one in found.gestures],
    )


@session_routes.get("/sessions/{session_id}/quality", responses=refusals(404))
async def get_quality(caller: ReadCaller, session_id: Number) -> bodies.Quality:
    """Return how the session's signal was judged, a few seconds after its end."""

    def ask(tx: Transaction, who: ActingCaller) -> bodies.Quality:
        session = acting.get_session(tx, who, session_id)
        quality = session_quality.find_quality(tx, session_id)
        verdict = verdict_on(session, quality)
        return bodies.Quality(
            session_id=session_id,
            verdict=bodies.Verdict(
                level=verdict.level,
                code=verdict.code,
                sentence=verdict.sentence,
                next_step=verdict.next_step,
                figures=[bodies.Figure(**asdict(one)) for one in verdict.figures],
            ),
            repetitions=[
                bodies.RepetitionQuality(repetition_id=number, level=level, reason=reason)
                for number, (level, reason) in ({} if quality is None else quality.repetitions).items()
            ],
        )

    return await read(caller, ask)


@session_routes.get("/sessions/{session_id}/repetitions", responses=refusals(404), tags=["labels"])
async def list_repetitions(caller: ReadCaller, session_id: Number, paging: Paged) -> Page[bodies.Repetition]:
    """Return a session's labels, excluded ones too."""

    def ask(tx: Transaction, who: ActingCaller) -> tuple[list[Repetition], int | None]:
        acting.get_session(tx, who, session_id)
        kept, last = paging.cut(keysets.repetition_ids(tx, session_id, paging.keyset))
        return repetitions.list_chosen(tx, kept), last

    found, last = await read(caller, ask)
    return paging.page([shown_repetition(one) for one in found], last)


@session_routes.get(
    "/repetitions/{repetition_id}", responses=refusals(404), response_model=bodies.Repetition, tags=["labels"]
)
async def get_repetition(caller: ReadCaller, repetition_id: Number, if_none_match: Sent = None) -> Response:
    """Return a label."""
    found, _ = await read(caller, lambda tx, who: acting.get_repetition(tx, who, repetition_id))
    return tagged(shown_repetition(found), if_none_match)


@session_routes.patch(
    "/repetitions/{repetition_id}",
    responses=change_refusals(404, 409, 412, 428),
    response_model=bodies.Repetition,
    tags=["labels"],
)
async def update_repetition(
    caller: WorkCaller, repetition_id: Number, wanted: change_bodies.RepetitionChange, if_match: IfMatch
) -> Response:
    """Put a label right: what the body does not name stays. What it was is kept, with who changed it."""

    def act(tx: Transaction, who: ActingCaller) -> bodies.Repetition:
        before, session = acting.get_repetition(tx, who, repetition_id, "work", locked=True)
        if_match.require(shown_repetition(before))
        wished = LabelChange(
            repetition_id=repetition_id,
            excluded=wanted.excluded,
            reason=wanted.exclude_reason,
            started_at=wanted.started_at,
            ended_at=wanted.ended_at,
            gesture_id=None if wanted.gesture is None else _gesture_id(tx, session.user_id, wanted.gesture),
        )
        return shown_repetition(change_labels(tx, who, before.session_id, [wished])[0])

    return tagged(await change(caller, act))


def shown_session(one: Session) -> bodies.Session:
    """Return a session as it is shown."""
    return bodies.Session(
        session_id=one.session_id,
        userid=one.user_id,
        name=one.name,
        origin=one.origin,
        status=one.status,
        started_at=one.started_at,
        ended_at=one.ended_at,
        channels=list(one.channels),
        rate_hz=one.rate_hz,
        sensor=one.sensor,
        mains_hz=one.mains_hz,
        simulated=one.simulated,
    )


def shown_repetition(one: Repetition) -> bodies.Repetition:
    """Return a repetition as it is shown."""
    return bodies.Repetition(**asdict(one))


def _gesture_id(tx: Transaction, user_id: int, name: str) -> int:
    for one in gestures.list_gestures(tx, user_id):
        if one.name == name:
            return one.gesture_id
    raise InputError("gesture", "expected a gesture of the profile's bank")
