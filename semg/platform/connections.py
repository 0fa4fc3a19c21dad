"""How many connections one address may have, and how long one may say nothing: the gateway's HTTP protocol.

uvicorn counts connections for all addresses together, and waits for the first request of one for ever.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 1000
MAX_PER_ADDRESS = 150
"""A browser has six and one for each live view; many may stand behind one address."""
HANDSHAKE_S = 10.0
HEAD_S = 15.0
"""From the connection, or from the last answer, to the end of a request's headers."""
MAX_HEAD_BYTES = 64 << 10
OPEN_FILES = 4096
_WARN_EVERY_S = 60.0


class Connection(HttpToolsProtocol):
    """One connection; after an upgrade the WebSocket protocol takes its place, also among those that are counted."""

    _head: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, unless its address has too many."""
        super().connection_made(transport)
        address = _address(self)
        if sum(_address(one) == address for one in self.connections) > MAX_PER_ADDRESS:
            _warn(self.server_state, address)
            transport.abort()
            return
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Read on, unless a request's headers are endless."""
        super().data_received(data)
        if self._head is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.abort()

    def on_message_begin(self) -> None:
        """Begin with a request."""
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """Have the headers."""
        self._forget_head()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Have answered; the next request may come."""
        super().on_response_complete()
        if self._head is None and not self.transport.is_closing():
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._forget_head()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(HEAD_S, self.transport.abort)
            self._head_bytes = 0

    def _forget_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None


class Server(uvicorn.Server):
    """uvicorn's server, with an end to TLS handshakes that do not come."""

    async def startup(self, sockets: Any = None) -> None:
        """Listen."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(3)
        config = self.config
        kind: Callable[..., asyncio.Protocol] = config.http_protocol_class
        made = functools.partial(
            kind, config=config, server_state=self.server_state, app_state=self.lifespan.state
        )  # fmt: skip
        loop, limit_s = asyncio.get_running_loop(), None if config.ssl is None else HANDSHAKE_S
        try:
            server = await loop.create_server(
                made, config.host, config.port, ssl=config.ssl, backlog=config.backlog, ssl_handshake_timeout=limit_s
            )
        except OSError as exc:
            logger.error("%s:%d cannot be listened on: %s", config.host, config.port, exc)
            await self.lifespan.shutdown()
            sys.exit(1)
        self.servers = [server]
        self.started = True


def raise_file_limit() -> None:
    """Let this process have a file for each connection, on both sides, where the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _address(connection: Any) -> str:
    """Give where a connection, or the WebSocket that took its place, comes from."""
    client = getattr(connection, "client", None)
    return str(client[0]) if client else ""


def _warn(state: Any, address: str) -> None:
    """Tell of refused connections, once a minute at most."""
    now = time.monotonic()
    if now - getattr(state, "warned_at", -_WARN_EVERY_S) >= _WARN_EVERY_S:
        state.warned_at = now
        logger.warning("%s has more than %d connections: further ones are closed", address, MAX_PER_ADDRESS)
