"""What the gateway refuses: whatever is no plain request of a page, said to it byte by byte.

A second server, on a port of its own, must see none of it: the gateway connects to the app and the API and to nothing
else.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from semg.platform.lan import gateway_config
from testing.kits.gateway_kit import System, gateway_running, say
from webapi.app import create_app

pytestmark = pytest.mark.slow


class Other:
    """A server that nobody named: it remembers who came."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> Other:
        self._server = await asyncio.start_server(self._met, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *details: object) -> None:
        self._server.close()

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret")
        await writer.drain()
        writer.close()


@pytest.fixture
async def other() -> AsyncIterator[Other]:
    async with Other() as made:
        yield made


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    async with gateway_running(tmp_path) as made:
        yield made


UPGRADE = b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


def request(line: bytes, more: bytes = b"", connection: bytes = b"close") -> bytes:
    return line + b" HTTP/1.1\r\nHost: gateway.lab\r\nConnection: " + connection + b"\r\n" + more + b"\r\n"


TARGETS = [
    b"GET *@127.0.0.1:PORT/x", b"GET *@127.0.0.1:PORT", b"GET *", b"GET @127.0.0.1:PORT/x", b"GET 127.0.0.1:PORT",
    b"GET http://127.0.0.1:PORT/x", b"GET http://gateway.lab/", b"GET https://127.0.0.1:PORT/varz", b"GET HTTP:/x",
    b"GET file:///etc/passwd", b"GET //127.0.0.1:PORT/x", b"GET ///127.0.0.1:PORT/x", b"GET /@127.0.0.1:PORT/x",
    b"GET /\\127.0.0.1:PORT/x", b"GET /login/..%2f..%2fvarz", b"GET /login/%2e%2e/x", b"GET /login/../x",
    b"GET /login/./x", b"GET /static//x", b"GET /static/%2Fx", b"GET /%2fx", b"GET /api/%6detrics", b"GET /login%00",
    b"GET /login;a=1", b"GET /login#x", b"GET /login?a=b c", b"GET /login?\xff", b"GET ?x", b"GET x", b"GET",
    b"CONNECT 127.0.0.1:PORT", b"OPTIONS http://127.0.0.1:PORT/x", b"OPTIONS *@127.0.0.1:PORT/", b"POST *", b"PRI *",
]  # fmt: skip


@pytest.mark.parametrize("upgrade", [False, True], ids=["request", "websocket"])
async def test_target_that_is_no_plain_path_is_refused_and_goes_nowhere(
    system: System, other: Other, upgrade: bool
) -> None:
    for target in TARGETS:
        line = target.replace(b"PORT", str(other.port).encode())
        said = request(line, UPGRADE, b"close, Upgrade") if upgrade else request(line)
        answer = await say(system, said)
        assert answer.startswith(b"HTTP/1.1 400 "), line
        assert b"secret" not in answer
        assert (system.seen, other.connections) == ([], 0), line


