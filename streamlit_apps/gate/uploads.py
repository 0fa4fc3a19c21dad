"""Files that a page sends: from a page in which somebody is logged in only, bounded, before any of it is read.

Streamlit keeps a file in memory as long as its page is open, and would take one from whoever knows the id of a page.
Here an upload shows the login's two secrets, and goes to a page of that login. Its address names the page by an alias.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime import Runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadFileUrlInfo

from gate.requests import BINDING_HEADER, Visit, find_login
from gate.sockets import SESSIONS

logger = logging.getLogger(__name__)

AT_ONCE = 2
"""Uploads of one account at the same time; each takes its size twice until it is there."""
HELD_FILES = 2
"""An account may have as much in memory as so many files of ``server.maxUploadSize``, in all of its pages."""
FORM_BYTES = 4096
"""Of a request around the file's own."""
PATH = "/_stcore/upload_file/"


def hide_sessions(manager: MemoryUploadedFileManager) -> None:
    """Let addresses for uploads name a page's alias in place of its id."""
    original = manager.get_upload_urls

    def with_alias(session_id: str, file_names: Sequence[str]) -> list[UploadFileUrlInfo]:
        alias = SESSIONS.alias(session_id)
        return [
            UploadFileUrlInfo(
                file_id=info.file_id,
                upload_url=info.upload_url.replace(session_id, alias),
                delete_url=info.delete_url.replace(session_id, alias),
            )
            for info in original(session_id, file_names)
        ]

    manager.get_upload_urls = with_alias  # type: ignore[method-assign]


class Uploads:
    """Passes uploads on to Streamlit, or refuses them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._under_way: Counter[int] = Counter()
        self._coming_bytes: Counter[int] = Counter()

    async def __call__(self, visit: Visit, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the upload, or the removal, of a file of a page."""
        headers = Headers(scope=scope)
        record = await find_login(headers, visit, headers.get(BINDING_HEADER, ""))
        alias, _, file_id = scope["path"].removeprefix(PATH).partition("/")
        session_id = SESSIONS.find_by_alias(alias)
        login = None if session_id is None else SESSIONS.find(session_id)
        if record is None or login is None or session_id is None or login.login_id != record.login_id:
            await PlainTextResponse("Log in first.", 403)(scope, receive, send)
            return
        path = f"{PATH}{session_id}/{file_id}"
        inside = {**scope, "path": path, "raw_path": path.encode("latin-1", "replace")}
        if scope["method"] != "PUT":
            await self._app(inside, receive, send)
            return
        announced = headers.get("content-length", "")
        size = int(announced) if announced.isdecimal() and len(announced) < 18 else -1
        refusal = self._refusal(record.account_id, size)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        self._under_way[record.account_id] += 1
        self._coming_bytes[record.account_id] += size
        try:
            await self._app(inside, receive, send)
        finally:
            self._under_way[record.account_id] -= 1
            self._coming_bytes[record.account_id] -= size

    def _refusal(self, account_id: int, size: int) -> Response | None:
        most = int(st.get_option("server.maxUploadSize")) << 20
        if size < 0:
            return PlainTextResponse("Expected the length of the file (Content-Length).", 411)
        if size > most + FORM_BYTES:
            return PlainTextResponse(f"Choose a file of at most {most >> 20} MB.", 413)
        if self._under_way[account_id] >= AT_ONCE:
            text = f"Wait for an upload to finish: at most {AT_ONCE} run at the same time."
            return PlainTextResponse(text, 429, {"Retry-After": "5"})
        if held_bytes(account_id) + self._coming_bytes[account_id] + size > HELD_FILES * (most + FORM_BYTES):
            text = f"Close some of your open pages first: they hold {HELD_FILES * most >> 20} MB of uploaded files."
            return PlainTextResponse(text, 413)
        return None


def held_bytes(account_id: int) -> int:
    """Return how much is kept in memory of what an account uploaded, in all pages where it is logged in."""
    manager = Runtime.instance().uploaded_file_mgr
    if not isinstance(manager, MemoryUploadedFileManager):
        return 0
    stored = [manager.file_storage.get(session_id, {}) for session_id in SESSIONS.of(account_id)]
    return sum(len(file.data) for files in stored for file in list(files.values()))
