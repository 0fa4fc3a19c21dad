"""Bounds on what a connection may send: heads, cookies, requests ahead of their answers, WebSocket messages and frames.

uvicorn's server by httptools keeps whatever comes, for as long as it comes. Its classes are changed in place, because
``uvicorn api:app`` and Streamlit have chosen it before any code of ours runs, and neither takes another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MAX_HEAD_BYTES = 65_536
"""Request line and headers together, as the gateway of ``--lan`` has it."""
OWN_COOKIES = (b"semg_", b"__Host-semg_", b"_streamlit_")
MAX_COOKIE_BYTES = 8192
"""Of one header. A backslash is in none of ours, and Python before 3.11.10 takes the square of their number to read
them (CVE-2024-7592): 60,000 of them, in a request of anybody, hold up a service for half a minute."""
MAX_PIPELINED = 8
"""Requests of a connection that wait for the answer before them; uvicorn reads on after every answer."""
MAX_FRAMES_PER_S = 1000
"""Of a WebSocket, whatever is in them: a page sends a few, and each is handled before anything else of the process."""
HEAD_S = 15.0
"""From the first byte of a head to its last, and from the connection to its first head's end."""
TOO_LONG = "The request's head is too long, or does not end."
UNREADABLE = "The upgrade's head is not one of a WebSocket: a line is too long, or there are too many."


def readable_cookies(header: bytes) -> bytes:
    """Return a ``Cookie`` header without what is slow to read; when it is long, with our own cookies only.

    Other programs on the same host set cookies too, and nobody should be shut out by them.
    """
    pairs = [pair for pair in header.split(b";") if b"\\" not in pair]
    if len(header) > MAX_COOKIE_BYTES:
        pairs = [pair for pair in pairs if pair.strip().startswith(OWN_COOKIES) and len(pair) <= 1024][:10]
    return b";".join(pairs)


def bound_messages(most: int) -> None:
    """Let no WebSocket of this process take a message of more bytes, or more than ``MAX_FRAMES_PER_S`` frames.

    Streamlit sets 200 million bytes for both directions. Pings and empty frames are of no message; a ping is answered
    only while the answers before are read.
    """
    made = WebSocketsSansIOProtocol.__init__

    def __init__(self: Any, config: Any, *args: Any, **more: Any) -> None:
        config.ws_max_size = min(config.ws_max_size, most)
        made(self, config, *args, **more)

    WebSocketsSansIOProtocol.__init__ = __init__  # type: ignore[method-assign]
    if not getattr(WebSocketsSansIOProtocol, "has_bounded_frames", False):
        for name in ("handle_cont", "handle_text", "handle_bytes", "handle_ping", "handle_pong"):
            handled = _counted(getattr(WebSocketsSansIOProtocol, name), is_answered=name == "handle_ping")
            setattr(WebSocketsSansIOProtocol, name, handled)
        WebSocketsSansIOProtocol.has_bounded_frames = True  # type: ignore[attr-defined]


def _counted(handle: Callable[..., None], *, is_answered: bool) -> Callable[..., None]:
    def counted(self: Any, *event: Any) -> None:
        if self.transport.is_closing():
            return
        now = self.loop.time()
        since, n = getattr(self, "frames_seen", (now, 0))
        self.frames_seen = (now, 1) if now - since > 1.0 else (since, n + 1)
        if self.frames_seen[1] > MAX_FRAMES_PER_S or len(self.frames) > MAX_FRAMES_PER_S:
            self.transport.abort()
        elif is_answered and not self.writable.is_set():
            self.conn.data_to_send()  # a pong that would only wait behind the answers before it
        else:
            handle(self, *event)

    return counted


def bound_heads() -> None:
    """Let every connection that begins from now on have bounds; a second call changes nothing.

    Heads have ``MAX_HEAD_BYTES`` and ``HEAD_S``, cookies what ``readable_cookies`` leaves; nothing follows a body.
    """
    if getattr(HttpToolsProtocol, "has_bounded_heads", False):
        return
    made, received, lost = (
        HttpToolsProtocol.connection_made,
        HttpToolsProtocol.data_received,
        HttpToolsProtocol.connection_lost,
    )
    begun, complete = HttpToolsProtocol.on_message_begin, HttpToolsProtocol.on_headers_complete
    header, upgraded = HttpToolsProtocol.on_header, HttpToolsProtocol.handle_websocket_upgrade

    def connection_made(self: Any, transport: asyncio.Transport) -> None:
        made(self, transport)
        self.head_timer = None
        start(self)

    def data_received(self: Any, data: bytes) -> None:
        if self.head_bytes is not None:
            self.head_bytes += len(data)
        received(self, data)
        if self.head_bytes is not None and self.head_bytes > MAX_HEAD_BYTES:
            refuse(self)

    def on_message_begin(self: Any) -> None:
        if self.head_timer is None:  # else the first one of the connection
            start(self)
        begun(self)

    def on_header(self: Any, name: bytes, value: bytes) -> None:
        if self.head_bytes is None:
            raise ValueError("headers behind a body, which would be kept for ever")  # answered with 400
        header(self, name, readable_cookies(value) if name.lower() == b"cookie" else value)

    def on_headers_complete(self: Any) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("requests that do not wait for an answer")  # each would be kept until its turn
        is_answered = self.cycle is None or (self.cycle.response_complete and not self.flow.write_paused)
        if self.parser.should_upgrade() and not is_answered:
            raise ValueError("an upgrade before the answer is read")  # neither would then wait for its reader
        stop(self)
        complete(self)

    def handle_websocket_upgrade(self: Any) -> None:
        upgraded(self)
        # The whole head was passed on. What websockets does not read, such as a line of more than 8 kB, it drops, with
        # no answer and no timer.
        if not getattr(self.transport.get_protocol(), "handshake_initiated", True):
            self.send_400_response(UNREADABLE)

    def connection_lost(self: Any, exc: Exception | None) -> None:
        stop(self)
        lost(self, exc)

    def start(self: Any) -> None:
        self.head_bytes, self.head_timer = 0, self.loop.call_later(HEAD_S, refuse, self)

    def stop(self: Any) -> None:
        if self.head_timer is not None:
            self.head_timer.cancel()
        self.head_bytes = self.head_timer = None

    def refuse(self: Any) -> None:
        stop(self)
        if not self.transport.is_closing():
            self.send_400_response(TOO_LONG)

    changed = (
        connection_made, data_received, on_message_begin, on_header, on_headers_complete, handle_websocket_upgrade,
        connection_lost,
    )  # fmt: skip
    for function in changed:
        setattr(HttpToolsProtocol, function.__name__, function)
    HttpToolsProtocol.has_bounded_heads = True  # type: ignore[attr-defined]
