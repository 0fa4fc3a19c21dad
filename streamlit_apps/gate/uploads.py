"""Files that a page sends: from a page in which somebody is logged in only, bounded, before any of it is read.

Streamlit keeps a file in memory as long as its page is open, and would take one from whoever knows the id of a page.
Here an upload shows the login's two secrets, and goes to a page of that login. Its address names the page by an alias.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec, UploadFileUrlInfo

from gate.requests import BINDING_HEADER, Visit, find_login
from gate.sockets import SESSIONS

logger = logging.getLogger(__name__)

AT_ONCE = 2
"""Uploads of one account at the same time; each takes its size twice until it is there."""
HELD_FILES = 2
"""An account may have as much in memory as so many files of ``server.maxUploadSize``, in all of its pages."""
FILES = 200
"""Files of one account in memory, in all of its pages."""
GIVEN = 100
"""Addresses for files that a page was given last; others take none."""
FILE_BYTES = 2048
"""What is around a file in memory, here and at Streamlit; its name and type are counted as they are."""
FORM_BYTES = 4096
"""Of a request around the file's own."""
PATH = "/_stcore/upload_file/"


class Held:
    """Which addresses pages were given for files, and what is in memory of the files that came.

    Safe to use from threads. Sums are kept, so that an upload looks at no file that is there already.
    """

    def __init__(self) -> None:
        self._given: dict[str, OrderedDict[str, None]] = {}
        self._files: dict[str, dict[str, tuple[int, int]]] = {}
        self._bytes: Counter[int] = Counter()
        self._n: Counter[int] = Counter()
        self._lock = threading.Lock()

    def give(self, session_id: str, file_ids: Sequence[str]) -> None:
        """Note that a page was given addresses; the oldest ones are forgotten."""
        with self._lock:
            given = self._given.setdefault(session_id, OrderedDict())
            given.update(dict.fromkeys(file_ids))
            while len(given) > GIVEN:
                given.popitem(last=False)

    def knows(self, session_id: str, file_id: str) -> bool:
        """Return whether a page was given an address for a file of this id."""
        with self._lock:
            return file_id in self._given.get(session_id, ()) or file_id in self._files.get(session_id, ())

    def add(self, session_id: str, account_id: int, file: UploadedFileRec) -> bool:
        """Note a file that has come, in the place of one with its id; return False where its page is gone meanwhile."""
        size = FILE_BYTES + sum(map(sys.getsizeof, (file.file_id, file.name, file.type, file.data)))
        with self._lock:
            if session_id not in self._given:
                return False  # nothing would ever remove it
            self._forget(session_id, file.file_id)
            self._files.setdefault(session_id, {})[file.file_id] = (account_id, size)
            self._bytes[account_id] += size
            self._n[account_id] += 1
            return True

    def remove(self, session_id: str, file_id: str) -> None:
        """Note that a file is gone."""
        with self._lock:
            self._forget(session_id, file_id)

    def end(self, session_id: str) -> None:
        """Note that a page is gone, with its files."""
        with self._lock:
            for file_id in list(self._files.get(session_id, ())):
                self._forget(session_id, file_id)
            self._given.pop(session_id, None)

    def of(self, account_id: int) -> tuple[int, int]:
        """Return how many files of an account are in memory, in all of its pages, and how many bytes they take."""
        with self._lock:
            return self._n[account_id], self._bytes[account_id]

    def _forget(self, session_id: str, file_id: str) -> None:
        account_id, size = self._files.get(session_id, {}).pop(file_id, (0, 0))
        if not size:
            return
        if not self._files[session_id]:
            del self._files[session_id]
        self._bytes[account_id] -= size
        self._n[account_id] -= 1
        if not self._n[account_id]:
            del self._n[account_id], self._bytes[account_id]


HELD = Held()
"""Of this process, as Streamlit's files are."""


def watch(manager: MemoryUploadedFileManager) -> None:
    """Let addresses for uploads name a page's alias in place of its id, and count the files that come and go."""
    urls, add, remove, end = (
        manager.get_upload_urls, manager.add_file, manager.remove_file, manager.remove_session_files,
    )  # fmt: skip

    def with_alias(session_id: str, file_names: Sequence[str]) -> list[UploadFileUrlInfo]:
        alias = SESSIONS.alias(session_id)
        made = urls(session_id, file_names)
        HELD.give(session_id, [info.file_id for info in made])
        return [
            UploadFileUrlInfo(
                file_id=info.file_id,
                upload_url=info.upload_url.replace(session_id, alias),
                delete_url=info.delete_url.replace(session_id, alias),
            )
            for info in made
        ]

    def counted(session_id: str, file: UploadedFileRec) -> None:
        login = SESSIONS.find(session_id)
        if HELD.add(session_id, 0 if login is None else login.account_id, file):
            add(session_id, file)

    def removed(session_id: str, file_id: str) -> None:
        remove(session_id, file_id)
        HELD.remove(session_id, file_id)

    def ended(session_id: str) -> None:
        HELD.end(session_id)
        end(session_id)

    manager.get_upload_urls = with_alias  # type: ignore[method-assign]
    manager.add_file = counted  # type: ignore[method-assign]
    manager.remove_file = removed  # type: ignore[method-assign]
    manager.remove_session_files = ended  # type: ignore[method-assign]


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
        if not HELD.knows(session_id, file_id):
            await PlainTextResponse("Choose the file again: its page has no such address.", 404)(scope, receive, send)
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
        n_held, held_bytes = HELD.of(account_id)
        if n_held + self._under_way[account_id] >= FILES:
            return PlainTextResponse(f"Close some of your open pages first: they hold {FILES} uploaded files.", 413)
        if held_bytes + self._coming_bytes[account_id] + size > HELD_FILES * (most + FORM_BYTES):
            text = f"Close some of your open pages first: they hold {HELD_FILES * most >> 20} MB of uploaded files."
            return PlainTextResponse(text, 413)
        return None
