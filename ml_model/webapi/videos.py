"""The videos of sessions, for a browser's video element."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse

from semg.errors import WireError
from semg.video.files import files_of
from semg.wire import tokens
from semg.wire.http import Problem
from webapi.access import is_api_token
from webapi.services import services_of

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
    if not is_api_token(settings, request.headers.get("authorization")):
        try:
            subject, _ = tokens.read_token(settings.secret_key.get_secret_value(), tokens.VIDEO, token)
        except WireError:
            subject = ""
        if subject != str(session_id):
            raise HTTPException(401, "expected a token for this video, or Authorization: Bearer <SEMG_API_TOKEN>")
    path = files_of(settings.videos, session_id).video
    if not path.is_file():
        raise HTTPException(404, f"session {session_id} has no finished video")
    return FileResponse(path, media_type="video/mp4")
