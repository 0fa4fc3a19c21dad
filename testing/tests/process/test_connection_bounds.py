"""The head of a request is bounded in length and time, and everything else is as before."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from semg.platform.servers import embedded
from semg.process import connection_bounds
from testing.kits.live_helpers import wait_for


async def app(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    cookie = dict(scope["headers"]).get(b"cookie", b"").strip()
    headers = [(b"content-length", b"2"), (b"x-cookie", cookie)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(connection_bounds, "HEAD_S", 0.5)
    connection_bounds.bound_heads()
    connection_bounds.bound_heads()
    number = embedded.free_port()
    server = uvicorn.Server(
        uvicorn.Config(app, "127.0.0.1", number, http="httptools", lifespan="off", log_level="error")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started)
    yield number
    server.should_exit = True
    thread.join(20)


def ended(port: int, *parts: bytes) -> tuple[int, bytes]:
    """Send until the server ends the connection; how much went out, and the answer."""
    sent = 0
    with socket.create_connection(("127.0.0.1", port), 10) as sending:
        with suppress(ConnectionError):
            for part in parts:
                sending.sendall(part)
                sent += len(part)
        answer = b""
        with suppress(ConnectionError):
            while more := sending.recv(4096):
                answer += more
    return sent, answer


@pytest.mark.parametrize("line", [b"a: " + b"x" * 1000 + b"\r\n", b"x" * 1000])
def test_endless_head_is_refused(port: int, line: bytes) -> None:
    sent, answer = ended(port, b"GET / HTTP/1.1\r\nHost: x\r\nb: ", *[line] * 20_000)
    assert sent < 20_000_000
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")


def test_head_that_does_not_end_and_silence_are_let_go(port: int) -> None:
    assert ended(port, b"GET / HTTP/1.1\r\nHost: x\r\n")[1].startswith(b"HTTP/1.1 400")
    assert ended(port)[1].startswith(b"HTTP/1.1 400")
    first = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nxGET / HTTP/1.1\r\n"
    assert b"HTTP/1.1 400" in ended(port, first)[1], "also behind a whole request"


def test_requests_bodies_and_kept_connections_are_as_before(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        for body in (b"", b"x" * 3_000_000, b"y"):
            assert client.post("/", content=body, headers={"A": "x" * 30_000}).text == "ok"
    pipelined = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3
    with socket.create_connection(("127.0.0.1", port), 10) as sending:
        sending.sendall(pipelined)
        answer = b""
        while answer.count(b"\r\n\r\nok") < 3:
            answer += sending.recv(4096)


SLOW = b'a="' + b"\\" * 5000 + b'"'
OURS = b"__Host-semg_login=" + b"t" * 43


@pytest.mark.parametrize(
    ("sent", "seen"),
    [(SLOW, b""), (SLOW + b"; " + OURS, b" " + OURS), (b"a=b; c=\"1\\054\"; d=e", b"a=b; d=e"),
     (b"a=" + b"x" * 9000 + b"; " + OURS, b" " + OURS), (b"a=" + b"x" * 9000, b""), (b"a=b; c=d", b"a=b; c=d")],
)  # fmt: skip
def test_cookies_that_are_slow_to_read_reach_no_service_and_shut_nobody_out(
    port: int, sent: bytes, seen: bytes
) -> None:
    assert connection_bounds.readable_cookies(sent) == seen
    answer = ended(port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: " + sent + b"\r\n\r\n")[1]
    assert b"x-cookie: " + seen.strip() in answer
    assert answer.endswith(b"ok")


def test_headers_behind_a_body_end_the_connection(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    sent, answer = ended(port, head, *[b"a:b\r\n" * 1000] * 5000)
    assert sent < 5_000_000
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")


async def talk(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.send", "text": str(len(message.get("bytes") or b""))})


@pytest.fixture
def talking(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(WebSocketsSansIOProtocol, "__init__", WebSocketsSansIOProtocol.__init__)  # put back afterwards
    connection_bounds.bound_messages(1000)
    number = embedded.free_port()
    config = uvicorn.Config(talk, "127.0.0.1", number, ws="websockets-sansio", lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started)
    yield number
    server.should_exit = True
    thread.join(20)


@pytest.mark.parametrize("more", [b"a: " + b"x" * 9000 + b"\r\n", b"a: x\r\n" * 200, b"a: \x01\r\n"])
def test_upgrade_whose_head_is_not_read_is_refused_and_closed(talking: int, more: bytes) -> None:
    connection_bounds.bound_heads()
    head = (
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )
    assert ended(talking, head + more + b"\r\n")[1].startswith(b"HTTP/1.1 400"), "at once, and then no more"
    with connect(f"ws://127.0.0.1:{talking}/", proxy=None, additional_headers={"A": "x" * 8000}) as socket_:
        socket_.send(b"x")
        assert socket_.recv(10) == "1"


def test_message_of_a_page_is_bounded_before_it_is_there(talking: int) -> None:
    with connect(f"ws://127.0.0.1:{talking}/", proxy=None) as socket_:
        socket_.send(b"x" * 1000)
        assert socket_.recv(10) == "1000"
        socket_.send(b"x" * 1001)
        with pytest.raises(ConnectionClosed, match="1009"):
            socket_.recv(10)


UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def upgraded(port: int) -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", port), 10)
    opened.sendall(UPGRADE)
    assert b" 101 " in opened.recv(4096)
    return opened


@pytest.mark.parametrize(
    ("first", "frame"),
    [(b"", b"\x89\xfd\0\0\0\0" + b"p" * 125), (b"\x02\x80\0\0\0\0", b"\x00\x80\0\0\0\0"), (b"", b"\x82\x80\0\0\0\0")],
    ids=["pings that nobody reads", "empty parts of a message", "empty messages"],
)
def test_frames_without_end_end_the_connection(talking: int, first: bytes, frame: bytes) -> None:
    with upgraded(talking) as opened, suppress(ConnectionError):
        opened.sendall(first)
        for _ in range(20):
            opened.sendall(frame * 1000)
        while opened.recv(65_536):  # a connection that goes on is a time-out
            pass


def test_requests_that_do_not_wait_for_answers_are_few(port: int) -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    sent, answer = ended(port, *[request * 1000] * 2000)
    assert sent < 2000 * 1000 * len(request)
    assert answer.count(b"HTTP/1.1 200") < 1000


LARGE = 64 << 20


async def large(scope: Any, receive: Any, send: Any) -> None:
    """Many bytes for whoever asks, and a WebSocket."""
    if scope["type"] == "websocket":
        await talk(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(LARGE).encode())]})
    for number in range(LARGE >> 18):
        made.append(number)
        await send({"type": "http.response.body", "body": bytes(1 << 18), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


made: list[int] = []


def test_upgrade_behind_an_answer_that_nobody_reads_does_not_let_it_run_on() -> None:
    connection_bounds.bound_heads()
    made.clear()
    number = embedded.free_port()
    config = uvicorn.Config(large, "127.0.0.1", number, ws="websockets-sansio", lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started)
    try:
        with socket.create_connection(("127.0.0.1", number), 10) as opened:
            opened.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + UPGRADE)
            wait_for(lambda: bool(made))
            time.sleep(0.5)  # as long as it would run on
            received = 0
            with suppress(ConnectionError):
                while received < LARGE and (more := len(opened.recv(1 << 20))):
                    received += more
        assert 0 <= received < LARGE, "the connection ends; what was asked for is not kept for it"
    finally:
        server.should_exit = True
        thread.join(20)
