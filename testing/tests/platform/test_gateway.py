"""The one HTTPS port: what goes where, what is passed on, and what happens when a side leaves."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from semg.platform import certificate, embedded
from semg.platform.gateway import Gateway


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
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, access_log=False, **options))
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
        serving(Gateway(app.url, api.url), port, ssl_certfile=str(cert), ssl_keyfile=str(key), proxy_headers=False),
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
