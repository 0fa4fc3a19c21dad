"""The WebSocket of a page: let in with both secrets of a login, watched while it is open, closed when the login ends.

Streamlit resumes one of its sessions for whoever names it. Here a session belongs to the login that it ran in, and is
resumed in that login only.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gate.page_messages import MAX_MESSAGE_BYTES, parsed
from gate.page_runs import PageRuns, Runs
from gate.requests import BINDING_PROTOCOL, Visit, find_login
from semg.errors import StoreError
from semg.security.tokens import Login
from semg.store import logins

logger = logging.getLogger(__name__)

LOGIN_HEADER = "x-semg-login"
"""What a page's script reads its login from; set here, and taken off whatever a browser sends."""
ENDED = 4401
LOOK_AGAIN_S = 5.0
"""How long an open page goes on after its login was ended by another process, at most."""
SEEN_EVERY_S = 30.0
MAX_OPEN = 40
"""Open pages of one account."""
MAX_SESSIONS, MAX_SESSIONS_EACH = 10_000, 200
"""Pages that may upload, of all accounts and of one: those that are open, and those that were left."""
MAX_DROPPED = 100
"""Of other messages, then the WebSocket is closed."""


class Sessions:
    """In which login each of Streamlit's sessions runs.

    Where an account has too many, the one of its own that ran longest ago is forgotten; where all have, one of the
    account that has the most.

    A session has an alias that stands in addresses of uploads: proxies write those into their logs, and a session's own
    id is nobody's business there. Safe to use from threads.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._logins: dict[str, Login] = {}
        self._of: dict[int, OrderedDict[str, None]] = {}
        self._by_alias: dict[str, str] = {}
        self._closers: dict[int, set[Callable[[], None]]] = {}
        self._n_open: Counter[int] = Counter()
        self._lock = threading.Lock()

    def alias(self, session_id: str) -> str:
        """Return what a session is called in addresses."""
        return hmac.digest(self._key, session_id.encode(), "sha256").hex()[:32]

    def let(self, session_id: str, login: Login) -> None:
        """Note that a session runs in a login."""
        with self._lock:
            self._forget(session_id)
            self._logins[session_id] = login
            self._by_alias[self.alias(session_id)] = session_id
            own = self._of.setdefault(login.account_id, OrderedDict())
            own[session_id] = None
            if len(own) > MAX_SESSIONS_EACH:
                self._forget(next(iter(own)))
            if len(self._logins) > MAX_SESSIONS:
                own = max(self._of.values(), key=len)
                self._forget(next(iter(own)))

    def refuse(self, session_id: str) -> None:
        """Note that a session runs in no login."""
        with self._lock:
            self._forget(session_id)

    def _forget(self, session_id: str) -> None:
        login = self._logins.pop(session_id, None)
        if login is None:
            return
        self._by_alias.pop(self.alias(session_id), None)
        own = self._of[login.account_id]
        own.pop(session_id, None)
        if not own:
            del self._of[login.account_id]

    def find(self, session_id: str) -> Login | None:
        """Return the login of a session, or None."""
        with self._lock:
            return self._logins.get(session_id)

    def find_by_alias(self, alias: str) -> str | None:
        """Return the session of an alias, or None."""
        with self._lock:
            return self._by_alias.get(alias)

    def opened(self, login: Login, close: Callable[[], None]) -> bool:
        """Note an open WebSocket; return whether its account may have one more, in whatever login."""
        with self._lock:
            if self._n_open[login.account_id] >= MAX_OPEN:
                return False
            self._n_open[login.account_id] += 1
            self._closers.setdefault(login.login_id, set()).add(close)
            return True

    def closed(self, login: Login, close: Callable[[], None]) -> None:
        """Note that a WebSocket is closed."""
        with self._lock:
            closers = self._closers.get(login.login_id, set())
            closers.discard(close)
            if not closers:
                self._closers.pop(login.login_id, None)
            self._n_open[login.account_id] -= 1
            self._n_open += Counter()  # forgets those with none

    def end(self, login_id: int) -> None:
        """Close the WebSockets of a login that has ended."""
        with self._lock:
            closers = list(self._closers.get(login_id, ()))
        for close in closers:
            close()


SESSIONS = Sessions()
"""Of this process: Streamlit's sessions are of this process too."""


async def serve(app: ASGIApp, visit: Visit, runs: Runs, scope: Scope, receive: Receive, send: Send) -> None:
    """Open a page's WebSocket in the login that it shows, or refuse it."""
    offered = [part.strip() for part in Headers(scope=scope).get("sec-websocket-protocol", "").split(",")]
    binding = next((one.removeprefix(BINDING_PROTOCOL) for one in offered if one.startswith(BINDING_PROTOCOL)), "")
    try:
        record = await find_login(Headers(scope=scope), visit, binding)
    except StoreError as exc:
        logger.warning("a page's WebSocket is refused: %s", exc)
        await refuse(receive, send, 1013)
        return
    if record is None:
        await refuse(receive, send, ENDED)
        return
    login = Login(record.account_id, record.login_id)
    inside = _inside(scope, offered, login)
    resumed = (inside["subprotocols"] + [""] * 3)[2]
    socket = _Socket(visit, login, PageRuns(runs, login.account_id, resumed), receive, send)
    if not SESSIONS.opened(login, socket.end):
        await refuse(receive, send, 1013)
        return
    try:
        await socket.run(app, inside)
    finally:
        SESSIONS.closed(login, socket.end)


