"""Archives of people's data, fetched by a browser with the token that the app gave it."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response

from semg import exports
from semg.errors import SealError, WireError
from semg.wire import tokens
from semg.wire.http import Problem
from webapi.ranges import answer
from webapi.services import services_of

export_routes = APIRouter(tags=["exports"])
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem},
    404: {"model": Problem, "description": "There is no such archive (any more)"},
}


@export_routes.get("/exports/{name}", responses=_REFUSALS, response_class=Response)
async def export(request: Request, name: str, token: str = "") -> Response:
    """Give an archive that the User Management page has made, or a range of it."""
    settings = services_of(request).settings
    try:
        subject, _ = tokens.read_token(settings.secret_key.get_secret_value(), tokens.EXPORT, token)
    except WireError:
        subject = ""
    if not subject or subject != name:
        raise HTTPException(401, "expected the token for this archive that the User Management page gives")
    try:
        file = await asyncio.to_thread(exports.open_export, settings, name)
    except SealError as exc:
        raise HTTPException(503, f"the archive cannot be read: {exc}") from exc
    if file is None:
        raise HTTPException(404, "there is no such archive; they are removed after an hour: make it again")
    saved_as = f"profile-{exports.user_of(name)}.zip"
    return answer(file, request.headers.get("range"), "application/zip", head=False, name=saved_as)
