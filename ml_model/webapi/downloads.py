"""Files that are made while they are sent: sessions, models, reports, and the pictures that pages show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import StreamingResponse

from semg.errors import NotFoundError, TrainingError
from semg.privacy import file_exports
from semg.privacy.file_exports import Content, Download
from semg.security import tokens
from semg.store.audit import Actor
from semg.store.pool import Pool
from semg.wire.http import Problem
from webapi.access import Caller, find_caller, require_browser
from webapi.lifespan import Services, services_of
from webapi.sending import send_counted

download_routes = APIRouter(tags=["downloads"])
PIECE_BYTES = 256 << 10
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem},
    404: {"model": Problem, "description": "There is no such file"},
    409: {"model": Problem, "description": "There is nothing in it"},
    429: {"model": Problem, "description": "Too many files and long requests are under way"},
}


@download_routes.get("/files/{name}", responses=_REFUSALS, response_class=StreamingResponse)
async def file(request: Request, name: str, token: str = "") -> Response:
    """Return a file: `session-N.csv.gz`, `session-N.parquet`, `model-U-V.safetensors`, its report `model-U-V.json`.

    A browser shows a token that the app made for this one file, which ends with the login it was made for. Programs
    send the ``Authorization`` header. Whoever takes a file is written down before any of it is sent.
    """
    services, caller = services_of(request), find_caller(request, "read")
    missing = HTTPException(404, "there is no such file; it may have been deleted")
    download = file_exports.find_download(name)
    if download is None:
        raise missing
    try:
        if caller is not None:
            return await send_download(caller, download)
        whose = await require_browser(
            services, tokens.FILE, token, name, download.whose, lambda tx, one: download.note(tx, Actor(one.login))
        )
        if whose is None:
            raise missing
        return await send_counted(services, whose, lambda: _sent(services, whose, download))
    except NotFoundError:  # in the same words, whether it is another's or is not there
        raise missing from None
    except TrainingError as exc:
        raise HTTPException(409, str(exc)) from exc


async def send_download(caller: Caller, download: Download) -> Response:
    """Return what sends a file to a program that may have it, written down before.

    Raises
    ------
    NotFoundError
        It is not there, or not for this caller to see.
    AccessError
        It is for admins.
    HTTPException
        429: too many files are being sent.
    """
    services = caller.services
    owner = await asyncio.to_thread(_owner_of, services.pool, download)
    if owner is None:
        caller.require_admin()
    else:
        await caller.require([owner], "see")
    await asyncio.to_thread(_note, services.pool, download, caller.actor)
    whose = caller.account_id
    return await send_counted(services, whose, lambda: _sent(services, whose, download))


async def _sent(services: Services, whose: int, download: Download) -> Response:
    """Return what makes a file while it sends it."""
    if not download.takes_turns:
        content, only = await asyncio.to_thread(_open, services.pool, download)
        return Response(only, 200, _headers(content), content.media_type)
    content, first = await services.readers.run(whose, lambda: _open(services.pool, download))
    pieces = iterate_pieces(services, whose, first, content.pieces)
    return StreamingResponse(pieces, 200, _headers(content), content.media_type)


def _headers(content: Content) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{content.saved_as}"'} if content.saved_as else {}


def _open(pool: Pool, download: Download) -> tuple[Content, bytes]:
    """Open a file and read its first piece: what cannot be read is refused before an answer has begun."""
    content = download.open(pool)
    return content, next(content.pieces, b"")


async def iterate_pieces(services: Services, whose: int, first: bytes, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what is sent; each piece is read in a turn of its own, and nobody waits for a slow reader."""
    piece: bytes | None = first
    while piece is not None:
        for start in range(0, len(piece), PIECE_BYTES):
            yield piece[start : start + PIECE_BYTES]
        piece = await services.readers.run(whose, lambda: next(pieces, None))


def _owner_of(pool: Pool, download: Download) -> int | None:
    with pool.transaction() as tx:
        return download.whose(tx)


def _note(pool: Pool, download: Download, actor: Actor) -> None:
    with pool.transaction() as tx:
        download.note(tx, actor)
