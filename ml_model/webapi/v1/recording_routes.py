"""Recordings that are sent in, and become sessions."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import AwareDatetime
from starlette.requests import ClientDisconnect

from semg.security import private_files
from semg.store import consents
from semg.store.pool import Transaction
from semg.wire.file_layout import LayoutAnswers
from webapi.access import WorkCaller
from webapi.acting_caller import ActingCaller
from webapi.limits import BODY_S
from webapi.problem_details import problem
from webapi.v1 import bodies
from webapi.v1.asking import Number, change, change_refusals

if TYPE_CHECKING:
    from webapi.v1.import_process import Outcome

recording_routes = APIRouter(prefix="/v1/profiles/{userid}", tags=["sessions"])
MAX_BYTES = 64 << 20
"""As the app's uploads."""
_PIECE_BYTES = 1 << 20
_KINDS = ("application/octet-stream", "application/gzip", "text/csv", "application/vnd.apache.parquet")
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _KINDS},
    }
}
Text = Annotated[str | None, Query(max_length=400)]


@recording_routes.post(
    "/recordings",
    responses={**change_refusals(404, 409), 200: {"model": bodies.TakenIn, "description": "With `dry_run`"}},
    response_model=bodies.TakenIn,
    status_code=201,
    openapi_extra=_BODY,
)
async def take_recording(
    request: Request,
    caller: WorkCaller,
    userid: Number,
    name: Annotated[str, Query(min_length=1, max_length=400, description="Of the session")],
    file_name: Annotated[str, Query(min_length=1, max_length=400, description="For messages")] = "recording",
    started_at: Annotated[
        AwareDatetime | None, Query(description="Of the first sample; without, the recording ends now or before others")
    ] = None,
    dry_run: Annotated[bool, Query(description="Tell what it holds, and store nothing")] = False,
    separator: Text = None,
    time: Annotated[str | None, Query(max_length=400, description="The column of time")] = None,
    time_unit: Annotated[str | None, Query(max_length=20, description="ms, s, us or samples")] = None,
    rate_hz: Annotated[float | None, Query(ge=1, le=100_000)] = None,
    channels: Annotated[str | None, Query(max_length=2000, description="Columns, separated by commas")] = None,
    label: Annotated[str | None, Query(max_length=400, description="The column of gestures; empty: none")] = None,
    rest: Annotated[str | None, Query(max_length=400, description="The label that means rest; empty: none")] = None,
    repetition: Text = None,
) -> Response:
    """Take a recording in as a session: CSV (plain or gzip) or Parquet, at most 64 MB, as the body.

    How it is read is guessed from its first lines; what they leave open is asked for (422), and answered by parameters.
    """
    # Brings pyarrow, which the API needs for little else.
    from webapi.v1.import_process import Order, take_apart

    await change(caller, lambda tx, who: _require(tx, who, userid))  # before anything of the body is read
    answers = LayoutAnswers(
        separator=separator,
        time=time,
        time_unit=time_unit,
        rate_hz=rate_hz,
        channels=None if channels is None else tuple(one.strip() for one in channels.split(",")),
        label=label,
        rest=rest,
        repetition=repetition,
    )
    services = caller.services
    with services.uploads.one_of(caller.account_id), private_files.scratch(services.settings.data_dir) as folder:
        path = folder / "recording"
        await _receive(request, path)
        order = Order(
            settings=services.settings,
            who=caller.acting,
            user_id=userid,
            path=path,
            file_name=file_name,
            answers=answers,
            name=name,
            started_at=started_at,
            is_dry=dry_run,
        )
        outcome = await services.imports.run(caller.account_id, lambda: take_apart(order))
    if outcome.status >= 400:
        return problem(request.scope, outcome.status, outcome.detail, outcome.field)
    return _answer(outcome)


def _require(tx: Transaction, who: ActingCaller, user_id: int) -> None:
    who.require(tx, user_id, "work")
    consents.require(tx, user_id, "recording")


async def _receive(request: Request, path: Path) -> None:
    """Write a body into a file, as it comes.

    Raises
    ------
    HTTPException
        413: it is too large; 408: it took too long; 400: it ended in the middle.
    """
    n_bytes = 0
    waiting = bytearray()
    try:
        with path.open("wb") as file:
            async with asyncio.timeout(BODY_S):
                async for chunk in request.stream():
                    n_bytes += len(chunk)
                    if n_bytes > MAX_BYTES:
                        raise HTTPException(413, f"expected a file of at most {MAX_BYTES >> 20} MB")
                    waiting += chunk
                    if len(waiting) >= _PIECE_BYTES:
                        await asyncio.to_thread(file.write, bytes(waiting))
                        waiting.clear()
            file.write(waiting)
    except TimeoutError:
        close = {"Connection": "close"}
        raise HTTPException(408, f"expected the whole body within {BODY_S:.0f} s", close) from None
    except ClientDisconnect:
        raise HTTPException(400, "the body ended in the middle") from None


def _answer(outcome: Outcome) -> Response:
    said = bodies.TakenIn(
        session_id=outcome.session_id,
        samples=outcome.samples,
        seconds=outcome.seconds,
        rate_hz=outcome.rate_hz,
        repetitions=outcome.repetitions,
        channels=list(outcome.channels),
        known_gestures=list(outcome.known_gestures),
        new_gestures=list(outcome.new_gestures),
        notes=list(outcome.notes),
    )
    headers = {} if outcome.session_id is None else {"Location": f"../../sessions/{outcome.session_id}"}
    return Response(said.model_dump_json(), outcome.status, headers, "application/json")
