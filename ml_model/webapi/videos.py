"""The videos of sessions, for a browser's video element."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse

from semg.errors import EncryptedFileError, NotFoundError
from semg.security import tokens
from semg.security.encrypted_files import EncryptedReader, Vault
from semg.security.keys import ring_of
from semg.store import sessions
from semg.store.pool import Transaction
from semg.video.files import VideoFiles, files_of
from semg.wire.http import Problem
from webapi.access import find_caller, require_browser
from webapi.lifespan import Services, services_of
from webapi.ranges import answer
from webapi.sending import send_counted

logger = logging.getLogger(__name__)
video_routes = APIRouter(tags=["videos"])
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem},
    404: {"model": Problem, "description": "The session has no finished video"},
    429: {"model": Problem, "description": "Too many files and long requests are under way"},
}


@video_routes.get("/videos/{session_id}", responses=_REFUSALS, response_class=FileResponse)
@video_routes.head("/videos/{session_id}", include_in_schema=False)
async def video(request: Request, session_id: int, token: str = "") -> Response:
    """Return the MP4 of a session, or the range of it that is asked for.

    A video element sends no headers of its own, so that the app puts a token for this one session into the address; it
    ends with the login that it was made for. Programs send the ``Authorization`` header.
    """
    services, caller = services_of(request), find_caller(request, "read")
    settings, missing = services.settings, HTTPException(404, f"session {session_id} has no finished video")
    if caller is not None:
        try:
            owner = await asyncio.to_thread(_owner_of, services, session_id)
            await caller.require([owner], "see")
        except NotFoundError:  # in the same words, whether it is another's or is not there
            raise missing from None
        await services.trail.seen(caller.actor, "video.seen", owner, session_id)
        whose: int | None = caller.account_id
    else:
        whose = await require_browser(services, tokens.VIDEO, token, str(session_id), lambda tx: _owner(tx, session_id))
    files = files_of(settings.videos, session_id, Vault(ring_of(settings)))
    if whose is None or not files.video.is_file():
        raise missing
    return await send_counted(services, whose, lambda: _sent(request, files, session_id))


async def _sent(request: Request, files: VideoFiles, session_id: int) -> Response:
    """Return what sends a video, or the range of it that is asked for."""
    try:
        file = await asyncio.to_thread(files.open, files.video)
    except EncryptedFileError as exc:
        logger.error("%s", exc, extra={"session_id": session_id})
        raise HTTPException(503, f"the video of session {session_id} cannot be read: see the log of the API") from exc
    if not isinstance(file, EncryptedReader):  # made before videos were encrypted; job_runner is about to
        file.close()
        return FileResponse(files.video, media_type="video/mp4")
    if not file.complete:
        file.close()
        raise HTTPException(503, f"the video of session {session_id} ends in the middle: see the disk")
    return answer(file, request.headers.get("range"), "video/mp4", head=request.method == "HEAD")


def _owner_of(services: Services, session_id: int) -> int:
    with services.pool.transaction() as tx:
        return _owner(tx, session_id)


def _owner(tx: Transaction, session_id: int) -> int:
    return sessions.get_session(tx, session_id).user_id
