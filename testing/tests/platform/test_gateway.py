"""The one HTTPS port: what goes where, what is passed on, and what happens when a side leaves."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from semg.platform import certificate, connections, embedded, gateway
from semg.platform.gateway import Gateway
from semg.rates import Rates


@dataclass
class Upstream:
    """A service that tells what it got."""

    name: str
    port: int = field(default_factory=embedded.free_port)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self.websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self.http(scope, receive, send)

    async def http(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/endless":
            await self.endless(receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        heads = [(b"x-service", self.name.encode()), (b"x-path", scope["raw_path"] + b"?" + scope["query_string"])]
        heads += [(b"x-got-" + name, value) for name, value in scope["headers"]]
        heads += [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-body-bytes", str(len(body)).encode())]
        status = 206 if any(name == b"range" for name, _ in scope["headers"]) else 200
        await send({"type": "http.response.start", "status": status, "headers": heads})
        await send({"type": "http.response.body", "body": body[::-1]})

    async def endless(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        watch = asyncio.create_task(receive())
        while not watch.done():
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
            await asyncio.sleep(0)
        self.left.set()

    async def websocket(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if scope["path"] == "/refused":
            await send({"type": "websocket.close", "code": 4401})
            return
        await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        told = f"{self.name} {scope['path']} {headers['host']} {headers.get('origin')} {headers.get('cookie')}"
        await send({"type": "websocket.send", "text": told})
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text") == "close":
                await send({"type": "websocket.close", "code": 4404, "reason": "no such profile"})
            elif message.get("text") is not None:
                await send({"type": "websocket.send", "text": message["text"].upper()})
            else:
                await send({"type": "websocket.send", "bytes": message["bytes"][::-1]})
        self.left.set()


@asynccontextmanager
async def serving(app: Any, port: int, **options: Any) -> AsyncIterator[None]:
    server = connections.Server(uvicorn.Config(app, port=port, log_config=None, access_log=False, **options))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined, method-assign]
    task = asyncio.create_task(server._serve())
    while not server.started:
        assert not task.done(), "the server did not start"
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await task


@dataclass
class System:
    """A gateway before an app and an API."""

    app: Upstream
    api: Upstream
    port: int
    context: ssl.SSLContext

    def url(self, path: str, scheme: str = "https") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(verify=self.context, trust_env=False)


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    """A gateway with its own certificate, and two services behind it."""
    cert, key = certificate.ensure(tmp_path / "tls", ["127.0.0.1"])
    app, api, port = Upstream("app"), Upstream("api"), embedded.free_port()
    context = ssl.create_default_context(cafile=str(cert))
    async with (
        serving(app, app.port, lifespan="off"),
        serving(api, api.port, lifespan="off"),
        serving(
            Gateway(app.url, api.url),
            port,
            ssl_certfile=str(cert),
            ssl_keyfile=str(key),
            proxy_headers=False,
            http=connections.Connection,
        ),
    ):
        yield System(app, api, port, context)


@pytest.mark.parametrize(
    ("asked", "service", "got"),
    [
        ("/", "app", "/?"),
        ("/Sensor_Data_Review?profile=21", "app", "/Sensor_Data_Review?profile=21"),
        ("/apiary", "app", "/apiary?"),
        ("/api/predict", "api", "/predict?"),
        ("/api/videos/7?token=a.b", "api", "/videos/7?token=a.b"),
        ("/api", "api", "/?"),
        ("/media/a%2Fb%20c.png", "app", "/media/a%2Fb%20c.png?"),
    ],
)
async def test_prefix_decides_which_service_gets_a_request(system: System, asked: str, service: str, got: str) -> None:
    async with system.client() as client:
        answer = await client.get(system.url(asked))
    assert (answer.headers["x-service"], answer.headers["x-path"]) == (service, got)


async def test_body_status_cookies_and_range_pass_in_both_directions(system: System) -> None:
    body = bytes(range(256)) * 20_000
    async with system.client() as client:
        answer = await client.post(system.url("/upload"), content=body, headers={"Range": "bytes=0-9"})
    assert answer.status_code == 206
    assert answer.content == body[::-1]
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["x-got-range"] == "bytes=0-9"


async def test_host_and_origin_are_the_browsers_and_where_it_came_from_is_not_forged(system: System) -> None:
    forged = {"Origin": "https://evil.example", "X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "http"}
    named = {"Connection": "keep-alive, X-Secret", "X-Secret": "1"}
    async with system.client() as client:
        got = (await client.get(system.url("/"), headers=forged | named)).headers
    assert got["x-got-host"] == f"127.0.0.1:{system.port}"
    assert got["x-got-origin"] == "https://evil.example"
    assert (got["x-got-x-forwarded-for"], got["x-got-x-forwarded-proto"]) == ("127.0.0.1", "https")
    assert "x-got-x-secret" not in got


async def test_browser_that_leaves_ends_the_answer_at_the_service(system: System) -> None:
    async with system.client() as client, client.stream("GET", system.url("/endless")) as answer:
        async for _ in answer.aiter_raw():
            break
    await asyncio.wait_for(system.app.left.wait(), 20)


@pytest.mark.parametrize(("path", "name", "seen"), [("/_stcore/stream", "app", "/_stcore/stream"),
                                                    ("/api/ws/live/21", "api", "/ws/live/21")])  # fmt: skip
async def test_websocket_passes_text_bytes_subprotocol_and_headers(
    system: System, path: str, name: str, seen: str
) -> None:
    async with connect(
        system.url(path, "wss"),
        ssl=system.context,
        subprotocols=["semg.v1", "semg.token.x"],
        origin="https://lab.example",
        additional_headers={"Cookie": "c=1"},
        proxy=None,
    ) as socket:
        assert socket.subprotocol == "semg.v1"
        assert await socket.recv() == f"{name} {seen} 127.0.0.1:{system.port} https://lab.example c=1"
        await socket.send("hello")
        assert await socket.recv() == "HELLO"
        await socket.send(b"\x01\x02")
        assert await socket.recv() == b"\x02\x01"
    await asyncio.wait_for((system.app if name == "app" else system.api).left.wait(), 20)


async def test_services_reason_for_closing_reaches_the_browser(system: System) -> None:
    async with connect(system.url("/api/ws/live/9", "wss"), ssl=system.context, proxy=None) as socket:
        await socket.recv()
        await socket.send("close")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4404, "no such profile")


async def test_websocket_that_the_service_refuses_is_refused(system: System) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(system.url("/refused", "wss"), ssl=system.context, proxy=None)
    assert refused.value.response.status_code == 403


async def test_service_that_is_away_is_a_sentence(system: System, tmp_path: Path) -> None:
    cert, key = certificate.ensure(tmp_path / "tls", ["127.0.0.1"])
    port, nobody = embedded.free_port(), f"http://127.0.0.1:{embedded.free_port()}"
    async with serving(Gateway(nobody, nobody), port, ssl_certfile=str(cert), ssl_keyfile=str(key)):
        async with system.client() as client:
            answer = await client.get(f"https://127.0.0.1:{port}/")
        assert answer.status_code == 502
        assert "does not answer" in answer.text
        with pytest.raises(InvalidStatus):
            await connect(f"wss://127.0.0.1:{port}/x", ssl=system.context, proxy=None)


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


Open = Callable[..., Awaitable[Stream]]


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Opens connections from an address of this machine, on which nothing is said yet."""
    made: list[asyncio.StreamWriter] = []

    async def make(port: int, context: ssl.SSLContext | None, host: str = "127.0.0.1") -> Stream:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, local_addr=(host, 0))
        made.append(writer)
        return reader, writer

    yield make
    for writer in made:
        writer.transport.abort()
    await asyncio.gather(*(writer.wait_closed() for writer in made), return_exceptions=True)