async def refuse(receive: Receive, send: Send, code: int) -> None:
    """Refuse a WebSocket before it is open: the browser sees status 403."""
    await receive()
    await send({"type": "websocket.close", "code": code})


def _inside(scope: Scope, offered: list[str], login: Login) -> Scope:
    """Return the scope that Streamlit sees: without the binding, with the login, and with no other login's session."""
    protocols = [one for one in offered if not one.startswith(BINDING_PROTOCOL)][:3]
    if len(protocols) == 3 and SESSIONS.find(protocols[2]) != login:
        del protocols[2]
    dropped = {b"sec-websocket-protocol", LOGIN_HEADER.encode()}
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in dropped]
    headers.append((b"sec-websocket-protocol", ", ".join(protocols).encode("latin-1", "replace")))
    headers.append((LOGIN_HEADER.encode(), str(login.login_id).encode()))
    return {**scope, "headers": headers, "subprotocols": protocols}


class _Socket:
    """One open WebSocket between a browser and Streamlit."""

    def __init__(self, visit: Visit, login: Login, runs: PageRuns, receive: Receive, send: Send) -> None:
        self._visit, self._login, self._runs, self._receive, self._send = visit, login, runs, receive, send
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._is_open = False
        self._seen_at = -SEEN_EVERY_S
        self._n_dropped = 0

    def end(self) -> None:
        """Close it, because its login has ended. Safe to use from threads."""
        self._loop.call_soon_threadsafe(self._ended.set)

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Serve it until one of the sides leaves, or its login ends."""
        watch = asyncio.create_task(self._watch())
        try:
            await app(scope, self._from_browser, self._to_browser)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    async def _from_browser(self) -> Message:
        """Return the next message that Streamlit may see; others are dropped."""
        while True:
            message = await self._next()
            if message["type"] != "websocket.receive":
                return message
            data = message.get("bytes") or b""
            if not await self._unless_ended(self._runs.pay(len(data))):
                break
            asked = parsed(data)
            if asked is not None:
                if not await self._unless_ended(self._runs.begin(asked)):
                    break
                if asked.WhichOneof("type") == "rerun_script" and not asked.rerun_script.is_auto_rerun:
                    await self._note_seen()
                return message
            self._n_dropped += 1
            if self._n_dropped > MAX_DROPPED:
                logger.warning("a page's WebSocket is closed: it sends what no page of this app does")
                await self._close(1008)
                return {"type": "websocket.disconnect", "code": 1008}
        await self._close()
        return {"type": "websocket.disconnect", "code": ENDED}

    async def _unless_ended(self, work: Coroutine[Any, Any, None]) -> bool:
        """Wait for something, but not longer than the login holds; return whether it was done."""
        doing, ended = asyncio.ensure_future(work), asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait((doing, ended), return_when=asyncio.FIRST_COMPLETED)
            if self._ended.is_set():
                return False
            doing.result()
            return True
        finally:
            doing.cancel()
            ended.cancel()

    async def _next(self) -> Message:
        waiting = [asyncio.ensure_future(self._receive()), asyncio.ensure_future(self._ended.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if self._ended.is_set():
                await self._close()
                return {"type": "websocket.disconnect", "code": ENDED}
            message: Message = waiting[0].result()  # type: ignore[assignment]
        finally:
            for task in waiting:
                task.cancel()
        if len(message.get("bytes") or message.get("text") or b"") > MAX_MESSAGE_BYTES:
            logger.warning("a page's WebSocket is closed: a message has more than %d bytes", MAX_MESSAGE_BYTES)
            await self._close(1009)
            return {"type": "websocket.disconnect", "code": 1009}
        return message

    async def _to_browser(self, message: Message) -> None:
        if message["type"] == "websocket.accept":
            self._is_open = True
        elif message["type"] == "websocket.send" and not self._is_open:
            return  # Streamlit has not heard yet that it is closed
        elif message["type"] == "websocket.close":
            if not self._is_open and self._ended.is_set():
                return
            self._is_open = False
        elif message.get("bytes"):
            self._runs.said(message["bytes"])
        await self._send(message)

    async def _close(self, code: int = ENDED) -> None:
        if self._is_open:
            self._is_open = False
            await self._send({"type": "websocket.close", "code": code})
        self._ended.set()

    async def _watch(self) -> None:
        """End it soon after its login has ended."""
        while True:
            await asyncio.sleep(LOOK_AGAIN_S)
            try:
                if not await self._visit.in_thread(self._holds):
                    self._ended.set()
                    return
            except StoreError as exc:
                logger.warning("whether a login holds cannot be asked: %s", exc)

    def _holds(self) -> bool:
        with self._visit.pool.transaction() as tx:
            return logins.find_login(tx, self._login.login_id) is not None

    async def _note_seen(self) -> None:
        if time.monotonic() - self._seen_at < SEEN_EVERY_S:
            return
        self._seen_at = time.monotonic()
        try:
            await self._visit.in_thread(self._update_seen)
        except StoreError as exc:
            logger.warning("an act of a login cannot be noted: %s", exc)

    def _update_seen(self) -> None:
        with self._visit.pool.transaction() as tx:
            logins.update_seen(tx, self._login.login_id, self._visit.settings.login_idle_s)
