"""Encrypted files over HTTP: all of one, or the range that a player asks for (RFC 9110, section 14)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

from fastapi import HTTPException
from fastapi.responses import Response, StreamingResponse

from semg.security.encrypted_files import EncryptedReader

PIECE_BYTES = 256 << 10
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
"""More digits are no place in a file: ``int()`` refuses thousands of them."""


def answer(file: EncryptedReader, asked: str | None, media_type: str, *, head: bool, name: str = "") -> Response:
    """Return a file or a range of it; the file is closed when it has been sent.

    Several ranges at once, and what is no range, get the whole file, as the RFC allows.

    Parameters
    ----------
    asked
        The ``Range`` header.
    head
        Without the content.
    name
        To be saved under; empty: to be shown.

    Raises
    ------
    HTTPException
        416, the range lies beyond the end.
    """
    start, end = _bounds(file, asked)
    partial = (start, end) != (0, file.size)
    headers = {"accept-ranges": "bytes", "content-length": str(end - start)}
    if partial:
        headers["content-range"] = f"bytes {start}-{end - 1}/{file.size}"
    if name:
        headers["content-disposition"] = f'attachment; filename="{name}"'
    status = 206 if partial else 200
    if head:
        file.close()
        return Response(None, status, headers, media_type)
    return StreamingResponse(_pieces(file, start, end), status, headers, media_type)


async def _pieces(file: EncryptedReader, start: int, end: int) -> AsyncIterator[bytes]:
    try:
        file.seek(start)
        while start < end:
            piece = await asyncio.to_thread(file.read, min(PIECE_BYTES, end - start))
            start += len(piece)
            yield piece
    finally:
        file.close()


def _bounds(file: EncryptedReader, asked: str | None) -> tuple[int, int]:
    """Return the first place and the one behind the last."""
    said = _RANGE.fullmatch((asked or "").strip())
    if said is None or said[1] == said[2] == "":
        return 0, file.size
    if said[1] == "":
        start, end = max(0, file.size - int(said[2])), file.size
        valid = int(said[2]) > 0
    else:
        start = int(said[1])
        end = min(file.size, int(said[2]) + 1) if said[2] else file.size
        valid = start < file.size
        if said[2] and int(said[2]) < start:
            return 0, file.size
    if not valid:
        headers = {"content-range": f"bytes */{file.size}"}
        file.close()
        raise HTTPException(416, f"the file has {file.size} bytes; the range that was asked for lies beyond", headers)
    return start, end
