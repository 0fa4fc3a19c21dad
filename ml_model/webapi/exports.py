"""Archives of people's data, fetched by a browser with the token that the app gave it."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response

from semg.errors import EncryptedFileError
from semg.privacy import archive_downloads
from semg.security import tokens
from semg.wire.http import Problem
from webapi.access import require_browser
from webapi.lifespan import services_of
from webapi.ranges import answer
from webapi.sending import send_counted

export_routes = APIRouter(tags=["exports"])
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem},
    404: {"model": Problem, "description": "There is no such archive (any more)"},
    429: {"model": Problem, "description": "Too many files and long requests are under way"},
}


@export_routes.get("/exports/{name}", responses=_REFUSALS, response_class=Response)
async def export(request: Request, name: str, token: str = "") -> Response:
    """Return an archive that the Profiles page has made, or a range of it, while the login lasts that made it."""
    services = services_of(request)
    missing = HTTPException(404, "there is no such archive; they are removed after an hour: make it again")
    browser = await require_browser(services, tokens.EXPORT, token, name, lambda _: archive_downloads.user_of(name))
    if browser is None:
        raise missing

    async def sent() -> Response:
        try:
            file = await asyncio.to_thread(archive_downloads.open_export, services.settings, name)
        except EncryptedFileError as exc:
            raise HTTPException(503, f"the archive cannot be read: {exc}") from exc
        if file is None:
            raise missing
        saved_as = f"profile-{archive_downloads.user_of(name)}.zip"
        return answer(file, request.headers.get("range"), "application/zip", head=False, name=saved_as)

    return await send_counted(services, browser, sent)
