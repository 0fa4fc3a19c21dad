"""Who may upload, and how much.

Streamlit takes a file from whoever has a page open, the login form's too, and keeps it in memory while that page is
open. Before it does, ``Gate`` asks whether somebody is logged in there, and what that account holds already.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter, OrderedDict

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime import Runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

from semg.accounts import find_logged_in
from semg.errors import StoreError
from semg.wire.tokens import Login
from ui import runtime

logger = logging.getLogger(__name__)

AT_ONCE = 2
"""Uploads of one account at the same time; each takes its size twice until it is there."""
HELD_FILES = 2
"""An account may have as much in memory as so many files of ``server.maxUploadSize``, in all of its pages."""
FORM_BYTES = 4096
"""Of a request around the file's own."""
MAX_PAGES = 10_000
_PLACE = "/_stcore/upload_file/"


class Pages:
    """In which of Streamlit's sessions somebody is logged in; the page that ran longest ago is forgotten first.

    Safe to use from threads.
    """

    def __init__(self) -> None:
        self._logins: OrderedDict[str, Login] = OrderedDict()
        self._lock = threading.Lock()

    def let(self, session_id: str, login: Login) -> None:
        """Note that a login is in a session."""
        with self._lock:
            self._logins[session_id] = login
            self._logins.move_to_end(session_id)
            if len(self._logins) > MAX_PAGES:
                self._logins.popitem(last=False)

    def refuse(self, session_id: str) -> None:
        """Note that nobody is logged in in a session."""
        with self._lock:
            self._logins.pop(session_id, None)

    def find(self, session_id: str) -> Login | None:
        """Give the login that is in a session, or None."""
        with self._lock:
            return self._logins.get(session_id)

    def of(self, account_id: int) -> list[str]:
        """Give the sessions in which an account is logged in."""
        with self._lock:
            return [name for name, login in self._logins.items() if login.account_id == account_id]


@st.cache_resource(show_spinner=False)
def pages() -> Pages:
    """Give what is known of this app's sessions."""
    return Pages()


def let_here(login: Login) -> None:
    """Let the page that runs now upload."""
    context = get_script_run_ctx()
    if context is not None:
        pages().let(context.session_id, login)


def refuse_here() -> None:
    """Let the page that runs now upload no more."""
    context = get_script_run_ctx()
    if context is not None:
        pages().refuse(context.session_id)


class Gate:
    """ASGI middleware before Streamlit: refuses an upload before any of it is read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._under_way: Counter[int] = Counter()
        self._coming_bytes: Counter[int] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on but uploads that are refused."""
        if scope["type"] != "http" or scope["method"] != "PUT" or _PLACE not in scope["path"]:
            await self._app(scope, receive, send)
            return
        login = await _login_of(scope["path"].partition(_PLACE)[2].partition("/")[0])
        if login is None:
            await PlainTextResponse("Log in first.", 403)(scope, receive, send)
            return
        account_id, announced = login.account_id, Headers(scope=scope).get("content-length", "")
        size = int(announced) if announced.isdecimal() and len(announced) < 18 else -1
        refusal = self._refusal(account_id, size)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        self._under_way[account_id] += 1
        self._coming_bytes[account_id] += size
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way[account_id] -= 1
            self._coming_bytes[account_id] -= size

    def _refusal(self, account_id: int, size: int) -> PlainTextResponse | None:
        most = int(st.get_option("server.maxUploadSize")) << 20
        if size < 0:
            return PlainTextResponse("Expected the length of the file (Content-Length).", 411)
        if size > most + FORM_BYTES:
            return PlainTextResponse(f"Expected a file of at most {most >> 20} MB.", 413)
        if self._under_way[account_id] >= AT_ONCE:
            text = f"Expected at most {AT_ONCE} uploads at the same time; wait for one to end."
            return PlainTextResponse(text, 429, {"Retry-After": "5"})
        if held_bytes(account_id) + self._coming_bytes[account_id] + size > HELD_FILES * (most + FORM_BYTES):
            text = f"Files of {HELD_FILES * most >> 20} MB wait in open pages of this account; close them first."
            return PlainTextResponse(text, 413)
        return None


def held_bytes(account_id: int) -> int:
    """Give how much is kept in memory of what an account uploaded, in all pages where it is logged in."""
    manager = Runtime.instance().uploaded_file_mgr
    if not isinstance(manager, MemoryUploadedFileManager):
        return 0
    stored = [manager.file_storage.get(session_id, {}) for session_id in pages().of(account_id)]
    return sum(len(file.data) for files in stored for file in list(files.values()))


async def _login_of(session_id: str) -> Login | None:
    """Give the login in a session if it holds now; without the database, nobody's does."""
    login = pages().find(session_id)
    if login is None:
        return None
    try:
        return login if await asyncio.to_thread(_holds, login) else None
    except StoreError as exc:
        logger.warning("an upload is refused: %s", exc)
        return None


def _holds(login: Login) -> bool:
    app = runtime.app()
    with app.pool.transaction() as tx:
        return find_logged_in(tx, login, app.settings.login_s) is not None
