"""The one HTTPS port: what goes where, what is passed on, and what happens when a side leaves."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from semg.platform.lan import gateway, gateway_config
from semg.platform.lan.gateway_config import Timeouts
from testing.kits.gateway_kit import System, gateway_running, say

pytestmark = pytest.mark.slow


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    async with gateway_running(tmp_path) as made:
        yield made


@pytest.fixture
async def hasty(tmp_path: Path) -> AsyncIterator[System]:
    """A gateway that waits for nobody."""
    async with gateway_running(tmp_path, Timeouts(head_s=0.3, idle_s=0.3, request_s=0.6)) as made:
        yield made


@pytest.mark.parametrize(
    ("asked", "service", "got"),
    [
        ("/", "app", "/?"),
        ("/Sensor_Data_Review?profile=21", "app", "/Sensor_Data_Review?profile=21"),
        ("/static/js/index.AbC-1_.js", "app", "/static/js/index.AbC-1_.js?"),
        ("/media/0f3a.png", "app", "/media/0f3a.png?"),
        ("/_stcore/bidi-components/semg_webcam/index.js?a=%2F", "app",
         "/_stcore/bidi-components/semg_webcam/index.js?a=%2F"),
        ("/oauth2callback?code=x&state=y", "app", "/oauth2callback?code=x&state=y"),
        ("/login", "app", "/login?"),
        ("/gate/state", "app", "/gate/state?"),
        ("/api/predict", "api", "/predict?"),
        ("/api/videos/7?token=a.b", "api", "/videos/7?token=a.b"),
        ("/api/docs", "api", "/docs?"),
    ],
)  # fmt: skip
async def test_prefix_decides_which_service_gets_a_request(system: System, asked: str, service: str, got: str) -> None:
    async with system.client() as client:
        answer = await client.get(system.url(asked))
    assert (answer.headers["x-service"], answer.headers["x-path"]) == (service, got)


async def test_every_page_is_reached_by_its_name(system: System) -> None:
    names = gateway_config.page_names()
    assert {"User_Management", "Realtime_Gesture_Recognition"} <= set(names)
    async with system.client() as client:
        for name in names:
            assert (await client.get(system.url(f"/{name}"))).headers["x-path"] == f"/{name}?"


async def test_body_status_cookies_and_range_pass_in_both_directions(system: System) -> None:
    body = bytes(range(256)) * 20_000
    async with system.client() as client:
        path = system.url("/_stcore/upload_file/a-b/c-d")
        answer = await client.put(path, content=body, headers={"Range": "bytes=0-9"})
    assert answer.status_code == 206
    assert answer.content == body[::-1]
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["x-got-range"] == "bytes=0-9"


async def test_host_and_origin_are_the_browsers_and_where_it_came_from_is_not_forged(system: System) -> None:
    forged = {
        "Origin": "https://evil.example", "X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example", "Forwarded": "for=10.0.0.1", "X-Real-IP": "10.0.0.1",
    }  # fmt: skip
    named = {"Connection": "keep-alive, X-Secret", "X-Secret": "1"}
    async with system.client() as client:
        got = (await client.get(system.url("/"), headers=forged | named)).headers
    assert got["x-got-host"] == f"127.0.0.1:{system.port}"
    assert got["x-got-origin"] == "https://evil.example"
    assert (got["x-got-x-forwarded-for"], got["x-got-x-forwarded-proto"]) == ("127.0.0.1", "https")
    assert "evil.example" not in got["x-got-x-forwarded-host"]
    assert not {"x-got-x-secret", "x-got-forwarded", "x-got-x-real-ip"} & set(got)


async def test_headers_against_framing_are_added_where_the_service_sends_none(system: System) -> None:
    async with system.client() as client:
        page = await client.get(system.url("/"))
        strict = await client.get(system.url("/static/strict"))
        missing = await client.get(system.url("/_stcore/metrics"))
    for answer in (page, missing):
        for name, value in gateway_config.HARDENED.items():
            assert answer.headers[name] == value
    assert strict.headers.get_list("referrer-policy") == ["no-referrer"]
    assert not {"via", "alt-svc"} & set(page.headers)
    assert page.headers.get("server") != "Caddy"


async def test_answer_is_passed_on_as_it_comes_and_not_unpacked(system: System) -> None:
    system.app.hold = asyncio.Event()
    async with system.client() as client, client.stream("POST", system.url("/login"), content=b"end") as answer:
        parts = answer.aiter_raw()
        assert await anext(parts) == b"begun"
        system.app.hold.set()
        assert await anext(parts) == b"dne"
    system.app.hold = None
    packed = gzip.compress(b"x" * 5000)
    async with system.client() as client:
        answer = await client.post(system.url("/login"), content=packed, headers={"Accept-Encoding": "identity"})
    assert answer.headers["x-got-accept-encoding"] == "identity"
    assert answer.content == packed[::-1]


async def test_browser_that_leaves_ends_the_answer_at_the_service(system: System) -> None:
    async with system.client() as client, client.stream("GET", system.url("/media/endless")) as answer:
        async for _ in answer.aiter_raw():
            break
    await asyncio.wait_for(system.app.left.wait(), 20)


async def test_long_download_outlives_the_time_for_a_request(hasty: System) -> None:
    hasty.app.hold = asyncio.Event()
    async with hasty.client() as client, client.stream("GET", hasty.url("/media/a")) as answer:
        await asyncio.sleep(1.5)  # what is proved is that nothing happens in this time
        hasty.app.hold.set()
        assert await answer.aread() == b"begun"


@pytest.mark.parametrize(("path", "name", "seen"), [("/_stcore/stream", "app", "/_stcore/stream"),
                                                    ("/api/ws/live/21", "api", "/ws/live/21")])  # fmt: skip
async def test_websocket_passes_text_bytes_subprotocol_and_headers(
    system: System, path: str, name: str, seen: str
) -> None:
    async with connect(
        system.url(path, "wss"),
        ssl=system.context,
        subprotocols=["semg.v1", "semg.token.x"],
        max_size=None,
        origin="https://lab.example",
        additional_headers={"Cookie": "c=1", "X-Forwarded-For": "10.0.0.1"},
        proxy=None,
    ) as socket:
        assert socket.subprotocol == "semg.v1"
        assert await socket.recv() == f"{name} {seen} 127.0.0.1:{system.port} https://lab.example c=1 127.0.0.1"
        await socket.send("hello")
        assert await socket.recv() == "HELLO"
        await socket.send(b"\x01\x02")
        assert await socket.recv() == b"\x02\x01"
        await socket.send(b"x" * (1 << 20) + b"y")
        assert (await socket.recv())[:2] == b"yx"
    await asyncio.wait_for((system.app if name == "app" else system.api).left.wait(), 20)


async def test_websocket_outlives_the_time_for_a_request(hasty: System) -> None:
    async with connect(hasty.url("/_stcore/stream", "wss"), ssl=hasty.context, proxy=None) as socket:
        await socket.recv()
        await asyncio.sleep(1.5)
        await socket.send("still here")
        assert await socket.recv() == "STILL HERE"


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
        await connect(system.url("/api/ws/live/0", "wss"), ssl=system.context, proxy=None)
    assert refused.value.response.status_code == 403


async def test_service_that_is_away_is_a_sentence_and_no_token_is_logged(tmp_path: Path) -> None:
    async with gateway_running(tmp_path, with_services=False) as system:
        async with system.client() as client:
            asked = system.url("/api/videos/7?token=s3cr3t")
            answer = await client.get(asked, headers={"Cookie": "login=s3cr3t"})
        assert answer.status_code == 502
        assert "does not answer" in answer.text
        with pytest.raises(InvalidStatus) as refused:
            await connect(system.url("/_stcore/stream", "wss"), ssl=system.context, proxy=None)
        assert refused.value.response.status_code == 502
        logged = system.log.read_text()
    assert "admin endpoint disabled" in logged
    assert "s3cr3t" not in logged
    assert "videos" not in logged


async def test_bodies_are_bounded(system: System) -> None:
    async with system.client() as client:
        uploaded = await client.put(system.url("/_stcore/upload_file/a/b"), content=b"x" * (3 << 20))
        assert uploaded.headers["x-body-bytes"] == str(3 << 20)
        assert (await client.post(system.url("/api/predict"), content=b"x" * (3 << 20))).status_code == 413
        assert (await client.post(system.url("/login"), content=b"x" * (3 << 20))).status_code == 413

        async def parts() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"x" * (1 << 20)

        assert (await client.post(system.url("/api/predict"), content=parts())).status_code == 413


@pytest.mark.parametrize(
    "said", [b"", b"\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n"], ids=["nothing", "an empty line", "half a request"]
)
async def test_connection_that_asks_nothing_is_closed(hasty: System, said: bytes) -> None:
    assert b" 200 " not in await say(hasty, said)
    assert hasty.seen == []


async def test_connection_that_asked_once_is_closed_when_it_only_begins_to_ask_again(hasty: System) -> None:
    answer = await say(hasty, b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /login HTTP/1.1\r\nHost")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert hasty.seen == ["GET /"]


async def test_handshake_that_does_not_come_is_given_up(hasty: System) -> None:
    assert await say(hasty, b"", tls=False) == b""


async def test_endless_headers_are_not_kept(system: System) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Long: %s\r\n" % (b"x" * 1000) * 200
    assert b" 431 " in (await say(system, head + b"\r\n")).split(b"\r\n")[0]
    assert system.seen == []


async def test_body_that_stops_is_given_up(hasty: System) -> None:
    said = b"PUT /_stcore/upload_file/a/b HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegun"
    answer = await say(hasty, said)
    # Caddy either says 408 or 502, or ends the connection with an empty answer: it has lost its client by then.
    assert answer.startswith(b"HTTP/1.1 ")
    assert b"connection: close" in answer.lower()
    assert b"begun" not in answer


def test_files_are_the_owners_and_no_secret_of_this_process_is_handed_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "s3cr3t")
    settings = gateway.Settings(_env_file=None, data_dir=tmp_path, lan=True)
    path = gateway.write_config(settings)
    assert [one.stat().st_mode & 0o777 for one in (path, path.parent)] == [0o600, 0o700]
    environment = gateway.environment(settings)
    assert "s3cr3t" not in json.dumps(environment)
    assert {environment[name] for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")} == {str(path.parent)}


async def test_nothing_is_written_outside_the_data_folder_and_no_port_is_opened_beside(tmp_path: Path) -> None:
    async with gateway_running(tmp_path) as system:
        config = json.loads((gateway.home(system.settings) / "caddy.json").read_text())
        assert config["admin"] == {"disabled": True, "config": {"persist": False}}
        caddy = next(process for process in psutil.Process().children() if process.name() == "caddy")
        listening = {one.laddr for one in caddy.net_connections() if one.status == psutil.CONN_LISTEN}
        assert listening == {("127.0.0.1", system.port)}
        assert {one.type.name for one in caddy.net_connections()} == {"SOCK_STREAM"}
        written = [one.path for one in caddy.open_files() if one.mode != "r"]
        assert all(path.startswith(str(tmp_path)) for path in written)
    kept = [path for path in gateway.home(system.settings).rglob("*") if path.is_file()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept)
