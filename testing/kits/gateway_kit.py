"""A gateway before an app and an API that tell what they got."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from semg.platform.lan import certificate, gateway, gateway_config
from semg.platform.servers import embedded
from semg.platform.supervision.unit import url_answers
from semg.settings import Settings


@dataclass
class Upstream:
    """A service that tells what it got."""

    name: str
    port: int = field(default_factory=embedded.free_port)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    seen: list[str] = field(default_factory=list)
    hold: asyncio.Event | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            self.seen.append(f"{scope.get('method', 'WS')} {scope['raw_path'].decode()}")
        if scope["type"] == "websocket":
            await self.websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self.http(scope, receive, send)

    async def http(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].endswith("/endless"):
            await self.endless(receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        heads = [(b"x-service", self.name.encode()), (b"x-path", scope["raw_path"] + b"?" + scope["query_string"])]
        heads += [(b"x-got-" + name, value) for name, value in scope["headers"]]
        heads += [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"x-body-bytes", str(len(body)).encode())]
        heads += [(b"referrer-policy", b"no-referrer")] if scope["path"].endswith("/strict") else []
        status = 206 if any(name == b"range" for name, _ in scope["headers"]) else 200
        await send({"type": "http.response.start", "status": status, "headers": heads})
        if self.hold is not None:
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            await self.hold.wait()
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
        if scope["path"].endswith("/0"):
            await send({"type": "websocket.close", "code": 4401})
            return
        await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        told = f"{self.name} {scope['path']} {headers['host']} {headers.get('origin')} {headers.get('cookie')}"
        await send({"type": "websocket.send", "text": f"{told} {headers['x-forwarded-for']}"})
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text") == "close":
                await send({"type": "websocket.close", "code": 4404, "reason": "no such profile"})
            elif message.get("text") is not None:
                await send({"type": "websocket.send", "text": message["text"].upper()})
            else:
                await send({"type": "websocket.send", "bytes": message["bytes"][::-1]})
        self.left.set()


@asynccontextmanager
async def serving(app: Any, port: int) -> AsyncIterator[None]:
    server = uvicorn.Server(
        uvicorn.Config(app, port=port, log_config=None, access_log=False, lifespan="off", proxy_headers=False)
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
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
    """A running gateway, what is behind it, and where its log is."""

    app: Upstream
    api: Upstream
    port: int
    context: ssl.SSLContext
    log: Path
    settings: Settings

    def url(self, path: str, scheme: str = "https") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(verify=self.context, trust_env=False, timeout=20)

    @property
    def seen(self) -> list[str]:
        return [*self.app.seen, *self.api.seen]


@asynccontextmanager
async def gateway_running(
    folder: Path, timeouts: gateway_config.Timeouts | None = None, *, with_services: bool = True
) -> AsyncIterator[System]:
    """Run the gateway with its own certificate, as the service does, before an app and an API."""
    cert, _ = certificate.ensure(folder / "tls", ["127.0.0.1"])
    app, api = Upstream("app"), Upstream("api")
    settings = Settings(
        _env_file=None, data_dir=folder, lan=True, lan_host="127.0.0.1", lan_port=embedded.free_port(),
        streamlit_port=app.port, api_port=api.port, api_max_body_bytes=2 << 20,
    )  # fmt: skip
    config, log = gateway.write_config(settings, timeouts), folder / "gateway.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(gateway.binary()), "run", "--config", str(config)],
            env=gateway.environment(settings), stdout=out, stderr=out,
        )  # fmt: skip
    try:
        async with AsyncExitStack() as stack:
            for one in (app, api) if with_services else ():
                await stack.enter_async_context(serving(one, one.port))
            health = f"https://127.0.0.1:{settings.lan_port}{gateway_config.HEALTH_PATH}"
            for _ in range(400):
                if await asyncio.to_thread(url_answers, health):
                    break
                assert process.poll() is None, log.read_text()
                await asyncio.sleep(0.05)
            yield System(
                app, api, settings.lan_port, ssl.create_default_context(cafile=str(cert)), log, settings
            )  # fmt: skip
    finally:
        process.terminate()
        process.wait(20)


async def say(system: System, said: bytes, *, tls: bool = True, until_silent: bool = False) -> bytes:
    """Send bytes on a connection of their own, and return all that comes until it is closed.

    With ``until_silent`` a silence of half a second counts as its end.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", system.port, ssl=system.context if tls else None)
    try:
        writer.write(said)
        return await (_until_silent(reader) if until_silent else asyncio.wait_for(reader.read(), 20))
    except ConnectionResetError:
        return b""
    finally:
        writer.transport.abort()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def _until_silent(reader: asyncio.StreamReader) -> bytes:
    said = b""
    try:
        while part := await asyncio.wait_for(reader.read(1 << 16), 0.5):
            said += part
    except TimeoutError:
        pass
    return said
