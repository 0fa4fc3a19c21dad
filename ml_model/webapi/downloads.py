"""Files that are made while they are sent: sessions, models, reports, and the pictures that pages show."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from semg.errors import NotFoundError, TrainingError
from semg.privacy import file_exports
from semg.privacy.file_exports import Content, Download
from semg.security import tokens
from semg.security.keys import ring_of
from semg.store.audit import Actor
from semg.store.pool import Pool
from semg.wire.http import Problem
from webapi import under_way
from webapi.access import Caller, find_caller, require_browser
from webapi.lifespan import Services, services_of

logger = logging.getLogger(__name__)
download_routes = APIRouter(tags=["downloads"])
PIECE_BYTES = 256 << 10
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem},
    404: {"model": Problem, "description": "There is no such file"},
    409: {"model": Problem, "description": "There is nothing in it"},
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
            owner = await asyncio.to_thread(_owner_of, services.pool, download)
            if owner is None:
                caller.require_admin()
            else:
                await caller.require([owner], "see")
            await asyncio.to_thread(_note, services.pool, download, caller.actor)
        elif not await require_browser(
            services, tokens.FILE, token, name, download.whose, lambda tx, one: download.note(tx, Actor(one.login))
        ):
            raise missing
        whose = _account_of(services, caller, token, name)
        services.downloads.begin(whose)
        try:
            async with services.readers:
                content, first = await asyncio.to_thread(_open, services.pool, download)
        except BaseException:
            services.downloads.end(whose)
            raise
    except NotFoundError:  # in the same words, whether it is another's or is not there
        raise missing from None
    except TrainingError as exc:
        raise HTTPException(409, str(exc)) from exc
    headers = {"content-disposition": f'attachment; filename="{content.saved_as}"'} if content.saved_as else {}
    pieces = _pieces(services, name, first, content.pieces)
    return _Counted(pieces, headers, content.media_type, lambda: services.downloads.end(whose))


class _Counted(StreamingResponse):
    """An answer that is counted while it is sent, to its end or not."""

    def __init__(self, pieces: AsyncIterator[bytes], headers: dict[str, str], media_type: str, end: Callable[[], None]):
        super().__init__(pieces, 200, headers, media_type)
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, in ``MAX_SEND_S`` at most."""
        try:
            async with asyncio.timeout(under_way.MAX_SEND_S):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            logger.warning("a file was cut off: its reader is too slow", extra={"path": scope["path"]})
        finally:
            self._end()


def _account_of(services: Services, caller: Caller | None, token: str, name: str) -> int:
    """Return the account that takes a file; 0 for a service."""
    if caller is not None:
        return 0 if caller.account is None else caller.account.account_id
    return tokens.read_login_of(ring_of(services.settings), tokens.FILE, token, name).account_id


def _open(pool: Pool, download: Download) -> tuple[Content, bytes]:
    """Open a file and read its first piece: what cannot be read is refused before an answer has begun."""
    content = download.open(pool)
    return content, next(content.pieces, b"")


async def _pieces(services: Services, name: str, first: bytes, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what is sent; few files are read at the same moment, and nobody waits for a slow reader."""
    piece: bytes | None = first
    try:
        while piece is not None:
            for start in range(0, len(piece), PIECE_BYTES):
                yield piece[start : start + PIECE_BYTES]
            async with services.readers:
                piece = await asyncio.to_thread(next, pieces, None)
    except Exception:
        logger.exception("a file was not sent to its end", extra={"file": name})
        raise  # the connection is cut off, which tells the browser that the file is not complete


def _owner_of(pool: Pool, download: Download) -> int | None:
    with pool.transaction() as tx:
        return download.whose(tx)


def _note(pool: Pool, download: Download, actor: Actor) -> None:
    with pool.transaction() as tx:
        download.note(tx, actor)
