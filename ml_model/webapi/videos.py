"""The videos of sessions, for a browser's video element."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse

from semg.errors import NotFoundError, SealError, WireError
from semg.sealed import SealedReader, Vault
from semg.store import sessions
from semg.video.files import files_of
from semg.wire import tokens
from semg.wire.http import Problem
from webapi.access import Caller, find_caller
from webapi.ranges import answer
from webapi.services import services_of

logger = logging.getLogger(__name__)
video_routes = APIRouter(tags=["videos"])
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem},
    404: {"model": Problem, "description": "The session has no finished video"},
}


@video_routes.get("/videos/{session_id}", responses=_REFUSALS, response_class=FileResponse)
@video_routes.head("/videos/{session_id}", include_in_schema=False)
async def video(request: Request, session_id: int, token: str = "") -> Response:
    """Give the MP4 of a session, or the range of it that is asked for.

    A video element sends no headers of its own, so that the app puts a token for this one session into the address.
    Programs send the ``Authorization`` header.
    """
    settings = services_of(request).settings
    caller = await find_caller(request)
    if caller is not None:
        try:
            owner = await asyncio.to_thread(_owner_of, caller, session_id)
            await caller.require([owner], "see")
        except NotFoundError:  # in the same words, whether it is another's or is not there
            raise HTTPException(404, f"session {session_id} has no finished video") from None
        await caller.services.trail.seen(caller.actor, "video.seen", owner, session_id)
    else:
        try:
            subject, _ = tokens.read_token(settings.secret_key.get_secret_value(), tokens.VIDEO, token)
        except WireError:
            subject = ""
        if subject != str(session_id):
            raise HTTPException(401, "expected a token for this video, or Authorization: Bearer <API token>")
    files = files_of(settings.videos, session_id, Vault(settings.secret_key.get_secret_value()))
    if not files.video.is_file():
        raise HTTPException(404, f"session {session_id} has no finished video")
    try:
        file = await asyncio.to_thread(files.open, files.video)
    except SealError as exc:
        logger.error("%s", exc, extra={"session_id": session_id})
        raise HTTPException(503, f"the video of session {session_id} cannot be read: see the log of the API") from exc
    if not isinstance(file, SealedReader):  # made before videos were encrypted; job_runner is about to
        file.close()
        return FileResponse(files.video, media_type="video/mp4")
    if not file.complete:
        file.close()
        raise HTTPException(503, f"the video of session {session_id} ends in the middle: see the disk")
    return answer(file, request.headers.get("range"), "video/mp4", head=request.method == "HEAD")


def _owner_of(caller: Caller, session_id: int) -> int:
    with caller.services.pool.transaction() as tx:
        return sessions.get_session(tx, session_id).user_id