async def status_of(stream: Stream, path: str = "/") -> bytes:
    """Ask on a connection, and give the first line of the answer; empty when it was closed."""
    reader, writer = stream
    writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
    try:
        return (await asyncio.wait_for(reader.readline(), 20)).strip()
    except ConnectionResetError:
        return b""


async def is_closed(stream: Stream) -> bool:
    try:
        return await asyncio.wait_for(stream[0].read(), 20) == b""
    except ConnectionResetError:
        return True


async def test_one_address_cannot_take_all_connections(
    system: System, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_PER_ADDRESS", 4)
    silent = [await opened(system.port, system.context) for _ in range(3)]
    async with connect(system.url("/_stcore/stream", "wss"), ssl=system.context, proxy=None) as socket:
        await socket.recv()
        assert await status_of(await opened(system.port, system.context)) == b"", (
            "three silent ones, a WebSocket, and one more"
        )
        assert await status_of(await opened(system.port, system.context, "127.0.0.2")) == b"HTTP/1.1 200 OK"
        silent.pop()[1].transport.abort()
        while (
            answer := await status_of(await opened(system.port, system.context))
        ) == b"":  # until the gateway knows that one left
            await asyncio.sleep(0)
        assert answer == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "said", [b"", b"\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n"], ids=["nothing", "an empty line", "half a request"]
)
async def test_connection_that_asks_nothing_is_closed(
    system: System, opened: Open, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    stream = await opened(system.port, system.context)
    stream[1].write(said)
    assert await is_closed(stream)


async def test_connection_that_asked_once_is_closed_when_it_only_begins_to_ask_again(
    system: System, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 1.0)
    reader, writer = await opened(system.port, system.context)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 200 " in await reader.readuntil(b"\r\n0\r\n\r\n")
    writer.write(b"\r\n")
    assert await asyncio.wait_for(reader.read(), 20) == b""


async def test_handshake_that_does_not_come_is_given_up(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HANDSHAKE_S", 0.2)
    cert, key = certificate.ensure(tmp_path / "tls", ["127.0.0.1"])
    port = embedded.free_port()
    async with serving(Gateway("http://127.0.0.1:1", "http://127.0.0.1:1"), port, ssl_certfile=cert, ssl_keyfile=key):
        assert await is_closed(await opened(port, None))


async def test_endless_headers_are_not_kept(system: System, opened: Open) -> None:
    stream = await opened(system.port, system.context)
    stream[1].write(b"GET / HTTP/1.1\r\n")
    try:
        for number in range(10_000):
            stream[1].write(b"X-%d: %s\r\n" % (number, b"x" * 100))
            await stream[1].drain()
    except ConnectionError:
        return
    assert await is_closed(stream)


async def test_body_that_stops_is_given_up(system: System, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "BODY_IDLE_S", 0.2)
    reader, writer = await opened(system.port, system.context)
    writer.write(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegun")
    assert b" 408 " in await asyncio.wait_for(reader.readline(), 20)


async def test_address_that_asks_the_app_too_much_waits_and_the_api_counts_for_itself(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(gateway, "Rates", lambda *given, **named: Rates(*given, **named, clock=lambda: now[0]))
    most = int(gateway.APP_REQUESTS_PER_S * gateway.APP_BURST_S)
    limited = Gateway(system.app.url, system.api.url)

    def asked(path: str, address: str = "10.0.0.1") -> bool:
        return limited._asks_too_much({"client": (address, 1), "raw_path": path.encode()})

    assert not any(asked("/") for _ in range(most))
    assert asked("/")
    assert not asked("/", "10.0.0.2")
    assert not asked("/api/predict/windows")
    now[0] = 1.0
    assert not asked("/")


async def test_refusals_for_a_while_have_a_status(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gateway, "_asks_too_much", lambda *_: True)
    async with system.client() as client:
        assert (await client.get(system.url("/"))).status_code == 429
    with pytest.raises(InvalidStatus):
        await connect(system.url("/_stcore/stream", "wss"), ssl=system.context, proxy=None)