async def test_options_for_the_server_itself_is_answered_by_it_alone(system: System) -> None:
    answer = await say(system, request(b"OPTIONS *"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n")
    assert system.seen == []


async def test_method_that_no_page_uses_is_refused(system: System) -> None:
    for method in (b"CONNECT", b"TRACE", b"PATCH", b"get", b"FOO"):
        assert (await say(system, request(method + b" /login"))).startswith(b"HTTP/1.1 405 "), method
    assert system.seen == []


async def test_patch_is_for_the_versioned_api_alone(system: System) -> None:
    assert (await say(system, request(b"PATCH /api/predict"))).startswith(b"HTTP/1.1 405 ")
    assert system.seen == []
    assert (await say(system, request(b"PATCH /api/v1/profiles/21"))).startswith(b"HTTP/1.1 200 ")


UNNEEDED = [
    "/_stcore/metrics", "/_stcore/agent/mcp", "/_stcore/agent/interact", "/_stcore/agent/openapi.json",
    "/_stcore/script-health-check", "/_stcore/stream/x", "/_stcore/upload_file", "/_STCORE/metrics", "/_stcore",
    "/User_Management/_stcore/metrics", "/api", "/api/", "/api/metrics", "/api/metrics/", "/API/metrics",
    "/api/Metrics", "/apiary", "/varz", "/app/static/x", "/static", "/media", "/ws/live/21", "/loginx", "/gate",
    "/_gateway", "/_gateway/health/x",
]  # fmt: skip


async def test_what_no_page_needs_is_not_there(system: System) -> None:
    for path in UNNEEDED:
        assert (await say(system, request(b"GET " + path.encode()))).startswith(b"HTTP/1.1 404 "), path
    assert (await say(system, request(b"GET /.env"))).startswith(b"HTTP/1.1 400 ")
    assert system.seen == []


async def test_upgrade_elsewhere_than_at_a_websocket_is_refused(system: System) -> None:
    for path in (b"/", b"/login", b"/api/predict", b"/api/docs", b"/_stcore/health", b"/_stcore/upload_file/a/b"):
        for kind in (b"websocket", b"h2c", b"WebSocket", b"tcp"):
            said = request(b"GET " + path, UPGRADE.replace(b"websocket", kind), b"Upgrade")
            assert (await say(system, said, until_silent=True)).startswith(b"HTTP/1.1 400 "), (path, kind)
    assert system.seen == []


SMUGGLED = b"GET /login/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


HIDDEN = [
    b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 60\r\n\r\nabcd" + SMUGGLED,
    b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 60\r\n\r\n" + SMUGGLED,
    b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: +4\r\n\r\nabcd" + SMUGGLED,
    b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"POST /login HTTP/1.1\r\nHost: x\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"GET /login HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + SMUGGLED,
]  # fmt: skip
"""What two programs could end at different bytes."""
FOLLOWED = [
    b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\n\n" + SMUGGLED,
    b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
    b"GET /login HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd" + SMUGGLED,
]  # fmt: skip
"""What ends where it says; a request after it is one of its own, if the connection goes on."""


async def test_request_hidden_behind_a_body_reaches_no_service(system: System) -> None:
    for said in (*HIDDEN, *FOLLOWED):
        before = len(system.seen)
        await say(system, said, until_silent=True)
        assert len(system.seen) <= before + 1, said
        assert not any("smuggled" in one for one in system.seen), said


class Hasty:
    """A service that answers before it has read a body, and leaves."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    async def met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.lines.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        except asyncio.IncompleteReadError:
            writer.close()
            return
        if len(self.lines) % 2:
            writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
            await writer.drain()
        writer.transport.abort()


@pytest.mark.parametrize("size", [20_000, 300_000, 2_000_000], ids=str)
async def test_body_that_nobody_read_is_never_taken_for_the_next_request(tmp_path: Path, size: int) -> None:
    hasty = Hasty()
    async with gateway_running(tmp_path, with_services=False) as system:
        server = await asyncio.start_server(hasty.met, "127.0.0.1", system.app.port)
        for shift in range(0, len(SMUGGLED), 3):
            body = b"y" * shift + SMUGGLED * (size // len(SMUGGLED))
            head = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
            answer = await say(system, head + body)
            assert answer.count(b"HTTP/1.1 ") <= 1
        server.close()
    assert set(hasty.lines) == {b"POST /login HTTP/1.1"}


async def test_connection_ends_with_a_request_that_had_a_body(system: System) -> None:
    with_body = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok" + SMUGGLED
    for said in (with_body, with_body.replace(b"/login ", b"/nowhere ", 1), with_body.replace(b"/login ", b"/%20 ", 1)):
        answer = await say(system, said)
        assert b"\r\nConnection: close\r\n" in answer
    assert system.seen == ["POST /login"]


def paths_of(routes: Iterable[Any]) -> set[str]:
    """The paths of an application's routes, those of its routers too, with a number for every parameter."""
    found = set()
    for route in routes:
        inner = getattr(route, "original_router", None)
        found |= {re.sub(r"{[^}]+}", "7", route.path)} if inner is None else paths_of(inner.routes)
    return found


def test_every_route_of_the_api_is_reached_or_kept_back_on_purpose() -> None:
    allowed = re.compile("|".join((*gateway_config.API_PATHS, gateway_config.API_WEBSOCKETS)))
    paths = paths_of(create_app().routes)
    assert {"/predict/windows", "/ws/live/7", "/docs"} <= paths
    assert {path for path in paths if not allowed.fullmatch(path.lstrip("/"))} == {"/metrics"}


async def test_serving_kit_sees_what_reaches_it(system: System) -> None:
    assert b" 200 " in await say(system, request(b"GET /login/smuggled"))
    assert system.seen == ["GET /login/smuggled"]
